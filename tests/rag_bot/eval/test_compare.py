"""Which settings are best: the grid, what is dominated, what is recommended, and a settings file that is honoured."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ingest.index import Index
from rag_bot.cli import main
from rag_bot.errors import BadSetting
from rag_bot.eval.bootstrap import Estimate
from rag_bot.eval.candidates import WEIGHTS, Candidate, Tried, dominates, grid, score, weights_of
from rag_bot.eval.compare import settings_file
from rag_bot.eval.compare_report import as_dict, html, recommended, rows
from rag_bot.eval.files import write
from rag_bot.privacy import Outflow
from rag_bot.settings import Settings
from tests.commands import Outcome, outcome_of
from tests.rag_bot.eval.support import CASES

RagBot = Callable[..., Outcome]


def tried(name: str, quality: float = 0.8, **given: Any) -> Tried:
    given = {"seconds": 1.0, "cost": 1.0, "memory": 1.0, "disk": 1.0, **given}
    return Tried(
        Candidate(name, {"embedder": "hash", "chunk_tokens": 100, "llm": ""}), Estimate(quality, quality, quality, 9), **given
    )


# --- the grid


def test_every_combination_of_what_is_given() -> None:
    found = grid(
        Settings(), "minilm", {"chunk_tokens": ["100", "200"], "llm": ["quote", "llama-cpp:/models/x.gguf"], "passages": ["4"]}
    )
    assert [one.name for one in found] == [
        "chunk_tokens=100, quote",
        "chunk_tokens=100, llama-cpp:x",
        "chunk_tokens=200, quote",
        "chunk_tokens=200, llama-cpp:x",
    ]
    assert found[1].changes == {"embedder": "minilm", "chunk_tokens": 100, "llm": "llama-cpp:/models/x.gguf", "passages": 4}
    assert found[0].changes["llm"] == ""


def test_with_nothing_given_the_llm_is_held_against_none() -> None:
    assert [one.name for one in grid(Settings(llm="openai:m"), "minilm", {})] == ["quote", "openai:m"]
    assert [one.name for one in grid(Settings(), "minilm", {})] == ["quote"]


@pytest.mark.parametrize(
    ("dimensions", "says"),
    [
        ({"colour": ["red"]}, "no setting 'colour'"),
        ({"index": ["x"]}, "no setting 'index'"),
        ({"chunk_tokens": ["few"]}, "can't be 'few'"),
    ],
)
def test_a_setting_that_there_is_not(dimensions: dict[str, list[str]], says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        grid(Settings(), "minilm", dimensions)


# --- dominated and recommended


def test_who_is_as_good_in_everything_and_better_in_something_dominates() -> None:
    assert dominates(tried("a", 0.9), tried("b", 0.8))
    assert dominates(tried("a", seconds=0.5), tried("b"))
    assert dominates(tried("a"), tried("b", level=2))
    assert dominates(tried("a"), tried("b", cost=None))
    assert not dominates(tried("a", 0.9, seconds=2.0), tried("b", 0.8))
    assert not dominates(tried("a"), tried("b"))


def test_small_differences_are_none() -> None:
    assert not dominates(tried("a", 0.804), tried("b", 0.8))
    assert not dominates(tried("a", seconds=0.95), tried("b"))
    assert dominates(tried("a", 0.798, seconds=0.5), tried("b", 0.8))


def test_what_failed_neither_dominates_nor_is_dominated() -> None:
    assert not dominates(tried("a"), tried("b", 0.1, failed="no key"))
    assert not dominates(tried("a", failed="no key"), tried("b", 0.1))


def test_weights_decide() -> None:
    good_and_far = tried("good", 0.9, seconds=4.0, cost=10.0, level=2)
    near = tried("near", 0.7, seconds=0.1, cost=0.0)
    by_quality, by_privacy = weights_of("latency=0,cost=0,privacy=0.1"), weights_of("privacy=9")
    assert score(good_and_far, by_quality) > score(near, by_quality)
    assert score(near, by_privacy) > score(good_and_far, by_privacy)
    assert score(tried("x", 1.0, seconds=0.0, cost=0.0, memory=0.0, disk=0.0), WEIGHTS) == pytest.approx(1.0)
    assert score(tried("x", cost=None), WEIGHTS) < score(tried("x", cost=100.0), WEIGHTS)


@pytest.mark.parametrize("text", ["speed=1", "quality=much", "quality=-1", "quality=inf", "quality"])
def test_weights_that_are_none(text: str) -> None:
    with pytest.raises(BadSetting, match="can't be used"):
        weights_of(text)


def test_all_weights_of_zero() -> None:
    with pytest.raises(BadSetting, match="All weights are 0"):
        weights_of(",".join(f"{name}=0" for name in WEIGHTS))


# --- the report and the settings file


def test_the_report_marks_and_escapes() -> None:
    evil = "<script>x</script>"
    flow = Outflow("RAG_BOT_LLM", evil, "api.example", "each question", 2)
    found = [
        tried(evil, flows=[flow], level=2),
        replace(tried("b"), dominated=evil),
        tried("c", failed=evil),
        tried("d", cost=None),
    ]
    page = html(evil, found, WEIGHTS, 9)
    assert "<script" not in page and page.count("&lt;script&gt;") > 5

    class Text(HTMLParser):
        said = ""

        def handle_data(self, data: str) -> None:
            self.said += data + "\n"

    reader = Text()
    reader.feed(page)
    assert f"dominated by {evil}" in reader.said and "price not known" in reader.said
    assert "What could not be tried" in reader.said and "api.example" in reader.said
    assert rows(found)[0][0] == "→" and rows(found)[2][0] == "failed"
    assert json.loads(json.dumps(as_dict(found, WEIGHTS)))["recommended"] == evil
    assert recommended([tried("c", failed="x")]) is None
    assert "Nothing could be tried" in html("x", [tried("c", failed="x")], WEIGHTS, 9)


def test_the_settings_file_is_toml_whatever_is_in_it(tmp_path: Path) -> None:
    changes = {"embedder": 'a"b\\c\x7f\n#', "chunk_tokens": 100, "llm": "", "max_wrong": 0.1, "prices": tmp_path / "ü.toml"}
    chosen = replace(tried("x"), candidate=Candidate("x", changes), index=str(tmp_path))
    read = tomllib.loads(settings_file(Settings(index=tmp_path), chosen))
    assert read == {
        **changes,
        "prices": str(tmp_path / "ü.toml"),
        "index": str(tmp_path),
        "state": Settings(index=tmp_path).state_url,
    }
    secret = settings_file(Settings(index=tmp_path, state="postgresql://me:hunter2@db/x"), chosen)
    assert "hunter2" not in secret and "state" not in tomllib.loads(secret)


# --- the whole command


@pytest.fixture
def rag_bot(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RagBot:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_BOT_MAX_WRONG", "0.9")
    write(tmp_path / "set.jsonl", CASES)
    (tmp_path / "s.json").write_text(json.dumps([{"say": "Everyone gets 26 days of paid leave a year [1]."}]), encoding="utf-8")

    def run(*arguments: str) -> Outcome:
        return outcome_of(main, arguments, capsys)

    return run


def test_compare_tries_recommends_resumes_and_writes_settings_that_are_honoured(
    rag_bot: RagBot, home: Settings, tmp_path: Path
) -> None:
    asked = ("compare", "set.jsonl", "--index", str(home.index), "--chunk-tokens", "16", "--chunk-tokens", "200")
    first = rag_bot(*asked, "--json")
    assert first.code == 0, first.err
    data = first.json
    by_name = {one["candidate"]["name"]: one for one in data["candidates"]}
    assert set(by_name) == {"chunk_tokens=16", "chunk_tokens=200"}
    assert data["recommended"] == data["candidates"][0]["candidate"]["name"]
    for one in by_name.values():
        assert one["memory"] > 0.05 and one["disk"] > 0 and one["quality"]["count"] == 3 and one["cost"] == 0
    with Index.open(Path(by_name["chunk_tokens=16"]["index"])) as small, Index.open(home.index) as whole:
        assert small.counts()[1] > whole.counts()[1]

    before = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "eval" / "compare").rglob("*")
        if path.name in ("run.json", "store.sqlite3")
    }
    again = rag_bot(*asked)
    assert again.code == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing embedded, nothing asked twice
    assert f"Recommended: {data['recommended']}" in again.out

    (tmp_path / "rag-bot.toml").write_text((tmp_path / data["settings_file"]).read_text(encoding="utf-8"), encoding="utf-8")
    answer = rag_bot("ask", "How many days of paid leave does everyone get?", "--json")
    assert answer.code == 0 and "26 days" in answer.json["answer"]
    assert Settings().chunk_tokens == by_name[data["recommended"]]["candidate"]["changes"]["chunk_tokens"]
    assert (home.index / "state.sqlite3").exists()  # conversations stay where they were


def test_an_llm_that_failed_is_not_taken_for_one_that_answered(
    rag_bot: RagBot, home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "down.json").write_text(json.dumps([{"fail": "down"}]), encoding="utf-8")
    down = f"scripted:{tmp_path / 'down.json'}"
    ran = rag_bot("compare", "set.jsonl", "--index", str(home.index), "--llm", down, "--llm", "openai:m")
    assert ran.code == 0, ran.err
    assert "scripted:down (failed on " in ran.out and "of 3: quoted)" in ran.out
    assert "failed\topenai:m" in ran.out and "goes to another company" in ran.out
    assert "openai:m: The LLM m needs OPENAI_API_KEY" in ran.err


def test_what_can_not_be_done_gets_one_line(rag_bot: RagBot, home: Settings, tmp_path: Path) -> None:
    (tmp_path / "there.toml").write_text("", encoding="utf-8")
    index = ("--index", str(home.index))
    for arguments, says in (
        ((*index, "--set", "rerank"), "NAME=VALUE"),
        ((*index, "--set", "colour=red"), "no setting 'colour'"),
        ((*index, "--weights", "x"), "weight 'x'"),
        ((*index, "--write", "there.toml"), "not written over"),
        (("--index", "nowhere"), "There is no index"),
    ):
        failed = rag_bot("compare", "set.jsonl", *arguments)
        assert failed.code == 1 and says in " ".join(failed.err.split()), failed.err
