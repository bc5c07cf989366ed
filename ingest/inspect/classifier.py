"""Our own classifier of prompt injection and of requests for harm: hashed n-grams and, where it fits, the embedder's vector.

A logistic regression whose weights `benchmarks/train_rails.py` writes to `classifier.npz`; the model card is
`docs/rails-model-card.md`. Two heads: `attack` (injection and jailbreak) and `harm`, and a model that names the policy
category of a harm. Each head has weights with and without the text's vector, since another embedder's vectors mean nothing
to it.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Slots: TypeAlias = npt.NDArray[np.int64]
Head = Literal["attack", "harm"]
HEADS: tuple[Head, ...] = ("attack", "harm")

WINDOW = 1000
"""Characters of a text that are read as one."""

SCALES = ((WINDOW, 800), (350, 250))
"""How a longer text is read: in windows of so many characters, one every so many. The large ones see a prompt that goes on and
on, the small ones a few sentences that stand in the middle of something else."""

MAX_READ = 24_000
"""Of a longer text so many characters are read, half from each end."""

_IN_LONG: dict[str, float] = {"attack": 0.0, "harm": 0.93}
"""The least probability that refuses a text of several windows: where many are read, one of them soon looks like harm by
chance (`benchmarks/rails.py` measures long texts)."""

SLOTS = 1 << 17
"""Columns that n-grams are hashed to."""

CATEGORY_SLOTS = 1 << 13
"""Columns of the model that names the category: the same ones, folded."""

_GRAMS = (2, 3, 4, 5)
_WORD = re.compile(r"\w+|[^\w\s]")
_MODEL = Path(__file__).with_name("classifier.npz")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a text passes. `score` is in 0..1, higher is worse; `category` is what it is refused for, empty where it
    passes; `reason` says why in a few words that never repeat the text."""

    allowed: bool
    score: float = 0.0
    category: str = ""
    reason: str = ""


ALLOWED = Judgement(True)


