"""Records to the figures of a report: means with intervals, by kind and by document, risk over coverage, latency, cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from rag_bot.eval import bootstrap
from rag_bot.eval.bootstrap import Estimate
from rag_bot.eval.metrics import MEASURES, figures
from rag_bot.eval.types import Record

PERCENTILES = (50, 95, 99)
_WORST = 20
_MOST_GROUPS = 30


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the questions: how many, and their figures."""

    name: str
    count: int
    scores: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Risk:
    """Share of wrong answers over the share of questions answered, the most confident first.

    `points` are (coverage, risk, confidence); `area` is the mean of the risk over all coverages (AURC), with its interval;
    `at` is where the threshold in use stands; `whole` says whether what was refused was answered, too, for the curve.
    """

    points: Sequence[tuple[float, float, float]]
    area: Estimate
    at: tuple[float, float]
    whole: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of a run. `latency` has, for each step, its percentiles in milliseconds by `PERCENTILES`. `fell_back` counts
    questions on which an LLM failed and another, or quotes, took its place."""

    count: int
    outcomes: Mapping[str, int]
    scores: Mapping[str, Estimate]
    by_kind: Sequence[Group]
    by_document: Sequence[Group]
    risk: Risk | None
    latency: Mapping[str, tuple[float, ...]]
    prompt_tokens: int
    completion_tokens: int
    cost: float
    lost: int
    failed: int
    fell_back: int
    worst: Sequence[Record]


def summarise(records: Sequence[Record]) -> Summary:
    """The figures of a run's records. Raises ExtraMissing."""
    scored = figures(records)
    return Summary(
        count=len(records),
        outcomes=dict(Counter(record.outcome or "unknown" for record in records)),
        scores=_means(scored),
        by_kind=_groups(records, scored, lambda record: [record.case.kind or "(none)"]),
        by_document=_groups(records, scored, _documents),
        risk=risk(records),
        latency=latency(records),
        prompt_tokens=sum(record.prompt_tokens for record in records),
        completion_tokens=sum(record.completion_tokens for record in records),
        cost=sum(record.cost for record in records),
        lost=sum(record.lost for record in records),
        failed=sum(bool(record.error) for record in records),
        fell_back=sum(bool(record.fallbacks) for record in records),
        worst=worst(records, scored),
    )


def _means(scored: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    columns = {name: [one[name] for one in scored if name in one] for name in MEASURES}
    return {name: bootstrap.mean(values) for name, values in columns.items() if values}


def _groups(
    records: Sequence[Record], scored: Sequence[Mapping[str, float]], names: Callable[[Record], Iterable[str]]
) -> list[Group]:
    """The largest groups, by name; none where all questions are in one."""
    members: dict[str, list[int]] = {}
    for at, record in enumerate(records):
        for name in dict.fromkeys(names(record)):
            members.setdefault(name, []).append(at)
    if len(members) < 2:
        return []
    largest = sorted(members.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:_MOST_GROUPS]
    return [Group(name, len(places), _means([scored[at] for at in places])) for name, places in sorted(largest)]


def _documents(record: Record) -> list[str]:
    """The documents that a question wants, or hides, by the ends of their paths."""
    return [PurePath(place.document).name or place.document for place in (*record.case.wanted, *record.case.hidden)]


# --- risk and coverage


def risk(records: Sequence[Record]) -> Risk | None:
    """None where nothing was answered, or nobody knows what is right."""
    known = [record for record in records if record.case.answerable is not None and not record.error]
    answered = [(r.confidence, not r.right) for r in known if not r.refused]
    if not answered:
        return None
    beyond = [(r.confidence, not r.beyond.right) for r in known if r.refused and r.beyond]
    every = np.asarray(answered + beyond, dtype=np.float64)
    points = _curve(every, len(known))
    area = bootstrap.of(len(every), lambda drawn: area_under(every[drawn]))
    at = (len(answered) / len(known), sum(wrong for _, wrong in answered) / len(answered))
    return Risk(points, area, at, bool(beyond) or not any(r.refused for r in known))


def _curve(every: bootstrap.Numbers, total: int) -> list[tuple[float, float, float]]:
    """A point for each confidence that an answer has: answers that share one come or go together."""
    ordered = every[np.argsort(-every[:, 0], kind="stable")]
    count = np.arange(1, len(ordered) + 1)
    wrong = np.cumsum(ordered[:, 1])
    last = np.append(ordered[1:, 0] != ordered[:-1, 0], True)
    return [
        (float(n / total), float(w / n), float(c)) for n, w, c in zip(count[last], wrong[last], ordered[last, 0], strict=True)
    ]


def area_under(every: bootstrap.Numbers) -> float:
    """The mean risk over coverages (AURC, Geifman & El-Yaniv 2019); within a tie, each answer counts as the tie's mean."""
    values, group = np.unique(-every[:, 0], return_inverse=True)
    sizes = np.bincount(group, minlength=len(values))
    shares = np.bincount(group, weights=every[:, 1], minlength=len(values)) / sizes
    wrong = np.cumsum(np.repeat(shares, sizes))
    return float(np.mean(wrong / np.arange(1, len(every) + 1)))


# --- latency


def latency(records: Sequence[Record]) -> dict[str, tuple[float, ...]]:
    """Percentiles by step, in the order in which the steps come; `first_sentence` and `total` last."""
    steps: dict[str, list[float]] = {}
    for record in records:
        for step, milliseconds in record.timings_ms.items():
            steps.setdefault(step, []).append(milliseconds)
    order = sorted(
        steps, key=lambda step: ("first_sentence", "total").index(step) if step in ("first_sentence", "total") else -1
    )
    return {step: tuple(percentile(steps[step], percent) for percent in PERCENTILES) for step in order}


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values don't exceed (nearest rank); 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return round(ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)], 3)


# --- the worst


def worst(records: Sequence[Record], scored: Sequence[Mapping[str, float]], most: int = _WORST) -> list[Record]:
    """What went wrong, the gravest first: failures, wrong answers by their confidence, then refusals of what was there, those
    first whose place was found best."""

    def gravity(at: int) -> float:
        record = records[at]
        match record.outcome:
            case "failed":
                return 4.0
            case "wrong":
                return 2.0 + record.confidence
            case "refused":
                return 1.0 + scored[at].get("nDCG@10", 0.0)
        return 0.0

    graded = [(gravity(at), at) for at in range(len(records))]
    return [records[at] for grave, at in sorted(graded, key=lambda pair: -pair[0]) if grave > 0][:most]
