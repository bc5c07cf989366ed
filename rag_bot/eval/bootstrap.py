"""How sure a mean is: intervals by the bootstrap (Efron 1979), the same at every run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
LEVEL = 0.95
_SEED = 7
_BLOCK = 2_000_000  # drawn numbers held at once

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, the interval that it lies in with the level's probability, and how many values it was made from."""

    value: float
    low: float
    high: float
    count: int

    @property
    def away_from_zero(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def mean(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """The mean of values and its percentile interval; for a paired difference, give the differences. Zeros for no values."""
    if not values:
        return Estimate(0.0, 0.0, 0.0, 0)
    numbers = np.asarray(values, dtype=np.float64)
    means = np.concatenate([numbers[drawn].mean(axis=1) for drawn in _draws(len(numbers), RESAMPLES)])
    return _estimate(float(numbers.mean()), means, level, len(numbers))


def difference(before: Sequence[float], after: Sequence[float], level: float = LEVEL) -> Estimate:
    """The mean of `after` less that of `before`, where the two have nothing to do with one another. Zeros if one is empty."""
    if not before or not after:
        return Estimate(0.0, 0.0, 0.0, 0)
    old, new = (np.asarray(values, dtype=np.float64) for values in (before, after))
    means = [
        np.concatenate([numbers[drawn].mean(axis=1) for drawn in _draws(len(numbers), RESAMPLES, seed)])
        for seed, numbers in enumerate((old, new), _SEED)
    ]
    return _estimate(float(new.mean() - old.mean()), means[1] - means[0], level, len(old) + len(new))


def of(count: int, figure: Callable[[npt.NDArray[np.intp]], float], level: float = LEVEL, resamples: int = 500) -> Estimate:
    """As `mean`, for any figure that is made from a choice of `count` things (their places, with repetition)."""
    if not count:
        return Estimate(0.0, 0.0, 0.0, 0)
    figures = np.asarray([figure(row) for drawn in _draws(count, resamples) for row in drawn], dtype=np.float64)
    return _estimate(figure(np.arange(count)), figures, level, count)


def _estimate(value: float, resampled: Numbers, level: float, count: int) -> Estimate:
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), count)


def _draws(count: int, resamples: int, seed: int = _SEED) -> list[npt.NDArray[np.intp]]:
    """Places with repetition, a row for each resample, in blocks."""
    random = np.random.default_rng(seed)
    step = max(1, _BLOCK // count)
    return [random.integers(0, count, (min(step, resamples - at), count)) for at in range(0, resamples, step)]
