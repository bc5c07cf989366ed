"""Refusal fitted to one's own documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.index import Index
from rag_bot.bot import text_reader
from rag_bot.calibrate import FEWEST, Example, Trial, calibrated, read, write
from rag_bot.confidence import FILE, Calibration
from rag_bot.errors import BadSetting
from rag_bot.evidence import EvidenceFinder
from rag_bot.retrieve import QueryEmbedder, Retriever
from rag_bot.settings import Settings

PARTY = Example("When is the summer party held?", "summer party", "party.txt")


@pytest.fixture
def index(home: Settings) -> Iterator[Index]:
    with Index.open(home.index, settings=home) as index:
        yield index


@pytest.fixture
def trial(index: Index) -> Iterator[Trial]:
    embed = QueryEmbedder(index)
    evidence = EvidenceFinder(index.terms, index.idf, index.sentence_cosines, text_reader(index))
    yield Trial(Retriever(index, embed), evidence, 8)
    embed.close()


def test_a_right_quote_holds_the_answer_in_the_right_document(trial: Trial) -> None:
    examples = [
        PARTY,
        Example(PARTY.question, "summer party"),
        Example(PARTY.question, "summer party", "leave.md"),
        Example(PARTY.question, "winter party", "party.txt"),
        Example(PARTY.question),
    ]
    assert [one.right for one in trial(examples)] == [True, True, False, False, False]


def test_what_has_no_word_to_look_for_is_left_out(trial: Trial) -> None:
    assert list(trial([Example("And what is it?"), Example("?")])) == []


def test_questions_of_ones_own_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(
        '{"question": "How?", "answer": "so", "source": "a.md", "more": 1}\n\n{"question": "Why?"}\n', encoding="utf-8"
    )
    assert read(path) == [Example("How?", "so", "a.md"), Example("Why?")]


@pytest.mark.parametrize(
    "line", ["no json", "[1]", "3", "{}", '{"question": ""}', '{"question": 1}', '{"question": "a", "answer": 2}']
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "Why?"}\n' + line, encoding="utf-8")
    with pytest.raises(BadSetting, match="Line 2"):
        read(path)
    with pytest.raises(BadSetting, match="can't be read"):
        read(tmp_path / "nowhere")


def test_too_few_questions_or_all_of_a_kind_are_refused(trial: Trial) -> None:
    for examples in ([PARTY] * (FEWEST - 1), [PARTY] * FEWEST, [Example(PARTY.question)] * FEWEST):
        with pytest.raises(BadSetting, match="too little to go by"):
            calibrated(examples, trial, Calibration.load())


def test_what_was_fitted_is_what_the_index_is_opened_with(trial: Trial, home: Settings) -> None:
    nonsense = [Example(f"Which zebra number {n} flies over the moon?") for n in range(FEWEST)]
    outcome = calibrated([PARTY, *nonsense] * 2, trial, Calibration.load())
    assert (outcome.questions, outcome.answerable, outcome.right) == (2 * (FEWEST + 1), 2, 2)
    path = write(outcome, home.index, "by hand")
    assert path == home.index / FILE
    assert "by hand" in json.loads(path.read_text(encoding="utf-8"))["made_by"]
    loaded = Calibration.load(home.index)
    assert loaded.weights == pytest.approx(outcome.calibration.weights, abs=1e-3)
    report = outcome.as_dict(0.2, path)
    assert 0 < report["threshold"] < 1
    assert report["smallest_max_wrong"] is None or 0 < report["smallest_max_wrong"] < 1
