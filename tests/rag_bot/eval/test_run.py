"""Runs on a real index: what is hidden is not found, what is stopped goes on, answers are held against what is wanted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.index import Index
from ingest.settings import IngestSettings
from rag_bot.errors import BadDataset, BadSetting
from rag_bot.eval import corpus
from rag_bot.eval.exam import Exam, examine, prepared
from rag_bot.eval.run import Examiner
from rag_bot.eval.store import PAGE, RECORDS, REPORT, Info, RunFolder, choose
from rag_bot.eval.types import Case, Dataset, Record, Text, Wanted
from rag_bot.settings import Settings
from tests.rag_bot.eval.support import CASES
from tests.rag_bot.support import LEAVE

LENIENT = {"max_wrong": 0.9}  # the calibration that ships knows nothing of the hash embedder


@pytest.fixture
def settings(home: Settings) -> Settings:
    return home.model_copy(update=LENIENT)


def ask(settings: Settings, *cases: Case, beyond: bool = False) -> list[Record]:
    async def work() -> list[Record]:
        examiner = Examiner(settings, beyond=beyond)
        await examiner.start()
        try:
            return [await examiner.ask(case) for case in cases]
        finally:
            await examiner.close()

    return asyncio.run(work())


def exam(settings: Settings, folder: Path, cases: Sequence[Case] = CASES, *, beyond: bool = True, judge: bool = False) -> Exam:
    dataset = Dataset("small", cases)
    return examine(settings, dataset, lambda info: choose(folder, "small", info), beyond=beyond, judge=judge)


def test_a_question_is_asked_as_a_user_would(settings: Settings) -> None:
    leave, oslo, _ = ask(settings, *CASES)
    assert "26 days" in leave.answer and leave.right and not leave.refused
    assert leave.retrieved[0].wanted == (0,) and leave.citations[0].wanted == (0,)
    assert leave.sentences[0].carried and leave.sentences[0].useful == (True,)
    assert {"embed", "search", "total", "first_sentence"} <= leave.timings_ms.keys()
    assert oslo.right and "140 euros" in oslo.answer
    assert len(oslo.retrieved) > 5


def test_the_ranking_goes_deeper_than_an_answer(settings: Settings) -> None:
    [one] = ask(settings.model_copy(update={"passages": 1}), CASES[0])
    assert len(one.retrieved) > 1 and len({(hit.document_id, hit.start) for hit in one.retrieved}) == len(one.retrieved)


def test_a_greeting_has_no_ranking(settings: Settings) -> None:
    _, hello = ask(settings, CASES[0], Case("h", "Hello!"))
    assert hello.retrieved == () and hello.outcome == "" and not hello.refused


def test_what_is_hidden_is_not_found(settings: Settings) -> None:
    place = Wanted("leave.md", "Everyone gets 26 days of paid leave a year.")
    hidden = Case("h", LEAVE, False, hidden=(place,))
    seen, unseen, again = ask(settings, CASES[0], hidden, CASES[0])
    assert any("26 days" in hit.text for hit in seen.retrieved)
    assert not any("26 days" in hit.text for hit in unseen.retrieved)
    assert "26 days" not in unseen.answer
    assert again.retrieved == seen.retrieved  # hidden for one question only


def test_a_place_that_is_gone_can_not_be_hidden_and_nothing_is_claimed(settings: Settings) -> None:
    [one] = ask(settings, Case("h", LEAVE, False, hidden=(Wanted("leave.md", "words that nobody wrote"),)))
    assert (one.lost, one.case.answerable, one.outcome) == (1, None, "")
    [other] = ask(settings, Case("w", LEAVE, True, wanted=(Wanted("gone.md"),)))
    assert other.lost == 1 and other.case.answerable is True


def test_a_quote_is_found_whatever_the_white_space(settings: Settings) -> None:
    [one] = ask(settings, Case("w", LEAVE, True, wanted=(Wanted("leave.md", "Everyone  gets 26\ndays"),)))
    assert one.lost == 0 and one.retrieved[0].wanted == (0,)


def test_what_would_have_been_said_instead_of_a_refusal(home: Settings) -> None:
    strict = home.model_copy(update={"max_wrong": 0.02})
    with_it, without = ask(strict, CASES[0], beyond=True), ask(strict, CASES[0])
    assert with_it[0].abstained and without[0].abstained
    assert with_it[0].beyond is not None and with_it[0].beyond.right and "26 days" in with_it[0].beyond.answer
    assert without[0].beyond is None
    assert with_it[0].answer == without[0].answer


def test_a_question_that_can_not_be_asked_is_a_record_and_the_rest_go_on(settings: Settings) -> None:
    long = Case("long", "x" * 20_000, True)
    failed, fine = ask(settings, long, CASES[0])
    assert failed.outcome == "failed" and "10,000" in failed.error
    assert fine.right


def test_a_run_writes_records_figures_and_a_page(settings: Settings, tmp_path: Path) -> None:
    done = exam(settings, tmp_path / "eval")
    folder = tmp_path / "eval" / "small"
    assert done.folder.path == folder
    assert {path.name for path in folder.iterdir()} == {"run.json", RECORDS, REPORT, PAGE}
    assert [record.case.id for record in done.folder.records()] == ["leave", "oslo", "quark"]
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    assert report["scores"]["right"]["value"] == 1.0
    assert report["run"]["settings"]["max_wrong"] == 0.9 and report["run"]["done"] is True
    assert "state" not in report["run"]["settings"]


class Stop(Exception):
    """Someone presses Ctrl-C."""


def test_a_run_that_was_stopped_goes_on(settings: Settings, tmp_path: Path) -> None:
    asked: list[str] = []

    def stop(done: int, of: int, record: Record | None) -> None:
        asked.append(record.case.id if record else f"{done} of {of}")
        if record and record.case.id == "oslo":
            raise Stop

    def place(info: Info) -> RunFolder:
        return choose(tmp_path, "small", info)

    with pytest.raises(Stop):
        examine(settings, Dataset("small", CASES), place, beyond=True, tell=stop)
    with (tmp_path / "small" / RECORDS).open("ab") as file:
        file.write(b'{"case": {"id": "qua')  # as a kill in the middle of a write leaves it
    done = examine(settings, Dataset("small", CASES), place, beyond=True, tell=stop)
    assert asked == ["0 of 3", "leave", "oslo", "2 of 3", "quark"]
    assert len(done.folder.records()) == 3 and done.folder.path == tmp_path / "small"


def test_another_run_gets_a_place_of_its_own(settings: Settings, tmp_path: Path) -> None:
    first = exam(settings, tmp_path)
    assert exam(settings, tmp_path).folder.path.name == "small-2"  # the same, once more
    assert exam(settings.model_copy(update={"passages": 3}), tmp_path).folder.path.name == "small-3"
    with pytest.raises(BadDataset, match="holds another run"):
        examine(settings, Dataset("small", CASES[:1]), lambda info: first.folder, beyond=True)


def test_a_failed_question_is_asked_again(settings: Settings, tmp_path: Path) -> None:
    done = exam(settings, tmp_path)
    records = done.folder.records()
    done.folder.tidy([replace(records[0], error="the LLM was down", right=None), *records[1:]])
    again = examine(settings, Dataset("small", CASES), lambda info: done.folder, beyond=True)
    assert not any(record.error for record in again.folder.records())


def test_a_broken_record_is_named(settings: Settings, tmp_path: Path) -> None:
    done = exam(settings, tmp_path)
    file = done.folder.path / RECORDS
    file.write_text("nonsense\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(BadDataset, match="Line 1 "):
        done.folder.records()


def test_a_judge_says_what_it_thinks(settings: Settings, tmp_path: Path) -> None:
    script = tmp_path / "judge.json"
    script.write_text(json.dumps([{"when": "Wanted: 140", "say": "No."}, {"when": "Wanted", "say": "Yes"}, {"say": "perhaps"}]))
    judged = exam(settings.model_copy(update={"judge": f"scripted:{script}"}), tmp_path, judge=True)
    leave, oslo, _ = judged.folder.records()
    assert leave.opinion is not None and (leave.opinion.right, leave.opinion.asked) == (True, 0)
    assert oslo.opinion is not None and oslo.opinion.right is False
    assert judged.summary.scores["judge_right"].value == 0.5
    assert judged.summary.scores["right"].value == 1.0
    with pytest.raises(BadSetting, match="No judge"):
        exam(settings, tmp_path, judge=True)


# --- documents that a set brings along

TEXTS = (
    Text("d1", "Everyone gets 26 days of paid leave.", "Leave"),
    Text("d2", "Rates.\n\n| city | rate |\n| --- | --- |\n| Oslo | 140 euros |", markdown=True),
    Text("d3", "# no heading\n\nPlain | text."),
)


def test_a_set_s_own_documents_get_an_index_of_their_own(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"embedder": "hash"})
    case = Case("q", "Which rate has Oslo?", True, ("140 euros",), (Wanted("d2"),))
    own = prepared(settings, Dataset("set", [case], TEXTS), tmp_path)
    assert own.index.parent == tmp_path / "indexes"
    assert prepared(settings, Dataset("set", [case]), tmp_path).index == settings.index
    with Index.open(own.index) as index:
        assert (index.documents()[0].source, index.documents()[0].title) == ("d1", "Leave")
        assert index.text(index.find("d3").document_id).startswith("# no heading")  # type: ignore[union-attr]
    [record] = ask(own, case)
    assert record.right and record.retrieved[0].wanted == (0,)


def test_an_index_holds_exactly_the_set_s_documents(tmp_path: Path) -> None:
    settings = IngestSettings(index=tmp_path / "index", embedder="hash")
    told: list[tuple[int, int]] = []
    corpus.fill(settings, TEXTS, lambda done, of: told.append((done, of)))
    assert told == [(0, 3), (3, 3)]
    corpus.fill(
        settings, (TEXTS[0], replace(TEXTS[1], text="Other."), Text("d4", "New.")), lambda done, of: told.append((done, of))
    )
    assert told[2:] == [(1, 3), (3, 3)]  # only what changed is made anew
    with Index.open(settings.index) as index:
        assert {info.source for info in index.documents()} == {"d1", "d2", "d4"}
        assert index.verify() == []


def test_a_copy_is_cut_as_its_settings_say_and_follows_the_first(home: Settings, tmp_path: Path) -> None:
    small = IngestSettings(index=tmp_path / "small", embedder="hash", chunk_tokens=16)
    corpus.copy(home.index, small)
    with Index.open(home.index) as index, Index.open(small.index) as cut:
        assert {i.source for i in cut.documents()} == {i.source for i in index.documents()}
        assert cut.counts()[1] > index.counts()[1]
        gone = index.documents()[0].document_id
    with Index.open(home.index, write=True) as index:
        index.remove(gone)
    told: list[tuple[int, int]] = []
    corpus.copy(home.index, small, lambda done, of: told.append((done, of)))
    assert told == [(3, 3)]
    with Index.open(small.index) as cut:
        assert gone not in {i.document_id for i in cut.documents()}


def test_a_whole_document_of_many_passages_can_be_hidden(tmp_path: Path) -> None:
    texts = [Text("long", "\n\n".join(f"The leave rule number {n} counts days of leave." for n in range(300)))]
    texts.append(Text("other", "A leave of another kind."))
    settings = Settings(index=tmp_path / "index", embedder="hash", chunk_tokens=16, max_wrong=0.9)
    corpus.fill(settings, texts)
    [record] = ask(settings, Case("q", "Which rule of leave counts days?", False, hidden=(Wanted("long"),)))
    assert [hit.document_id for hit in record.retrieved] and {hit.source for hit in record.retrieved} == {"other"}
