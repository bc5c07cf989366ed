"""How likely an answer is right: a probability from what was found, fitted on questions with and without an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rag_bot.errors import BadSetting
from rag_bot.types import Evidence, Passage, Weights

FILE = "calibration.json"
"""Its name in the index folder, where `rag-bot calibrate` writes it, and in the package."""

FEATURES = ("coverage", "support", "cosine", "nearest", "keyword")
POINTS = (0.02, 0.03, 0.05, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.22, 0.25, 0.28, 0.3, 0.35, 0.4)
"""The shares of wrong answers that a curve has thresholds for."""

_FEWEST = 15  # answers that a threshold must let through: the share of wrong ones among fewer says nothing
_PULL = 1e-3  # how strongly few questions leave a calibration as it was (a penalty, for each question)


def features(weights: Weights, passages: Sequence[Passage], evidence: Sequence[Evidence]) -> list[float]:
    """What the probability is made from, in the order of `FEATURES`.

    `weights` are the question's terms. Coverage, support and cosine of the best sentence; the nearest sentence of all; the
    best BM25 score over the sum of the terms' idf. Others (ranks, leads, lengths) told no more on sources that the
    probability was not fitted on (benchmarks/calibrate.py).
    """
    best = evidence[0]
    keyword = max((passage.keyword or 0.0 for passage in passages), default=0.0)
    nearest = max(item.cosine for item in evidence)
    return [best.coverage, best.support, best.cosine, nearest, keyword / (weights.total or 1.0)]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic model, and what refusing below each probability leads to.

    `curve` holds (threshold, share of wrong answers among those given at it).
    """

    weights: tuple[float, ...]
    bias: float
    curve: tuple[tuple[float, float], ...]

    @classmethod
    def load(cls, folder: Path | None = None) -> Calibration:
        """The calibration in an index folder, or where there is none the one that ships with the package (made by
        benchmarks/calibrate.py). Raises BadSetting for a file that is none."""
        own = folder / FILE if folder else None
        if own is None or not own.is_file():
            return cls.from_dict(json.loads(files("rag_bot").joinpath(FILE).read_text(encoding="utf-8")))
        try:
            return cls.from_dict(json.loads(own.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            raise BadSetting(
                f"{own} is no calibration of this version: {error}.", "Run rag-bot calibrate again, or delete the file."
            ) from error

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Calibration:
        """What `as_dict` wrote. Raises ValueError, TypeError or KeyError."""
        if tuple(data["features"]) != FEATURES or len(data["weights"]) != len(FEATURES):
            raise ValueError("it is for other features")
        curve = tuple((float(threshold), float(wrong)) for threshold, wrong in data["curve"])
        return cls(tuple(float(weight) for weight in data["weights"]), float(data["bias"]), curve)

    def as_dict(self, made_by: str) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "features": list(FEATURES),
            "weights": [round(weight, 4) for weight in self.weights],
            "bias": round(self.bias, 4),
            "curve": [[round(threshold, 4), wrong] for threshold, wrong in self.curve],
            "made_by": made_by,
        }

    def probability(self, values: Sequence[float]) -> float:
        """The probability that the best sentence answers the question."""
        return _logistic(self._sum(values))

    def threshold(self, max_wrong: float) -> float:
        """The lowest probability at which no more than `max_wrong` of the answers given were wrong.

        A share smaller than any that was measured asks of each answer what is otherwise asked of their mean.
        """
        within = [threshold for threshold, wrong in self.curve if wrong <= max_wrong]
        return min(within) if within else max([1 - max_wrong, *(threshold for threshold, _ in self.curve)])

    def refitted(self, values: Sequence[Sequence[float]], right: Sequence[bool]) -> Calibration:
        """The same model on another scale, for questions asked of other documents (Platt 1999).

        Two numbers are fitted, so that some sixty questions are enough; the curve is what the probabilities promise.
        """
        sums = [self._sum(row) for row in values]
        slope, shift = _platt(sums, right)
        weights = tuple(slope * weight for weight in self.weights)
        bias = slope * self.bias + shift
        probabilities = [_logistic(slope * one + shift) for one in sums]
        return Calibration(weights, bias, curve(probabilities, [1 - p for p in probabilities]))

    def _sum(self, values: Sequence[float]) -> float:
        return self.bias + sum(weight * value for weight, value in zip(self.weights, values, strict=True))


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


def curve(
    probabilities: Sequence[float], wrong: Sequence[float], weights: Sequence[float] = ()
) -> tuple[tuple[float, float], ...]:
    """(threshold, share of wrong answers among those given): the lowest threshold that keeps within each of `POINTS`.

    `wrong` is 1 for an answer that was wrong, 0 for a right one, or how likely it is. `weights` say how much each counts.
    """
    weights = weights or [1.0] * len(probabilities)
    given = sorted(zip(probabilities, wrong, weights, strict=True), reverse=True)
    total = total_wrong = 0.0
    shares: list[tuple[float, float]] = []
    for number, (probability, one, weight) in enumerate(given, start=1):
        total, total_wrong = total + weight, total_wrong + weight * one
        last_of_equals = number == len(given) or given[number][0] < probability
        if number >= _FEWEST and last_of_equals:
            shares.append((probability, total_wrong / total))
    points = []
    for allowed in POINTS:
        within = [probability for probability, share in shares if share <= allowed]
        if within:
            points.append((min(within), allowed))
    return tuple(points)


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))


def _platt(sums: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Slope and shift of the logistic curve through (sum, right or not), by Newton's steps from (1, 0)."""
    slope, shift, pull = 1.0, 0.0, _PULL * len(sums) + 1e-6
    for _ in range(50):
        first = [pull * (slope - 1), pull * shift]
        second = [pull, 0.0, pull]
        for z, good in zip(sums, right, strict=True):
            p = _logistic(slope * z + shift)
            first[0] += (p - good) * z
            first[1] += p - good
            spread = p * (1 - p)
            second = [second[0] + spread * z * z, second[1] + spread * z, second[2] + spread]
        determinant = second[0] * second[2] - second[1] ** 2
        steps = (
            (second[2] * first[0] - second[1] * first[1]) / determinant,
            (second[0] * first[1] - second[1] * first[0]) / determinant,
        )
        # Bounded: far out the curve is flat, and a whole step would leap away.
        slope, shift = slope - max(-1.0, min(1.0, steps[0])), shift - max(-1.0, min(1.0, steps[1]))
        if max(map(abs, steps)) < 1e-6:
            break
    return max(slope, 0.05), shift
