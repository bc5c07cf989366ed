"""One trace for each question: how long each step took, in milliseconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Trace:
    """Collects the steps of one question."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside; a step done twice is added up."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._steps[name] = self._steps.get(name, 0.0) + (time.perf_counter() - began) * 1000

    def mark(self, name: str) -> None:
        """Note, once, how long after the beginning something happened."""
        self._steps.setdefault(name, (time.perf_counter() - self._began) * 1000)

    def timings_ms(self) -> dict[str, float]:
        """Each step's milliseconds, and `total` since the beginning."""
        total = (time.perf_counter() - self._began) * 1000
        return {name: round(ms, 3) for name, ms in {**self._steps, "total": total}.items()}
