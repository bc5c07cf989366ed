"""Concurrent searches answered by one call: what a GPU does for one question it does for many in nearly the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ingest.embedder import Vectors
from ingest.vectors.library import Ids, Scores

MOST = 1024
"""Questions of one call."""


def _closed() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Waiting:
    """One who asks. Each sleeps at a lock of its own: at one for all, everyone would have to pass through it to leave."""

    vector: Vectors
    k: int
    asleep: threading.Lock = field(default_factory=_closed)
    found: tuple[Scores, Ids] | None = None
    fault: Exception | None = None


class Together:
    """Turns a search of many vectors at once, which must not run twice at a time, into one that threads may call with one.

    Who comes while nothing runs asks for himself at once. Those who come meanwhile wait; then the first of them asks for all.
    """

    def __init__(self, search: Callable[[Vectors, int], tuple[Scores, Ids]]) -> None:
        self._search = search
        self._waiting: list[_Waiting] = []
        self._running = False
        self._lock = threading.Lock()

    def search(self, vector: Vectors, k: int) -> tuple[Scores, Ids]:
        """Scores and rows of the `k` nearest to one vector (shape (dimension,)), best first; both of shape (k,)."""
        mine = _Waiting(vector, k)
        with self._lock:
            self._waiting.append(mine)
            mine_to_run, self._running = not self._running, True
        if not mine_to_run:
            mine.asleep.acquire()  # until there is an answer, or it is our turn to ask
        if mine.found is None and mine.fault is None:
            self._run()
        if mine.fault:
            raise mine.fault
        assert mine.found is not None
        return mine.found

    def _run(self) -> None:
        """One call for those who wait, of whom the first is the caller; then the next one's turn."""
        with self._lock:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            scores, rows = self._search(np.stack([one.vector for one in some]), max(one.k for one in some))
            for at, one in enumerate(some):
                one.found = scores[at, : one.k], rows[at, : one.k]
        except Exception as error:  # whatever it is belongs to each of them
            for one in some:
                one.fault = error
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._running = following is not None
        if following:
            following.asleep.release()
        for one in some[1:]:
            one.asleep.release()
