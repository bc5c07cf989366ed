"""Two runs of the same questions: what got better, what worse, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from rag_bot.errors import BadDataset
from rag_bot.eval import bootstrap
from rag_bot.eval.bootstrap import LEVEL, Estimate
from rag_bot.eval.metrics import MEASURES, Measure, figures
from rag_bot.eval.summary import area_under, percentile
from rag_bot.eval.types import Record

AREA = Measure("Risk-coverage area", "mean risk over coverages", higher=False)


@dataclass(frozen=True, slots=True)
class Change:
    """How a figure changed. `change` is after less before, question by question, with its 95 % interval; `sure` says that
    zero lies outside of an interval widened for the number of figures looked at (Bonferroni)."""

    name: str
    before: float
    after: float
    change: Estimate
    sure: bool

    @property
    def measure(self) -> Measure:
        return MEASURES.get(self.name, AREA)

    @property
    def better(self) -> bool:
        return (self.change.value > 0) == self.measure.higher

    @property
    def lost(self) -> bool:
        """Whether a figure that guards got worse beyond noise."""
        return self.measure.guards and self.sure and not self.better


@dataclass(frozen=True, slots=True)
class Diff:
    """`better` and `worse` are (before, after) of the questions whose outcome changed; `left_out` counts questions that only
    one of the runs has; `latency` has (before, after) in milliseconds at 95 % by step, which fails nothing: machines differ."""

    changes: Sequence[Change]
    better: Sequence[tuple[Record, Record]]
    worse: Sequence[tuple[Record, Record]]
    count: int
    left_out: int
    latency: Mapping[str, tuple[float, float]]

    @property
    def lost(self) -> Sequence[Change]:
        return [change for change in self.changes if change.lost]

    def as_dict(self) -> dict[str, object]:
        return {
            "questions": self.count,
            "left_out": self.left_out,
            "changes": [
                {**asdict(change), "better": change.better, "lost": change.lost, "guards": change.measure.guards}
                for change in self.changes
            ],
            "better": [before.case.id for before, _ in self.better],
            "worse": [before.case.id for before, _ in self.worse],
            "latency_p95_ms": {step: {"before": a, "after": b} for step, (a, b) in self.latency.items()},
            "lost": [change.name for change in self.lost],
        }


_GRADE = {"right": 2, "declined": 2, "refused": 1, "wrong": 0, "failed": 0}


def compare(before: Sequence[Record], after: Sequence[Record]) -> Diff:
    """Hold the runs against each other, by the questions that both have. Raises BadDataset where they have none in common."""
    old, new = {r.case.id: r for r in before}, {r.case.id: r for r in after}
    ids = [i for i in old if i in new and old[i].case.question == new[i].case.question]
    if not ids:
        raise BadDataset("The two runs have no question in common.", "Compare runs of the same set.")
    pairs = [(old[i], new[i]) for i in ids]
    mine, theirs = figures([a for a, _ in pairs]), figures([b for _, b in pairs])
    shared = {
        name: [(a[name], b[name]) for a, b in zip(mine, theirs, strict=True) if name in a and name in b] for name in MEASURES
    }
    shared = {name: values for name, values in shared.items() if values}
    level = 1 - (1 - LEVEL) / max(1, sum(MEASURES[name].guards for name in shared) + 1)
    changes = [_change(name, values, level) for name, values in shared.items()]
    area = _area_change(pairs, level)
    moved = [(a, b, _GRADE[b.outcome] - _GRADE[a.outcome]) for a, b in pairs if a.outcome in _GRADE and b.outcome in _GRADE]
    return Diff(
        changes=[*changes, *([area] if area else [])],
        better=[(a, b) for a, b, by in moved if by > 0],
        worse=[(a, b) for a, b, by in moved if by < 0],
        count=len(ids),
        left_out=len(old.keys() | new.keys()) - len(ids),
        latency=_latency(pairs),
    )


def _change(name: str, values: Sequence[tuple[float, float]], level: float) -> Change:
    by = [b - a for a, b in values]
    return Change(
        name,
        sum(a for a, _ in values) / len(values),
        sum(b for _, b in values) / len(values),
        bootstrap.mean(by),
        bootstrap.mean(by, level).away_from_zero,
    )


def _area_change(pairs: Sequence[tuple[Record, Record]], level: float) -> Change | None:
    """The area of risk over coverage, by the questions that were answered (or would have been) in both runs."""
    both = [(x, y) for a, b in pairs if (x := _risked(a)) and (y := _risked(b))]
    if len(both) < 2:
        return None
    old, new = (np.asarray([pair[at] for pair in both], dtype=np.float64) for at in (0, 1))

    def by(drawn: npt.NDArray[np.intp]) -> float:
        return area_under(new[drawn]) - area_under(old[drawn])

    change, wide = bootstrap.of(len(both), by), bootstrap.of(len(both), by, level)
    return Change("area", area_under(old), area_under(new), change, wide.away_from_zero)


def _risked(record: Record) -> tuple[float, bool] | None:
    if record.case.answerable is None or record.error:
        return None
    if record.refused:
        return (record.confidence, not record.beyond.right) if record.beyond else None
    return record.confidence, not record.right


def _latency(pairs: Sequence[tuple[Record, Record]]) -> dict[str, tuple[float, float]]:
    steps = dict.fromkeys(step for pair in pairs for record in pair for step in record.timings_ms)
    return {
        step: (
            percentile([a.timings_ms[step] for a, _ in pairs if step in a.timings_ms], 95),
            percentile([b.timings_ms[step] for _, b in pairs if step in b.timings_ms], 95),
        )
        for step in steps
    }
