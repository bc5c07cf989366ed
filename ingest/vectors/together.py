"""Concurrent searches answered by one call: what a GPU does for one question it does for many in nearly the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ingest.embedder import Vectors
from ingest.vectors.library import Ids, Scores

MOST = 1024
"""Questions of one call."""


@dataclass(slots=True, eq=False)
class _Waiting:
    vector: Vectors
    k: int
    found: tuple[Scores, Ids] | None = None
    fault: Exception | None = None


class Together:
    """Turns a search of many vectors at once, which must not run twice at a time, into one that threads may call with one.

    While a call runs, those who come meanwhile wait; the first of them then asks for all.
    """

    def __init__(self, search: Callable[[Vectors, int], tuple[Scores, Ids]]) -> None:
        self._search = search
        self._waiting: list[_Waiting] = []
        self._adding, self._running = threading.Lock(), threading.Lock()

    def search(self, vector: Vectors, k: int) -> tuple[Scores, Ids]:
        """Scores and rows of the `k` nearest to one vector (shape (dimension,)), best first; both of shape (k,)."""
        mine = _Waiting(vector, k)
        with self._adding:
            self._waiting.append(mine)
        with self._running:
            while mine.found is None and mine.fault is None:
                self._answer()
        if mine.fault:
            raise mine.fault
        assert mine.found is not None
        return mine.found

    def _answer(self) -> None:
        """One call for the first of those who wait."""
        with self._adding:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            scores, rows = self._search(np.stack([one.vector for one in some]), max(one.k for one in some))
        except Exception as error:  # whatever it is belongs to each of them
            for one in some:
                one.fault = error
            return
        for at, one in enumerate(some):
            one.found = scores[at, : one.k], rows[at, : one.k]
