"""`rag-bot eval` as a person and as CI use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_bot.cli import main
from rag_bot.eval.files import write
from rag_bot.settings import Settings
from tests.commands import Outcome, outcome_of
from tests.rag_bot.eval.support import CASES

RagBot = Callable[..., Outcome]


@pytest.fixture
def rag_bot(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RagBot:
    """Runs `rag-bot …` on the test documents, beside a set of three questions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_BOT_INDEX", str(home.index))
    monkeypatch.setenv("RAG_BOT_MAX_WRONG", "0.9")
    write(tmp_path / "set.jsonl", CASES)

    def run(*arguments: str) -> Outcome:
        return outcome_of(main, arguments, capsys)

    return run


def test_a_run_ends_with_a_summary_and_says_where_the_report_is(rag_bot: RagBot, tmp_path: Path) -> None:
    ran = rag_bot("eval", "run", "set.jsonl")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0].startswith("3 questions: 2 answered right, ")
    assert "Answered right\t1.000\t1.000–1.000\t2" in ran.out
    assert ran.out.splitlines()[-1] == "The report: eval/set/report.html"
    assert (tmp_path / "eval" / "set" / "report.html").is_file()


def test_a_run_for_programs(rag_bot: RagBot) -> None:
    data = rag_bot("eval", "run", "set.jsonl", "--questions", "2", "--name", "two", "--json").json
    assert data["count"] == 2 and data["run"]["index"]["documents"] == 4
    assert data["scores"]["handled"]["count"] == 2


def test_hidden_questions_are_added(rag_bot: RagBot) -> None:
    data = rag_bot("eval", "run", "set.jsonl", "--hidden", "1", "--json").json
    assert data["count"] == 5
    records = [json.loads(line) for line in Path("eval/set/records.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [r["case"]["id"] for r in records if r["case"]["hidden"]] == ["leave/hidden", "oslo/hidden"]


def test_diff_of_a_run_with_itself_is_well(rag_bot: RagBot) -> None:
    rag_bot("eval", "run", "set.jsonl", "--name", "a")
    same = rag_bot("eval", "diff", "a", "eval/a")
    assert same.code == 0 and same.out.endswith("3 questions compared. No loss beyond noise.\n")
    assert rag_bot("eval", "diff", "a", "a", "--json").json["lost"] == []


def test_diff_fails_on_a_loss_beyond_noise(rag_bot: RagBot, tmp_path: Path) -> None:
    many = [case for n in range(12) for case in (CASES[0], CASES[1])]
    lines = [{"id": str(n), "question": case.question, "answers": case.answers} for n, case in enumerate(many)]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    rag_bot("eval", "run", "many.jsonl", "--name", "good")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_BOT_MAX_WRONG", "0.02")  # refuses what the hash embedder finds
        rag_bot("eval", "run", "many.jsonl", "--name", "bad")
    worse = rag_bot("eval", "diff", "good", "bad")
    assert worse.code == 1
    assert "Lost beyond noise: Handled right" in worse.out and "WORSE" in worse.out
    assert "(right → refused)" in worse.out
    assert rag_bot("eval", "diff", "bad", "good").code == 0


def test_from_documents_to_figures(rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = rag_bot("eval", "make", "--count", "8", "--out", "mine.jsonl")
    assert made.code == 0 and made.out.startswith("8 questions in mine.jsonl: ") and "2 taken out" in made.out
    assert "reviewed" in rag_bot("eval", "make", "--out", "mine.jsonl").err  # not written over
    typed = iter(["k", "d"])

    def line(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", line)
    assert rag_bot("eval", "review", "mine.jsonl").out.endswith("1 kept, 0 edited, 1 dropped, 6 left for later.\n")
    assert rag_bot("eval", "review", "mine.jsonl", "--to-csv", "mine.csv").code == 0
    table = (tmp_path / "mine.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "mine.csv").write_text("\n".join(table[:4]), encoding="utf-8")
    assert rag_bot("eval", "review", "mine.jsonl", "--from-csv", "mine.csv").out == "3 questions left of 7, 0 edited.\n"
    assert rag_bot("eval", "run", "mine.jsonl", "--json").json["count"] == 3
    (tmp_path / "latin.csv").write_bytes("id,question\nä,ö\n".encode("latin-1"))
    assert "not UTF-8" in rag_bot("eval", "review", "mine.jsonl", "--from-csv", "latin.csv").err


def test_an_llm_is_named_before_it_is_asked(rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No LLM is set" in rag_bot("eval", "make", "--llm").err
    good = "Question: For how long may colleagues be away on holiday?\nAnswer: 26 days"
    (tmp_path / "s.json").write_text(json.dumps([{"when": "26 days", "say": good}, {"say": "no"}]), encoding="utf-8")
    monkeypatch.setenv("RAG_BOT_LLM", f"scripted:{tmp_path / 's.json'}")
    made = rag_bot("eval", "make", "--llm", "--count", "4", "--unanswerable", "0")
    assert "4 questions in questions.jsonl: 1 written" in made.out
    assert "The LLM wrote 1 of 4 questions" in made.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "nowhere.jsonl"), "There is no nowhere.jsonl"),
        (("run", "set.jsonl", "--judge"), "No judge is set"),
        (("diff", "a", "b"), "There is no run in"),
        (("run", "set.jsonl", "--index", "nowhere"), "There is no index"),
    ],
)
def test_what_can_not_be_done_gets_one_line(rag_bot: RagBot, arguments: tuple[str, ...], says: str) -> None:
    failed = rag_bot("eval", *arguments)
    assert failed.code == 1 and failed.out == ""
    assert failed.err.startswith("Error: ") and says in " ".join(failed.err.split()) and "Traceback" not in failed.err
