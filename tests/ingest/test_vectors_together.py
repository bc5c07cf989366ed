"""Many threads that search one at a time are answered by few calls, each with its own answer or fault."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ingest.embedder import Vectors
from ingest.vectors.library import Ids, Scores
from ingest.vectors.together import Together

VECTORS: Vectors = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)


class Slow:
    """Exact search that takes a while, however many it is asked, and would notice a second call at the same time."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self._alone = threading.Lock()

    def __call__(self, asked: Vectors, k: int) -> tuple[Scores, Ids]:
        assert self._alone.acquire(blocking=False), "two calls at a time"
        try:
            self.calls.append(len(asked))
            time.sleep(0.01)
            if (asked == 0).all(axis=1).any():
                raise RuntimeError("a vector of zeros")
            scores = asked @ VECTORS.T
            rows = np.argsort(-scores, axis=1)[:, :k]
            return np.take_along_axis(scores, rows, 1), rows
        finally:
            self._alone.release()


def test_many_threads_are_answered_together_each_with_its_own() -> None:
    slow = Slow()
    together = Together(slow)

    def ask(number: int) -> bool:
        k = 1 + number % 7
        scores, rows = together.search(VECTORS[number], k)
        expected = np.argsort(-(VECTORS @ VECTORS[number]))[:k]
        return rows.tolist() == expected.tolist() and scores.shape == (k,)

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(500)))
    assert sum(slow.calls) == 500 and len(slow.calls) < 250


def test_one_alone_does_not_wait_for_others() -> None:
    slow = Slow()
    together = Together(slow)
    for number in range(3):
        assert together.search(VECTORS[number], 5)[1].shape == (5,)
    assert slow.calls == [1, 1, 1]


def test_a_fault_reaches_all_who_were_asked_for_and_nobody_after() -> None:
    together = Together(Slow())
    zeros = np.zeros(8, np.float32)
    with pytest.raises(RuntimeError, match="zeros"):
        together.search(zeros, 3)
    assert together.search(VECTORS[1], 3)[1].shape == (3,)

    def ask(number: int) -> str:
        try:
            return str(len(together.search(zeros if number % 10 == 0 else VECTORS[number], 3)[1]))
        except RuntimeError:
            return "fault"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    assert {answers[number] for number in range(0, 200, 10)} == {"fault"} and set(answers) <= {"3", "fault"}
    assert together.search(VECTORS[2], 3)[1].shape == (3,)
