"""Figures by their definitions, on records made by hand."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from rag_bot.errors import ExtraMissing
from rag_bot.eval import metrics
from rag_bot.eval.metrics import MEASURES, figures, is_right
from rag_bot.eval.types import Case, Opinion, Record, Wanted
from tests.rag_bot.eval.support import cited, hit, record, said


def figure(one: Record) -> dict[str, float]:
    return figures([one])[0]


@pytest.mark.parametrize(("rank", "recall1", "recall3", "reciprocal"), [(0, 1, 1, 1), (2, 0, 1, 1 / 3), (None, 0, 0, 0)])
def test_rankings(rank: int | None, recall1: float, recall3: float, reciprocal: float) -> None:
    found = figure(record("a", rank=rank))
    assert (found["R@1"], found["R@3"], found["RR@10"]) == pytest.approx((recall1, recall3, reciprocal))
    assert found["nDCG@10"] == pytest.approx({0: 1.0, 2: 0.5, None: 0.0}[rank])


def test_two_wanted_places_and_one_that_is_nowhere() -> None:
    case = Case("a", "A?", True, wanted=(Wanted("x", "q"), Wanted("y", "r"), Wanted("gone", "s")))
    found = figure(record("a", case=case, retrieved=(hit(0, (0, 1)), hit(1))))
    assert found["R@5"] == pytest.approx(2 / 3)
    assert found["P@1"] == 1.0


def test_documents_are_ranked_by_their_best_passage() -> None:
    hits = (hit(0, document="other"), hit(1, document="other"), hit(2, (0,), "right"), hit(3, (0,), "right"))
    assert figure(record("a", case=Case("a", "A?", True, wanted=(Wanted("right"),)), retrieved=hits))["RR@10"] == 0.5
    assert figure(record("a", case=Case("a", "A?", True, wanted=(Wanted("right", "q"),)), retrieved=hits))[
        "RR@10"
    ] == pytest.approx(1 / 3)


def test_nothing_found_is_a_zero_and_nothing_wanted_is_no_figure() -> None:
    assert figure(record("a", retrieved=()))["R@5"] == 0.0
    assert "R@5" not in figure(record("a", wanted=False))


def texts(answer: str, *answers: str, **given: Any) -> dict[str, float]:
    return figure(record("a", case=Case("a", "A?", True, answers), answer=answer, **given))


def test_texts() -> None:
    whole = texts("The 26 days. [1]", "26 Days")
    assert (whole["exact"], whole["holds"], whole["f1"]) == (1.0, 1.0, 1.0)
    part = texts("Everyone gets 26 days of leave. [1]", "26 days", "nothing")
    assert (part["exact"], part["holds"]) == (0.0, 1.0)
    assert part["f1"] == pytest.approx(2 * (2 / 6) * 1 / (2 / 6 + 1))
    assert texts("He cats", "his cat")["rougeL"] == pytest.approx(0.5)  # stemmed
    assert texts("the cat sat on the mat", "the cat sat on the mat")["bleu"] == pytest.approx(1.0)
    assert texts("It is 126 days.", "26 days")["holds"] == 0.0  # words, not letters


def test_a_long_answer_is_not_looked_for_word_for_word() -> None:
    long = " ".join(["word"] * 13)
    assert "holds" not in texts("word", long) and "holds" not in texts("word", long, abstained=True)
    assert texts("word", long, "word")["holds"] == 1.0


def test_a_refusal_scores_nothing_against_a_wanted_answer() -> None:
    assert texts("The documents don't say 26 days.", "26 days", abstained=True)["f1"] == 0.0
    assert texts("", "26 days", error="broken")["rougeL"] == 0.0


def test_what_is_right() -> None:
    def right(answer: str, *answers: str, **given: Any) -> bool:
        return is_right(record("a", case=Case("a", "A?", True, answers), answer=answer, **given))

    assert right("You get 26 days. [1]", "26 days")
    assert not right("You get 27 days. [1]", "26 days")
    long = "all full time employees get twenty six days of paid annual leave in each calendar year"
    assert right("Employees get twenty six days of paid leave each year, full time.", long)
    assert not right("Employees are happy people.", long)
    assert is_right(record("a", sentences=(said(),), citations=(cited(0),)))
    assert not is_right(record("a", sentences=(said(),), citations=(cited(),)))
    assert not is_right(record("a", case=Case("a", "A?", False), sentences=(said(),), citations=(cited(0),)))


@pytest.mark.parametrize(
    ("answerable", "abstained", "right", "expected"),
    [
        (True, False, True, {"handled": 1, "right": 1, "refused": 0, "wrong": 0, "wrong_given": 0}),
        (True, False, False, {"handled": 0, "right": 0, "refused": 0, "wrong": 1, "wrong_given": 1}),
        (True, True, None, {"handled": 0, "right": 0, "refused": 1, "wrong": 0}),
        (False, True, None, {"handled": 1, "declined": 1, "wrong": 0}),
        (False, False, False, {"handled": 0, "declined": 0, "wrong": 1, "wrong_given": 1}),
        (None, False, None, {}),
    ],
)
def test_outcomes(answerable: bool | None, abstained: bool, right: bool | None, expected: dict[str, float]) -> None:
    found = figure(Record(Case("a", "A?", answerable), abstained=abstained, right=right))
    assert {
        name: found[name] for name in found if name in ("handled", "right", "refused", "declined", "wrong", "wrong_given")
    } == expected


def test_a_rail_that_blocks_refuses() -> None:
    assert figure(Record(Case("a", "A?", False), blocked="no"))["declined"] == 1.0


def test_citations_after_alce() -> None:
    sentences = (said("A.", 1, 2, useful=(True, False)), said("B.", 3, carried=False, useful=(False,)))
    found = figure(record("a", sentences=sentences, citations=(cited(0), cited(n=2), cited(n=3)), model="m", cut=2))
    assert found["citation_precision"] == pytest.approx(1 / 3)
    assert found["citation_recall"] == 0.5
    assert found["citation_wanted"] == 1.0
    assert found["supported"] == 0.5  # of four proposed
    refused = figure(record("a", abstained=True, citations=(cited(0),), cut=2, model="m"))
    assert "citation_recall" not in refused and refused["supported"] == 0.0


def test_the_judge_stands_beside_the_others() -> None:
    found = figure(record("a", opinion=Opinion("j", False, 1, 2), sentences=(said(),), citations=(cited(0),)))
    assert (found["judge_right"], found["judge_carried"], found["right"]) == (0.0, 0.5, 1.0)
    assert not MEASURES["judge_right"].guards


def test_every_figure_is_described() -> None:
    one = record(
        "a",
        case=Case("a", "A?", True, ("x",), (Wanted("d", "q"),)),
        sentences=(said(),),
        model="m",
        opinion=Opinion("j", True, 1, 1),
    )
    none = record("b", case=Case("b", "B?", False), abstained=True)
    assert set(figure(one)) | set(figure(none)) == set(MEASURES)


def test_without_the_extra_there_is_one_line_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sacrebleu", raising=False)
    importing = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "sacrebleu":
            raise ModuleNotFoundError(name=name)
        return importing(name, *arguments, **options)

    monkeypatch.setattr("importlib.import_module", without)
    with pytest.raises(ExtraMissing, match="sacrebleu") as caught:
        metrics.check()
    assert caught.value.hint == "pip install 'rag-bot[eval]'"
