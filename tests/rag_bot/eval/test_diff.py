"""What got better and what worse, and whether it is more than noise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag_bot.errors import BadDataset
from rag_bot.eval.diff import compare
from rag_bot.eval.types import Record
from tests.rag_bot.eval.support import record


def records(right: int, of: int = 60, rank: int | None = 0) -> list[Record]:
    return [record(str(n), right=n < right, confidence=n / of, rank=rank, timings_ms={"total": 100.0}) for n in range(of)]


def test_the_same_twice_is_no_change() -> None:
    found = compare(records(30), records(30))
    assert found.lost == [] and not found.better and not found.worse
    assert all((c.change.value, c.change.low, c.change.high) == (0.0, 0.0, 0.0) for c in found.changes)


def test_a_large_loss_is_beyond_noise_and_a_gain_is_no_loss() -> None:
    found = compare(records(50), records(20))
    assert {"handled", "right", "wrong"} <= {change.name for change in found.lost}
    assert [pair[1].outcome for pair in found.worse] == ["wrong"] * 30 and not found.better
    change = next(change for change in found.changes if change.name == "handled")
    assert (change.before, change.after, change.change.value) == pytest.approx((50 / 60, 20 / 60, -0.5))
    assert compare(records(20), records(50)).lost == []
    assert len(compare(records(20), records(50)).better) == 30


def test_one_question_of_sixty_is_noise() -> None:
    found = compare(records(31), records(30))
    assert len(found.worse) == 1 and found.lost == []


def test_what_does_not_guard_fails_nothing() -> None:
    found = compare(records(60, rank=0), records(60, rank=3))
    lost = {change.name for change in found.lost}
    assert {"R@1", "R@3", "RR@10", "nDCG@10"} <= lost and "P@1" not in lost
    assert next(change for change in found.changes if change.name == "P@1").sure


def test_more_answers_that_are_wrong_are_a_loss_although_as_many_are_handled() -> None:
    before = [record(str(n), abstained=n >= 30, right=None if n >= 30 else True) for n in range(60)]
    after = [record(str(n), right=n < 30) for n in range(60)]
    assert "wrong" in {change.name for change in compare(before, after).lost}


def test_a_worse_order_of_confidences_is_found() -> None:
    before = records(30)
    before = [replace(one, confidence=1 - one.confidence) for one in before]  # right ones first
    found = compare(before, records(30))
    area = next(change for change in found.changes if change.name == "area")
    assert area.change.value > 0 and area.lost


def test_only_common_questions_count() -> None:
    found = compare(records(30, of=60), records(30, of=50))
    assert (found.count, found.left_out) == (50, 10)
    other = [replace(one, case=replace(one.case, question="Something else?")) for one in records(5, of=5)]
    with pytest.raises(BadDataset, match="no question in common"):
        compare(records(5, of=5), other)


def test_slower_is_shown_and_fails_nothing() -> None:
    slow = [replace(one, timings_ms={"total": 900.0}) for one in records(30)]
    found = compare(records(30), slow)
    assert found.latency == {"total": (100.0, 900.0)}
    assert found.lost == []
