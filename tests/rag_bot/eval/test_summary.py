"""Means, intervals, risk over coverage, latency and the worst questions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rag_bot.eval import bootstrap
from rag_bot.eval.summary import area_under, latency, percentile, risk, summarise
from rag_bot.eval.types import Beyond, Case, Record, Wanted
from tests.rag_bot.eval.support import cited, record, said


def answered(id: str, confidence: float, right: bool) -> Record:
    return record(id, confidence=confidence, right=right)


def test_an_interval_holds_the_mean_and_narrows_with_more() -> None:
    few, many = bootstrap.mean([0.0, 1.0] * 5), bootstrap.mean([0.0, 1.0] * 500)
    assert few.value == many.value == 0.5
    assert few.low < many.low < 0.5 < many.high < few.high
    # About what the normal law says of a share: 1.96 standard errors.
    assert many.high - 0.5 == pytest.approx(1.96 * 0.5 / 1000**0.5, rel=0.1)
    assert bootstrap.mean([0.0, 1.0] * 5) == few
    assert bootstrap.mean([]) == bootstrap.Estimate(0.0, 0.0, 0.0, 0)


def test_the_area_is_the_mean_risk_over_coverages() -> None:
    rows = np.asarray([(0.9, 0), (0.8, 1), (0.7, 0), (0.1, 1)])
    assert area_under(rows) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    tied = np.asarray([(0.5, 0), (0.5, 1), (0.1, 1)])
    assert area_under(tied) == area_under(tied[[1, 0, 2]]) == pytest.approx((0.5 + 0.5 + 2 / 3) / 3)


def test_risk_over_coverage_uses_what_was_refused_where_it_is_known() -> None:
    records = [
        answered("a", 0.9, True),
        answered("b", 0.6, False),
        record("c", abstained=True, confidence=0.3, beyond=Beyond("x", True)),
        record("d", case=Case("d", "D?", False), abstained=True, confidence=0.1, beyond=Beyond("x", False)),
        record("e", case=Case("e", "E?", None), confidence=0.95),  # nobody knows: no part of it
    ]
    found = risk(records)
    assert found is not None
    assert [(c, r) for c, r, _ in found.points] == [(0.25, 0.0), (0.5, 0.5), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]
    assert found.at == (0.5, 0.5)
    assert found.whole
    cut_off = risk([replace(one, beyond=None) for one in records])
    assert cut_off is not None and not cut_off.whole and len(cut_off.points) == 2


def test_no_risk_where_nothing_was_answered() -> None:
    assert risk([record("a", abstained=True)]) is None
    assert risk([]) is None


def test_percentiles_by_step_with_the_total_last() -> None:
    records = [Record(Case(str(n), "?"), timings_ms={"total": n + 1.0, "embed": 2.0}) for n in range(100)]
    assert latency(records) == {"embed": (2.0, 2.0, 2.0), "total": (50.0, 95.0, 99.0)}
    assert percentile([7.0], 99) == 7.0 and percentile([], 50) == 0.0


def test_groups_and_the_worst() -> None:
    def asked(id: str, document: str, kind: str) -> Case:
        return Case(id, f"Question {id}?", True, wanted=(Wanted(f"/docs/{document}", "q"),), kind=kind)

    right: dict[str, Any] = {"sentences": (said(),), "citations": (cited(0),)}
    records = [
        record("a", case=asked("a", "one.md", "fact"), **right),
        record("b", case=asked("b", "one.md", "fact"), abstained=True, confidence=0.1),
        record("c", case=asked("c", "two.md", "table"), confidence=0.9, right=False),
        record("d", case=asked("d", "two.md", "table"), confidence=0.5, right=False),
        record("e", case=asked("e", "two.md", "table"), error="broken"),
        record("f", case=asked("f", "two.md", "table"), rank=None, abstained=True),
    ]
    summary = summarise(records)
    assert summary.outcomes == {"right": 1, "refused": 2, "wrong": 2, "failed": 1}
    assert [(group.name, group.count) for group in summary.by_kind] == [("fact", 2), ("table", 4)]
    assert [(group.name, group.scores["handled"].value) for group in summary.by_document] == [("one.md", 0.5), ("two.md", 0.0)]
    assert [one.case.id for one in summary.worst] == ["e", "c", "d", "b", "f"]
    assert summary.failed == 1


def test_no_questions_at_all() -> None:
    empty = summarise([])
    assert (empty.count, empty.scores, empty.risk, empty.worst) == (0, {}, None, [])
