"""A network's batches in several threads at once, each with its share of the cores: none waits for another's slowest core."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Made = TypeVar("Made")

_MOST = 8  # lanes; on more cores each lane takes several, so that Python's part of a batch stays small beside its network's


class Lanes:
    """Threads in which torch takes one core each, or a few where there are more cores than lanes."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def map(self, work: Callable[[Part], Made], parts: Iterable[Part]) -> Iterator[Made]:
        """As the built-in `map`, but all parts are begun at once, as lanes come free."""
        with self._starting:
            self._pool = self._pool or _started()
        return self._pool.map(work, parts)


def _started() -> ThreadPoolExecutor:
    import torch

    cores = torch.get_num_threads()
    share = -(-cores // _MOST)
    lanes = cores // share
    there = threading.Barrier(lanes)

    def begin() -> None:
        torch.get_num_threads()  # a thread that has not asked yet would take the whole process's number later
        torch.set_num_threads(share)

    pool = ThreadPoolExecutor(lanes, thread_name_prefix="embed-lane", initializer=begin)
    list(pool.map(lambda _: there.wait(), range(lanes)))
    torch.set_num_threads(cores)  # each lane's setting was also what threads to come would have got
    return pool
