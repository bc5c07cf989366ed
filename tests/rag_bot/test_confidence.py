"""The probability that the evidence answers, and when it is enough."""

from __future__ import annotations

import json
import math
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bot.confidence import FEATURES, Calibration, Confidence, features
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


def threshold(calibration: Calibration, max_wrong: float) -> float:
    """The threshold; above all others where a share is smaller than any that was measured."""
    try:
        return calibration.threshold(max_wrong)
    except BadSetting:
        return 2.0


@given(curves, shares, shares)
def test_who_allows_fewer_wrong_answers_gets_no_lower_threshold(
    curve: tuple[tuple[float, float], ...], one: float, other: float
) -> None:
    for calibration in (Calibration((), 0.0, curve), SHIPPED):
        assert threshold(calibration, min(one, other)) >= threshold(calibration, max(one, other))


def test_a_share_that_was_never_reached_is_a_bad_setting_that_names_the_smallest() -> None:
    smallest = min(wrong for _, wrong in SHIPPED.curve)
    assert Confidence(SHIPPED, smallest).threshold == max(threshold for threshold, _ in SHIPPED.curve)
    with pytest.raises(BadSetting, match="RAG_BOT_MAX_WRONG") as caught:
        Confidence(SHIPPED, smallest / 2)
    assert f"{smallest:g}" in caught.value.hint


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
    values = dict(zip(FEATURES, features(Weights({"a": 0.5, "b": 0.5}, 6.0), found, [best]), strict=True))
    assert values == pytest.approx(
        {
            "coverage": 0.25,
            "support": 0.25,
            "cosine": 0.5,
            "dense": 0.8,
            "margin": 0.2,
            "keyword": 0.5,
            "rank": 0.0,
            "kind": 1.0,
            "words": math.log(3),
        }
    )