def windows(text: str) -> list[str]:
    """The pieces of a text that are read one by one; the first is its beginning."""
    if len(text) <= WINDOW:
        return [text]
    if len(text) > MAX_READ:
        text = text[: MAX_READ // 2] + "\n" + text[-MAX_READ // 2 :]
    return [text[at : at + size] for size, step in SCALES for at in range(0, len(text) - size + step, step)]


def features(text: str) -> tuple[Slots, Floats]:
    """The columns that a plain text's n-grams fall into, each once, and what each weighs; the weights' squares sum to 1.

    Characters by twos to fives in lower case with white space folded, words by ones and twos.
    """
    words = _WORD.findall(text.lower())
    line = f" {' '.join(words)} "
    codes = np.frombuffer(line.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    parts = [_character_grams(codes, n) for n in _GRAMS]
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    parts.append(np.array([zlib.crc32(gram.encode("utf-8", "replace")) for gram in (*words, *pairs)], dtype=np.uint64))
    slots, counts = np.unique(np.concatenate(parts) % SLOTS, return_counts=True)
    weights = np.sqrt(counts).astype(np.float32)  # between a mere yes and a full count
    return slots.astype(np.int64), weights / max(float(np.linalg.norm(weights)), 1e-6)


def _character_grams(codes: npt.NDArray[np.uint64], n: int) -> npt.NDArray[np.uint64]:
    if len(codes) < n:
        return np.zeros(0, dtype=np.uint64)
    hashes = np.full(len(codes) - n + 1, n, dtype=np.uint64)
    for at in range(n):
        # Multiplication wraps round, which is what a hash wants; the last step mixes high bits into the low ones.
        hashes = (hashes ^ codes[at : len(codes) - n + 1 + at]) * np.uint64(0x9E3779B97F4A7C15)
    return hashes >> np.uint64(32)


@dataclass(frozen=True, slots=True)
class Weights:
    """One head's regression: a weight for each column, those of the vector (none: shape (0,)), the intercept, Platt's two
    numbers (`slope`, `offset`), and the probability from which on a text is refused."""

    columns: Floats
    vector: Floats
    bias: float
    slope: float
    offset: float
    threshold: float

    def value(self, slots: Slots, weights: Floats, vector: Floats | None) -> float:
        """How far on the bad side of the plane a text lies."""
        value = float(self.columns[slots] @ weights) + self.bias
        return value if vector is None else value + float(self.vector @ vector)

    def probability(self, value: float) -> float:
        return float(1 / (1 + np.exp(np.clip(-(self.slope * value + self.offset), -60, 60))))


@dataclass(frozen=True, slots=True)
class Scored:
    """What a head makes of a text: a calibrated probability, and the one from which on a text is refused."""

    probability: float
    threshold: float

    @property
    def refused(self) -> bool:
        return self.probability >= self.threshold


class Classifier:
    """The weights of both heads and of the categories. Safe to use from several threads: nothing changes after loading."""

    def __init__(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        self.fingerprint = str(arrays["fingerprint"])
        """Of the embedder whose vectors the weights were trained with."""
        self._heads = {(head, seen): _unpacked(arrays, f"{head}_{seen}") for head in HEADS for seen in (True, False)}
        self._categories = [str(name) for name in arrays["categories"]]
        self._category_columns = arrays["category_columns"].astype(np.float32) * arrays["category_scale"].astype(np.float32)

    @classmethod
    def load(cls, path: Path = _MODEL) -> Classifier:
        """The classifier in a file that `train_rails` wrote. Raises OSError, KeyError or ValueError for another."""
        with np.load(path, allow_pickle=False) as file:
            return cls({name: file[name] for name in file.files})

    def fits(self, fingerprint: str) -> bool:
        """Whether the vectors of the embedder with this fingerprint mean something to it."""
        return fingerprint == self.fingerprint

    def probability(self, head: Head, text: str, vector: Floats | None = None) -> Scored:
        """The worst of a plain text's windows. `vector` is the text's unit vector by the embedder that `fits`, whose first
        tokens it stands for: it counts for the first window."""
        worst = Scored(0.0, 1.0)
        pieces = windows(text)
        least = _IN_LONG[head] if len(pieces) > 1 else 0.0
        for number, window in enumerate(pieces):
            seen = number == 0 and vector is not None and len(vector) == len(self._heads[head, True].vector)
            weights = self._heads[head, seen]
            probability = weights.probability(weights.value(*remembered(window), vector if seen else None))
            threshold = max(weights.threshold, least)
            if probability / threshold > worst.probability / worst.threshold:
                worst = Scored(probability, threshold)
        return worst

    def category(self, text: str) -> str:
        """The policy category that a harmful text belongs to most likely."""
        slots, weights = remembered(text[:WINDOW])
        return self._categories[int(np.argmax(self._category_columns[:, slots % CATEGORY_SLOTS] @ weights))]


@cache
def classifier() -> Classifier:
    """The one in use, loaded when it is first needed."""
    return Classifier.load()


remembered = lru_cache(maxsize=256)(features)  # both heads look at the same text one after the other


def packed(name: str, weights: Weights) -> dict[str, npt.NDArray[Any]]:
    """The arrays that hold a head's weights in a file: a byte for each column's."""
    scale = float(np.abs(weights.columns).max()) / 127 or 1.0
    numbers = [weights.bias, weights.slope, weights.offset, weights.threshold, scale]
    return {
        f"{name}_columns": np.round(weights.columns / scale).astype(np.int8),
        f"{name}_vector": weights.vector.astype(np.float16),
        f"{name}_numbers": np.array(numbers, dtype=np.float64),
    }


def _unpacked(arrays: dict[str, npt.NDArray[Any]], name: str) -> Weights:
    bias, slope, offset, threshold, scale = (float(number) for number in arrays[f"{name}_numbers"])
    columns = arrays[f"{name}_columns"].astype(np.float32) * np.float32(scale)
    return Weights(columns, arrays[f"{name}_vector"].astype(np.float32), bias, slope, offset, threshold)
