"""Fits the probability that an answer is right on XQuAD, asked with and without its paragraphs; writes calibration.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

import rag_bot
from benchmarks.answers import Asked, ask_all
from benchmarks.registry import Options
from rag_bot.confidence import FEATURES

FOLDS = 4
Numbers = npt.NDArray[np.float64]
POINTS = (0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.22, 0.25, 0.28, 0.3, 0.35, 0.4)


def run(options: Options) -> dict[str, Any]:
    """Fit on all questions; the curve is of probabilities from models that had not seen the question's article."""
    asked = ask_all(quick=options.quick)
    weights, bias = fit(*_arrays(asked))
    probabilities = np.asarray(cross_fitted(asked))
    right = np.asarray([one.right for one in asked])
    calibration = {
        "features": list(FEATURES),
        "weights": [round(float(weight), 4) for weight in weights],
        "bias": round(bias, 4),
        "curve": curve(probabilities, right),
        "made_by": "python -m benchmarks calibrate (XQuAD English, each question with and without its paragraph)",
    }
    if not options.quick:
        path = Path(rag_bot.__path__[0]) / "calibration.json"
        path.write_text(json.dumps(calibration, indent=1) + "\n", encoding="utf-8")
    return {**calibration, "auc": round(area_under_roc(probabilities, right), 4), "questions": len(asked)}


def cross_fitted(asked: Sequence[Asked]) -> list[float]:
    """Each question's probability from a model fitted on other articles."""
    values, right = _arrays(asked)
    groups = sorted({one.group for one in asked})
    fold = np.asarray([groups.index(one.group) % FOLDS for one in asked])
    probabilities = np.zeros(len(asked))
    for number in range(FOLDS):
        held_out = fold == number
        weights, bias = fit(values[~held_out], right[~held_out])
        probabilities[held_out] = 1 / (1 + np.exp(-(values[held_out] @ weights + bias)))
    return [float(p) for p in probabilities]


def fit(values: Numbers, right: npt.NDArray[np.bool_], penalty: float = 1e-3) -> tuple[Numbers, float]:
    """Logistic regression with an L2 penalty on standardised features; weights for the features as they are."""
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-9
    standard = (values - mean) / spread

    def loss(parameters: Numbers) -> tuple[float, Numbers]:
        z = standard @ parameters[:-1] + parameters[-1]
        p = 1 / (1 + np.exp(-z))
        cost = float(np.mean(np.logaddexp(0, np.where(right, -z, z)))) + penalty * float(parameters[:-1] @ parameters[:-1])
        gradient = standard.T @ (p - right) / len(right) + 2 * penalty * parameters[:-1]
        return cost, np.append(gradient, np.mean(p - right))

    found: Numbers = minimize(loss, np.zeros(values.shape[1] + 1), jac=True).x
    weights = found[:-1] / spread
    return weights, float(found[-1] - (weights * mean).sum())


def curve(probabilities: Numbers, right: npt.NDArray[np.bool_]) -> list[tuple[float, float]]:
    """(threshold, share of wrong answers among those given): the lowest threshold that keeps within each of `POINTS`."""
    order = np.argsort(-probabilities)
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    points = []
    for allowed in POINTS:
        within = np.flatnonzero(wrong <= allowed)
        if len(within):
            points.append((round(float(probabilities[order][within[-1]]), 4), allowed))
    return points


def area_under_roc(probabilities: Numbers, right: npt.NDArray[np.bool_]) -> float:
    ranks = np.argsort(np.argsort(probabilities))
    positive = int(right.sum())
    return float((ranks[right].sum() - positive * (positive - 1) / 2) / (positive * (len(right) - positive)))


def _arrays(asked: Sequence[Asked]) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    return np.asarray([one.values for one in asked]), np.asarray([one.right for one in asked])
