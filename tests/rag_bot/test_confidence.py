"""The probability that the evidence answers, and when it is enough."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bot.confidence import FEATURES, Calibration, Confidence, curve, features
from rag_bot.errors import BadSetting
from rag_bot.types import Weights
from tests.rag_bot.support import evidence_of, passage

PASSAGES = [passage("Leave is 26 days. It is paid.")]
EVIDENCE = [evidence_of(PASSAGES, 0, "Leave is 26 days."), evidence_of(PASSAGES, 0, "It is paid.", 0.5)]
WEIGHTS = Weights({"leave": 1.0}, 2.0)
SHIPPED = Calibration.load()


def test_the_calibration_that_ships_is_of_these_features() -> None:
    data = json.loads(files("rag_bot").joinpath("calibration.json").read_text(encoding="utf-8"))
    assert tuple(data["features"]) == FEATURES
    assert len(SHIPPED.weights) == len(FEATURES) == len(features(WEIGHTS, PASSAGES, EVIDENCE))


def test_its_curve_says_that_a_lower_threshold_lets_more_wrong_answers_through() -> None:
    thresholds = [threshold for threshold, _ in SHIPPED.curve]
    wrong = [share for _, share in SHIPPED.curve]
    assert len(SHIPPED.curve) >= 5
    assert thresholds == sorted(thresholds, reverse=True)
    assert wrong == sorted(wrong)
    assert all(0 < value < 1 for value in [*thresholds, *wrong])


shares = st.floats(0.001, 0.999)
curves = st.lists(st.tuples(shares, shares), min_size=1, max_size=8).map(tuple)


@given(curves, shares, shares)
def test_who_allows_fewer_wrong_answers_gets_no_lower_threshold(
    curve: tuple[tuple[float, float], ...], one: float, other: float
) -> None:
    for calibration in (Calibration((), 0.0, curve), SHIPPED):
        assert calibration.threshold(min(one, other)) >= calibration.threshold(max(one, other))


def test_a_share_that_was_never_reached_is_asked_of_each_answer() -> None:
    calibration = Calibration((), 0.0, ((0.9, 0.1), (0.4, 0.3)))
    assert calibration.threshold(0.1) == 0.9
    assert calibration.threshold(0.05) == 0.95
    assert Calibration((), 0.0, ((0.97, 0.1),)).threshold(0.05) == 0.97
    assert Calibration((), 0.0, ()).threshold(0.2) == 0.8


def wobbly(slope: float, shift: float, count: int) -> tuple[list[list[float]], list[bool]]:
    """Questions whose answers are right as often as the logistic curve through `slope` and `shift` says."""
    dice = random.Random(7)
    sums = [dice.uniform(-3, 3) for _ in range(count)]
    values = [[(one - PLAIN.bias) / PLAIN.weights[0], 0.0, 0.0, 0.0, 0.0] for one in sums]
    return values, [dice.random() < 1 / (1 + math.exp(-(slope * one + shift))) for one in sums]


PLAIN = Calibration((2.0, 1.0, 1.0, 1.0, 1.0), -1.0, ())


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (2.0, 0.5), (0.5, -1.0), (1.0, 2.0)])
def test_refitted_it_is_right_as_often_as_it_says(slope: float, shift: float) -> None:
    made = PLAIN.refitted(*wobbly(slope, shift, 2000))
    assert made.weights[0] / PLAIN.weights[0] == pytest.approx(slope, rel=0.2)
    values, right = wobbly(slope, shift, 4000)
    for allowed in (0.1, 0.2, 0.3):
        given = [good for row, good in zip(values, right, strict=True) if made.probability(row) >= made.threshold(allowed)]
        assert not given or 1 - sum(given) / len(given) == pytest.approx(min(allowed, 1 - sum(right) / len(right)), abs=0.03)


@pytest.mark.parametrize("right", [[True] * 40, [False] * 40, [True] * 20 + [False] * 20, [False] * 20 + [True] * 20])
def test_a_refit_bears_what_can_be_told_apart_wholly(right: list[bool]) -> None:
    made = PLAIN.refitted([[n / 40, 0.0, 0.0, 0.0, 0.0] for n in range(40)], right)
    assert all(map(math.isfinite, [*made.weights, made.bias]))
    assert made.weights[0] > 0
    assert PLAIN.refitted([], []) == PLAIN


def test_a_curve_counts_by_weight_and_trusts_no_handful() -> None:
    assert curve([0.9] * 14, [0.0] * 14) == ()
    probabilities, wrong = [0.9] * 20 + [0.5] * 20, [0.0] * 20 + [1.0] * 20
    assert {threshold for threshold, _ in curve(probabilities, wrong)} == {0.9}
    assert (0.5, 0.2) in curve(probabilities, wrong, [1.0] * 20 + [0.25] * 20)


def test_an_index_folders_own_calibration_goes_first(tmp_path: Path) -> None:
    assert Calibration.load(tmp_path) == SHIPPED
    own = Calibration((1.0, 2.0, 3.0, 4.0, 5.0), -1.0, ((0.5, 0.2),))
    (tmp_path / "calibration.json").write_text(json.dumps(own.as_dict("by hand")), encoding="utf-8")
    assert Calibration.load(tmp_path) == own


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"features": ["coverage"], "weights": [1], "bias": 0, "curve": []}'])
def test_a_file_that_is_none_is_a_bad_setting(tmp_path: Path, text: str) -> None:
    (tmp_path / "calibration.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadSetting, match="no calibration"):
        Calibration.load(tmp_path)


@given(st.lists(st.floats(-1e6, 1e6), min_size=len(FEATURES), max_size=len(FEATURES)))
def test_a_probability_is_one(values: list[float]) -> None:
    assert 0 < SHIPPED.probability(values) < 1


def test_a_probability_is_the_logistic_function_of_the_weighted_sum() -> None:
    calibration = Calibration((2.0, -1.0), 0.5, ())
    assert calibration.probability([1.0, 3.0]) == pytest.approx(1 / (1 + math.exp(0.5)))
    with pytest.raises(ValueError):
        calibration.probability([1.0])


def test_where_nothing_was_found_or_asked_it_is_nought() -> None:
    confidence = Confidence(SHIPPED, 0.2)
    assert confidence(WEIGHTS, PASSAGES, []) == 0.0
    assert confidence(Weights(), PASSAGES, EVIDENCE) == 0.0
    assert not confidence.enough(0.0)
    assert confidence(WEIGHTS, PASSAGES, EVIDENCE) == SHIPPED.probability(features(WEIGHTS, PASSAGES, EVIDENCE))


def test_enough_begins_at_the_threshold() -> None:
    confidence = Confidence(Calibration((), 0.0, ((0.9, 0.1), (0.4, 0.3))), 0.2)
    assert confidence.threshold == 0.9
    assert confidence.enough(0.9)
    assert not confidence.enough(0.899)


def test_features_say_what_they_are_called() -> None:
    first, second = passage("Leave is 26 days.", name="a"), passage("Lunch is at noon.", name="b")
    found = [
        type(first)(first.document, first.chunk, 1.0, dense=0.8, keyword=3.0),
        type(second)(second.document, second.chunk, 0.9, dense=0.4, keyword=None),
    ]
    best = evidence_of(found, 1, "Lunch is at noon.", coverage=0.25)
    other = replace(evidence_of(found, 0, "Leave is 26 days."), cosine=0.7)
    values = dict(zip(FEATURES, features(Weights({"a": 0.5, "b": 0.5}, 6.0), found, [best, other]), strict=True))
    assert values == pytest.approx(
        {
            "coverage": 0.25,
            "support": 0.25,
            "cosine": 0.5,
            "nearest": 0.7,
            "keyword": 0.5,
        }
    )
