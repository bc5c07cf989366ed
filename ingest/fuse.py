"""Two rankings to one: the weighted sum of scores, each divided by its best."""

from __future__ import annotations

from collections.abc import Sequence

Ranking = Sequence[tuple[int, float]]

KEYWORD_WEIGHT = 0.4
"""Weight of BM25 against the dense score; taken from earlier work on SciFact's training claims, and the best
of .2 to .6 in a quick run on a part of them (benchmarks/results/retrieval.json)."""


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
