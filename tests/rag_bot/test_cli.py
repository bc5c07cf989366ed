"""The command `rag-bot`, as a person and as a program use it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.cli import main as ingest_main
from rag_bot.cli import main
from tests.commands import Outcome, outcome_of
from tests.fakes.oidc import oidc_provider

HANDBOOK = """# Handbook

## Leave

Everyone has thirty days of leave a year. Leave that is not taken ends on 31 March.

## Pets

Dogs may come to the office on Fridays.
"""


RagBot = Callable[..., Outcome]


@pytest.fixture
def rag_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RagBot:
    """Runs `rag-bot …` in a folder of its own with the hash embedder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_BOT_EMBEDDER", "hash")

    def run(*arguments: str, stdin: str = "") -> Outcome:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        return outcome_of(main, arguments, capsys)

    return run


@pytest.fixture
def handbook(rag_bot: RagBot, tmp_path: Path) -> Path:
    """An index of one short handbook, where the settings look for it."""
    file = tmp_path / "handbook.md"
    file.write_text(HANDBOOK, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        ingest_main(["add", str(file)])
    assert not end.value.code
    return file


# --- ask


@pytest.mark.usefixtures("handbook")
def test_ask_shows_the_sentence_its_mark_and_its_source(rag_bot: RagBot) -> None:
    asked = rag_bot("ask", "How many days of leave has everyone a year?")
    assert (asked.code, asked.err) == (0, "")
    lines = asked.out.splitlines()
    assert lines[0] == "Everyone has thirty days of leave a year. [1]"
    source = lines.index("[1] Handbook › Leave")
    assert lines[source + 1].startswith("    ") and lines[source + 1].endswith("handbook.md")
    assert lines[source + 2] == "    “Everyone has thirty days of leave a year.”"


@pytest.mark.usefixtures("handbook")
def test_ask_for_programs_prints_the_answer_object_and_nothing_else(rag_bot: RagBot) -> None:
    answer = rag_bot("ask", "How many days of leave has everyone a year?", "--json").json
    assert set(answer) >= {
        "answer", "abstained", "blocked", "sentences", "citations", "confidence", "question", "model", "conversation_id",
        "answer_id", "usage", "timings_ms",
    }  # fmt: skip
    assert answer["abstained"] is False
    assert "thirty days" in answer["answer"] and "[1]" in answer["answer"]
    assert "thirty days" in answer["citations"][0]["quote"]


@pytest.mark.usefixtures("handbook")
def test_a_refusal_is_an_answer(rag_bot: RagBot) -> None:
    refused = rag_bot("ask", "Which quark has the largest mass?")
    assert refused.code == 0
    assert refused.out.startswith("— The documents don't say")
    assert rag_bot("ask", "Which quark has the largest mass?", "--json").json["abstained"] is True


@pytest.mark.usefixtures("handbook")
def test_the_question_may_come_on_standard_input(rag_bot: RagBot) -> None:
    asked = rag_bot("ask", "-", stdin="When may dogs come to the office?\n")
    assert "Dogs may come to the office on Fridays. [1]" in asked.out


@pytest.mark.usefixtures("handbook")
def test_a_conversation_goes_on_where_it_was_left(rag_bot: RagBot) -> None:
    first = rag_bot("ask", "When may dogs come to the office?", "--json").json
    second = rag_bot("ask", "How many days of leave a year?", "--conversation", first["conversation_id"], "--json").json
    assert second["conversation_id"] == first["conversation_id"]
    assert second["answer_id"] != first["answer_id"]


@pytest.mark.usefixtures("handbook")
@pytest.mark.parametrize(
    "arguments", [["ask", " "], ["ask", "-"], ["ask", "bytes \udcff"], ["ask", "Dogs?", "--conversation", "no-such-one"]]
)
def test_what_can_not_be_asked_gets_one_line(rag_bot: RagBot, arguments: list[str]) -> None:
    for failed in (rag_bot(*arguments), rag_bot(*arguments, "--json")):
        assert (failed.code, failed.out) == (1, "")
        assert failed.err.startswith("Error: ") and "Traceback" not in failed.err


def test_documents_can_not_steer_the_terminal(rag_bot: RagBot, tmp_path: Path) -> None:
    file = tmp_path / "[red]x.txt"
    file.write_text("The [bold]safe[/bold] opens with \x1b[31mseven\x1b[0m turns to the left.", encoding="utf-8")
    with pytest.raises(SystemExit):
        ingest_main(["add", str(file)])
    asked = rag_bot("ask", "With how many turns to the left does the safe open?")
    assert asked.code == 0
    assert "\x1b" not in asked.out
    assert "The [bold]safe[/bold] opens" in asked.out and "[red]x.txt" in asked.out


# --- chat


@pytest.mark.usefixtures("handbook")
def test_chat_answers_line_by_line(rag_bot: RagBot) -> None:
    talk = "\n".join(["When may dogs come to the office?", "/sources", "", "/new", "/what", "/sources", "/quit", "Unheard."])
    said = rag_bot("chat", stdin=talk)
    assert said.code == 0
    assert "Dogs may come to the office on Fridays. [1]" in said.out
    assert said.out.count("“Dogs may come to the office on Fridays.”") == 1
    notes = [line for line in said.err.splitlines() if line.startswith("note: ")]
    assert notes[0] == "note: A new conversation."
    assert "/quit" in notes[1]
    assert notes[2] == "note: There is no answer with sources yet."
    assert "Unheard" not in said.out


@pytest.mark.usefixtures("handbook")
def test_chat_survives_a_bad_question(rag_bot: RagBot) -> None:
    said = rag_bot("chat", stdin=f"{'x' * 20_000}\nWhen may dogs come to the office?\n")
    assert said.code == 0
    assert said.err.startswith("Error: ")
    assert "Dogs may come" in said.out


# --- doctor, and failing


@pytest.mark.usefixtures("handbook")
def test_doctor_finds_all_well(rag_bot: RagBot, tmp_path: Path) -> None:
    well = rag_bot("doctor", "--json")
    assert well.code == 0
    assert well.json["ok"] is True
    checks = {check["name"]: check for check in well.json["checks"]}
    assert set(checks) >= {"python", "packages", "faiss", "embedder", "device", "index", "state", "llm"}
    assert "1 document, " in checks["index"]["detail"] and "whole" in checks["index"]["detail"]
    assert checks["embedder"]["detail"].startswith("hash")
    assert "All that is needed is there." in rag_bot("doctor").out


def test_doctor_names_what_is_missing_and_what_mends_it(rag_bot: RagBot, tmp_path: Path) -> None:
    ill = rag_bot("doctor", "--index", "some where", "--json")
    assert (ill.code, ill.json["ok"]) == (1, False)
    index = next(check for check in ill.json["checks"] if check["name"] == "index")
    assert (index["state"], index["fix"]) == ("missing", "ingest add FOLDER --index 'some where'")
    assert "\tingest add FOLDER --index index\n" in rag_bot("doctor").out
    assert list(tmp_path.iterdir()) == []


def test_doctor_sees_a_damaged_index_and_leaves_it_alone(rag_bot: RagBot, handbook: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "index" / "manifest.json"
    manifest.write_text("{}", encoding="utf-8")
    ill = rag_bot("doctor", "--json")
    index = next(check for check in ill.json["checks"] if check["name"] == "index")
    assert (ill.code, index["state"], index["fix"]) == (1, "missing", "ingest rebuild --index index")
    assert manifest.read_text(encoding="utf-8") == "{}"


def test_doctor_names_labels_that_hide_documents_from_everybody(
    rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.md").write_text("---\nlabels: [bored, hr]\n---\n# Plan\n\nIt is a plan.\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        ingest_main(["add", str(tmp_path / "plan.md")])
    readers = tmp_path / "readers.toml"
    monkeypatch.setenv("RAG_BOT_READERS", str(readers))
    for text, state in (
        ('[labels]\nboard = ["board"]\nhr = ["hr"]\n', "warn"),
        ('[labels]\nbored = ["board"]\nhr = ["hr"]\n', "ok"),
        ("[labels\n", "missing"),
    ):
        readers.write_text(text, encoding="utf-8")
        found = next(check for check in rag_bot("doctor", "--json").json["checks"] if check["name"] == "readers")
        assert found["state"] == state
        assert ("bored (1 document)" in found["detail"]) == (state == "warn")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_doctor_asks_the_sign_in_provider_who_it_is(rag_bot: RagBot, monkeypatch: pytest.MonkeyPatch) -> None:
    def checked() -> tuple[str, str]:
        found = next(check for check in rag_bot("doctor", "--json").json["checks"] if check["name"] == "sign-in")
        return found["state"], found["detail"]

    with oidc_provider() as provider:
        for name, value in (("AUTH", "on"), ("OIDC_ISSUER", provider.issuer), ("OIDC_CLIENT_ID", "bot")):
            monkeypatch.setenv(f"RAG_BOT_{name}", value)
        assert checked() == ("ok", f"{provider.issuer}, as bot")
        provider.metadata = {"issuer": "https://elsewhere.example"}
        state, detail = checked()
        assert (state, "https://elsewhere.example" in detail) == ("missing", True)
        provider.down = True
        assert checked()[0] == "missing"
    monkeypatch.setenv("RAG_BOT_OIDC_CLIENT_ID", "")
    assert checked() == ("missing", "RAG_BOT_OIDC_ISSUER needs a client.")


def test_doctor_tries_the_settings(rag_bot: RagBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_BOT_EMBEDDER", "./no/such/model")
    monkeypatch.setenv("RAG_BOT_STATE", "nonsense")
    monkeypatch.setenv("RAG_BOT_LLM", "marvin")
    monkeypatch.setenv("RAG_BOT_RAILS", "nowhere")
    checks = {check["name"]: check for check in rag_bot("doctor", "--json").json["checks"]}
    for name in ("embedder", "state", "llm", "rails"):
        assert checks[name]["state"] == "missing" and checks[name]["fix"], name


def test_without_an_index(rag_bot: RagBot) -> None:
    for arguments in (["ask", "x"], ["ask", "x", "--json"], ["chat"]):
        failed = rag_bot(*arguments)
        assert (failed.code, failed.out) == (1, ""), arguments
        assert failed.err.startswith("Error: ") and "ingest add" in failed.err


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["ask"], ["serve", "--port", "99999"], ["ask", "x", "--loud"]], ids=" ".join
)
def test_wrong_usage(rag_bot: RagBot, arguments: list[str]) -> None:
    assert rag_bot(*arguments).code == 2


def test_a_setting_that_can_not_be_read(rag_bot: RagBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_BOT_PORT", "eighty")
    failed = rag_bot("serve")
    assert (failed.code, failed.out) == (2, "")
    assert "RAG_BOT_PORT can't be 'eighty'" in failed.err
