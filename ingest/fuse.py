"""Two rankings to one by a weighted sum of scores; then the best of it looked at closer, sentence by sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ingest.embedder import Vectors

Ranking = Sequence[tuple[int, float]]

KEYWORD_WEIGHT = 0.3
"""Weight of BM25 against the dense score where two rankings become one."""

# What counts when a chunk is looked at closer, beside its cosine: chosen by a grid on one half of the questions of XQuAD,
# SciFact and MTRAG, and reported for the other (benchmarks/results/retrieval.json).
_KEYWORD, _SENTENCE, _LENGTH, _BESIDE = 0.7, 1.0, 0.6, 0.2
# How near to the question what stands beside a chunk must be, against the nearest of all, to speak for it.
_NEAR = 0.8
# How far the question is moved towards the passage that seems best.
_MOVED = 0.5
# Characters of a word with its space, and the words from which on a chunk is no longer too short to tell much.
_WORD, _ENOUGH = 6, 90


@dataclass(frozen=True, slots=True)
class Looked:
    """A chunk seen closer: its vector, its BM25 score (0: not found by words), the cosine of its best sentence and that of the
    nearer of the two chunks beside it in its document (None: it is all of it), its length."""

    id: int
    vector: Vectors
    keyword: float
    sentence: float
    beside: float | None
    characters: int


def fuse(dense: Ranking, keyword: Ranking, *, keyword_weight: float = KEYWORD_WEIGHT) -> list[tuple[int, float]]:
    """Ids with their fused scores in 0..1, best first.

    Each score is divided by the best of its ranking (max normalisation, Lee 1997); an id that one ranking lacks gets
    nothing from it. Equal scores keep the order of ids, so that results repeat.
    """
    fused: dict[int, float] = {}
    for ranking, weight in ((dense, 1 - keyword_weight), (keyword, keyword_weight)):
        best = max((score for _, score in ranking), default=0.0)
        for i, score in ranking:
            fused[i] = fused.get(i, 0.0) + weight * max(score, 0.0) / best if best > 0 else fused.get(i, 0.0)
    return sorted(fused.items(), key=lambda pair: (-pair[1], pair[0]))


def weigh(chunks: Sequence[Looked], question: Vectors) -> list[tuple[int, float]]:
    """Ids with their scores in 0..1, best first: cosine, BM25 and best sentence, each divided by the best, the length, and
    whether what stands beside is about the question, too.

    They are weighed twice, the second time with the question moved towards the chunk that was best at first: what else is
    like that one is more likely to be meant (Rocchio 1971, with one passage taken for relevant).
    """
    if not chunks:
        return []
    vectors = np.stack([chunk.vector for chunk in chunks])
    cosines = vectors @ question
    nearest = _best(cosines.tolist())
    rest = _without_cosine(chunks, nearest)
    first = int(np.argmax(cosines / nearest + rest))
    moved = vectors @ (question + _MOVED * vectors[first])
    best, whole = _best(moved.tolist()), 1 + _KEYWORD + _SENTENCE + _LENGTH + _BESIDE * (1 - _NEAR)
    scores = np.clip((np.maximum(moved, 0.0) / best + rest) / whole, 0.0, 1.0)
    ids = (chunk.id for chunk in chunks)
    return sorted(zip(ids, scores.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))


def _without_cosine(chunks: Sequence[Looked], nearest: float) -> Vectors:
    """What speaks for each chunk beside its own cosine."""
    keyword = _best(chunk.keyword for chunk in chunks)
    sentence = _best(chunk.sentence for chunk in chunks)

    def one(chunk: Looked) -> float:
        # A chunk of a few words is near to many questions and answers none.
        length = min(1.0, math.log1p(chunk.characters / _WORD) / math.log1p(_ENOUGH))
        told = _KEYWORD * chunk.keyword / keyword + _SENTENCE * max(chunk.sentence, 0.0) / sentence + _LENGTH * length
        return told if chunk.beside is None else told + _BESIDE * (min(max(chunk.beside, 0.0) / nearest, 1.0) - _NEAR)

    return np.asarray([one(chunk) for chunk in chunks], dtype=np.float32)


def _best(scores: Iterable[float]) -> float:
    return max(max(scores, default=0.0), 1e-9)
