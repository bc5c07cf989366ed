"""Two rankings to one by a weighted sum of scores; then the best of it looked at closer, sentence by sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Ranking = Sequence[tuple[int, float]]

KEYWORD_WEIGHT = 0.3
"""Weight of BM25 against the dense score where two rankings become one."""

# What counts when a chunk is looked at closer, beside its cosine: chosen by a grid on one half of the questions of XQuAD,
# SciFact and MTRAG, and reported for the other (benchmarks/results/retrieval.json).
_KEYWORD, _SENTENCE, _LENGTH = 0.5, 0.7, 0.5
# Characters of a word with its space, and the words from which on a chunk is no longer too short to tell much.
_WORD, _ENOUGH = 6, 90


@dataclass(frozen=True, slots=True)
class Looked:
    """A chunk seen closer: its cosine, its BM25 score (0: not found by words), its best sentence's cosine, its length."""

    id: int
    dense: float
    keyword: float
    sentence: float
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


def weigh(chunks: Sequence[Looked]) -> list[tuple[int, float]]:
    """Ids with their scores in 0..1, best first: cosine, BM25 and best sentence, each divided by the best, and the length."""
    dense = _best(chunk.dense for chunk in chunks)
    keyword = _best(chunk.keyword for chunk in chunks)
    sentence = _best(chunk.sentence for chunk in chunks)
    whole = 1 + _KEYWORD + _SENTENCE + _LENGTH

    def score(chunk: Looked) -> float:
        # A chunk of a few words is near to many questions and answers none.
        length = min(1.0, math.log1p(chunk.characters / _WORD) / math.log1p(_ENOUGH))
        told = max(chunk.dense, 0.0) / dense + _SENTENCE * max(chunk.sentence, 0.0) / sentence
        return (told + _KEYWORD * chunk.keyword / keyword + _LENGTH * length) / whole

    return sorted(((chunk.id, score(chunk)) for chunk in chunks), key=lambda pair: (-pair[1], pair[0]))


def _best(scores: Iterable[float]) -> float:
    return max(max(scores, default=0.0), 1e-9)
