"""Rankings to figures: the best chunk of a document ranks it, and ir_measures scores the ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.data import Question

Ranking = Sequence[tuple[int, float]]


def by_best_chunk(documents: Iterable[str]) -> list[str]:
    """Documents in the order of their best chunks; `documents` has the document of each chunk, best chunk first."""
    return list(dict.fromkeys(documents))


def reciprocal_rank(rankings: Iterable[Ranking], k: int = 60) -> list[tuple[int, float]]:
    """Reciprocal rank fusion (Cormack 2009): each ranking gives 1 / (k + rank) to what it found."""
    fused: dict[int, float] = {}
    for ranking in rankings:
        for rank, (i, _) in enumerate(ranking, start=1):
            fused[i] = fused.get(i, 0.0) + 1 / (k + rank)
    return sorted(fused.items(), key=lambda pair: (-pair[1], pair[0]))


def score(questions: Sequence[Question], found: Mapping[str, Sequence[str]], measures: Sequence[str]) -> dict[str, float]:
    """The means of measures (`nDCG@10`, `R@5`) over all questions; one for which nothing was found counts as 0."""
    import ir_measures

    # The order alone counts: scores that are equal would otherwise be put in another.
    run = {q: {document: -float(rank) for rank, document in enumerate(ranking)} for q, ranking in found.items() if ranking}
    parsed = {name: ir_measures.parse_measure(name) for name in measures}
    means = ir_measures.calc_aggregate(list(parsed.values()), {q.id: q.relevant for q in questions}, run)
    return {name: float(means[measure]) for name, measure in parsed.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values don't exceed (nearest rank); 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
