"""What the tests of detectors share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from ingest.inspect import Finding, masked

Find = Callable[[str], list[Finding]]


def values(text: str, findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """What was found, as (kind, the text itself)."""
    return [(one.kind, text[one.start : one.end]) for one in findings]


def holds(text: str, findings: Sequence[Finding]) -> None:
    """What is true of the findings of every detector in every text."""
    end = 0
    for one in findings:
        assert end <= one.start < one.end <= len(text), "inside, in order, none over another"
        assert 0 < one.score <= 1
        assert text[one.start : one.end] not in one.note or one.end - one.start < 3
        end = one.end
    assert len(masked(text, findings)) == len(text)


def growth(find: Find, unit: str, size: int = 6_000, times: int = 8) -> float:
    """How many times longer a text `times` as long takes, over `times`: 1 for linear time, `times` for quadratic.

    The processor's time, and the best of three: other work on the machine doesn't count.
    """

    def cost(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length]
        best = float("inf")
        for _ in range(3):
            began = time.thread_time()
            findings = find(text)
            best = min(best, time.thread_time() - began)
            assert all(one.end <= two.start for one, two in pairwise(findings))
        return best

    return cost(size * times) / max(cost(size), 1e-4) / times
