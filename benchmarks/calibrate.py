"""Fits the probability that an answer is right on three sources, each counting the same; writes calibration.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

import rag_bot
from benchmarks.answers import SOURCES, Asked, Numbers, ask_all, half_of
from benchmarks.registry import Options
from rag_bot.confidence import FILE, Calibration, curve

_PENALTY = 0.03  # so strong that no feature is trusted for what it does on one source alone


def run(options: Options) -> dict[str, Any]:
    """Fit on all questions; the curve is of probabilities from models fitted on the other half of each source."""
    asked = ask_all(quick=options.quick)
    weights = weights_of(asked)
    whole = fit(asked, weights)
    p = np.zeros(len(asked))
    halves = np.asarray([half_of(one) for one in asked])
    for half in (0, 1):
        other = [one for one, number in zip(asked, halves, strict=True) if number != half]
        model = fit(other, weights_of(other))
        p[halves == half] = [model.probability(one.values) for one in asked if half_of(one) == half]
    points = curve(p.tolist(), [float(not one.right) for one in asked], weights.tolist())
    made_by = f"python -m benchmarks calibrate ({', '.join(SOURCES)})"
    made = Calibration(whole.weights, whole.bias, points).as_dict(made_by)
    if not options.quick:
        path = Path(rag_bot.__path__[0]) / FILE
        path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return {**made, "questions": len(asked)}


def weights_of(asked: Sequence[Asked]) -> Numbers:
    """What each question counts, so that every source counts 1."""
    counts = {source: sum(one.source == source for one in asked) for source in SOURCES}
    return np.asarray([1 / counts[one.source] for one in asked])


def fit(asked: Sequence[Asked], counts: Numbers) -> Calibration:
    """Logistic regression with an L2 penalty on standardised features; weights for the features as they are, no curve."""
    values = np.asarray([one.values for one in asked])
    right = np.asarray([one.right for one in asked])
    counts = counts / counts.sum()
    mean = counts @ values
    spread = np.sqrt(counts @ (values - mean) ** 2) + 1e-9
    standard = (values - mean) / spread

    def loss(parameters: Numbers) -> tuple[float, Numbers]:
        z = standard @ parameters[:-1] + parameters[-1]
        p = 1 / (1 + np.exp(-z))
        cost = float(counts @ np.logaddexp(0, np.where(right, -z, z))) + _PENALTY * float(parameters[:-1] @ parameters[:-1])
        gradient = standard.T @ (counts * (p - right)) + 2 * _PENALTY * parameters[:-1]
        return cost, np.append(gradient, counts @ (p - right))

    found: Numbers = minimize(loss, np.zeros(values.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return Calibration(tuple(float(w) for w in weights), float(found[-1] - weights @ mean), ())
