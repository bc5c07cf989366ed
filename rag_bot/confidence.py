"""How likely an answer is right: a probability from what was found, fitted on questions with and without an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from rag_bot.errors import BadSetting
from rag_bot.types import Evidence, Passage, Weights

FEATURES = ("coverage", "support", "cosine", "dense", "margin", "keyword", "rank", "kind", "words")


def features(weights: Weights, passages: Sequence[Passage], evidence: Sequence[Evidence]) -> list[float]:
    """What the probability is made from, in the order of `FEATURES`.

    `weights` are the question's terms. Coverage, support and cosine of the best sentence; the best cosine, and its lead over
    the mean of the passages'; the best BM25 score over the sum of the terms' idf; whether the best
    sentence stands in the first passage; whether it holds the kind of thing asked for; and how many terms there are.
    """
    best = evidence[0]
    cosines = [passage.dense for passage in passages if passage.dense is not None] or [0.0]
    keyword = max((passage.keyword or 0.0 for passage in passages), default=0.0)
    return [
        best.coverage,
        best.support,
        best.cosine,
        max(cosines),
        max(cosines) - sum(cosines) / len(cosines),
        keyword / (weights.total or 1.0),
        1.0 if best.passage == 0 else 0.0,
        1.0 if best.kind_found else 0.0,
        math.log1p(len(weights.terms)),
    ]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic model, and what refusing below each probability leads to.

    `curve` holds (threshold, share of wrong answers among those given at it) as measured on questions that the model
    was not fitted on (the thresholds themselves are picked on those questions).
    """

    weights: tuple[float, ...]
    bias: float
    curve: tuple[tuple[float, float], ...]

    @classmethod
    def load(cls) -> Calibration:
        """The calibration that ships with the package (made by benchmarks/calibrate.py)."""
        data = json.loads(files("rag_bot").joinpath("calibration.json").read_text(encoding="utf-8"))
        return cls(tuple(data["weights"]), data["bias"], tuple((point[0], point[1]) for point in data["curve"]))

    def probability(self, values: Sequence[float]) -> float:
        """The probability that the best sentence answers the question."""
        z = self.bias + sum(weight * value for weight, value in zip(self.weights, values, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))

    def threshold(self, max_wrong: float) -> float:
        """The lowest probability at which no more than `max_wrong` of the answers given were wrong. Raises BadSetting
        for a share smaller than any that was measured."""
        within = [threshold for threshold, wrong in self.curve if wrong <= max_wrong]
        if not within:
            smallest = min(wrong for _, wrong in self.curve)
            raise BadSetting(
                f"RAG_BOT_MAX_WRONG={max_wrong:g} is smaller than the smallest share that was measured, {smallest:g}.",
                f"Set it to {smallest:g} or more.",
            )
        return min(within)


class Confidence:
    """Says how likely the evidence answers, and whether that is enough."""

    def __init__(self, calibration: Calibration, max_wrong: float) -> None:
        self._calibration = calibration
        self.threshold = calibration.threshold(max_wrong)

    def __call__(self, weights: Weights, passages: Sequence[Passage], evidence: Sequence[Evidence]) -> float:
        """The probability in 0..1 that the best evidence answers; 0 where there is none, or the question has no content."""
        if not evidence or not weights.terms:
            return 0.0
        return self._calibration.probability(features(weights, passages, evidence))

    def enough(self, probability: float) -> bool:
        return probability >= self.threshold
