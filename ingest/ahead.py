"""Work done ahead of whoever takes its results: by several threads, handed over in order, bounded by bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Ahead(Generic[Job, Result]):
    """Makes a result of each job, by `workers` threads, and hands them over in the jobs' order.

    A job costs what `before` says until it is done and its result what `after` says until it is released, both in bytes; no
    job is begun that would go past `budget`, but for the one that is to be handed over next: so it always goes on.
    An exception of a job is raised where its result would be taken.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        make: Callable[[Job], Result],
        *,
        workers: int,
        budget: int,
        before: Callable[[Job], int],
        after: Callable[[Result], int],
    ) -> None:
        self._jobs, self._make, self._budget, self._before, self._after = jobs, make, budget, before, after
        self._change = threading.Condition()
        self._begun = self._taken = self._held = 0
        self._ready: dict[int, Result | BaseException] = {}
        self._working: dict[int, float] = {}
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"prepare-{n}", daemon=True) for n in range(min(workers, len(jobs)))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def done(self) -> bool:
        """Whether all results have been taken."""
        return self._taken == len(self._jobs)

    def take(self, seconds: float) -> tuple[Result, int] | None:
        """The next result, with the bytes to `release` once it is needed no more; None if it has not come in this time."""
        with self._change:
            if not self._change.wait_for(lambda: self._taken in self._ready, seconds):
                return None
            result = self._ready.pop(self._taken)
            self._taken += 1
            self._change.notify_all()
        if isinstance(result, BaseException):
            raise result
        return result, self._after(result)

    def release(self, size: int) -> None:
        """A result of this size takes up no room any more."""
        with self._change:
            self._held -= size
            self._change.notify_all()

    def working(self) -> list[tuple[Job, float]]:
        """The jobs that are worked on, the one begun first before the others, each with its seconds."""
        now = time.monotonic()
        with self._change:
            return [(self._jobs[at], now - since) for at, since in sorted(self._working.items())]

    def stop(self) -> None:
        """Begin no job any more."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def close(self, seconds: float = 5.0) -> None:
        """Begin no job any more, and wait a little for those that are worked on."""
        self.stop()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (turn := self._begin()) is not None:
            at, cost = turn
            result: Result | BaseException
            try:
                result = self._make(self._jobs[at])
                size = self._after(result)
            except BaseException as error:
                result, size = error, 0
            with self._change:
                self._held += size - cost
                self._ready[at] = result
                del self._working[at]
                self._change.notify_all()

    def _begin(self) -> tuple[int, int] | None:
        """The number of a job that may be begun now, and its cost; waits for its turn. None: there is nothing more to do."""
        asked, cost = -1, 0
        with self._change:
            while not self._closed and self._begun < len(self._jobs):
                at = self._begun
                if at != asked:
                    asked, cost = at, self._before(self._jobs[at])
                if at == self._taken or self._held + cost <= self._budget:
                    self._begun += 1
                    self._held += cost
                    self._working[at] = time.monotonic()
                    return at, cost
                self._change.wait()
        return None
