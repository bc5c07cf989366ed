"""Work done ahead: in order, by several threads, never past its budget, and always going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ingest.ahead import Ahead


def ahead(jobs: list[int], make: Callable[[int], int], *, workers: int = 4, budget: int = 100) -> Ahead[int, int]:
    """Jobs that cost 10 bytes while they are done, and whose results take up 20."""
    return Ahead(jobs, make, workers=workers, budget=budget, before=lambda _: 10, after=lambda _: 20)


def taken(work: Ahead[int, int], *, release: bool = True) -> list[int]:
    results = []
    while not work.done:
        got = work.take(5.0)
        assert got is not None
        results.append(got[0])
        if release:
            work.release(got[1])
    return results


def test_results_come_in_the_order_of_the_jobs_although_they_are_done_in_another() -> None:
    done: list[int] = []

    def make(job: int) -> int:
        time.sleep(0.05 if job % 4 == 0 else 0)
        done.append(job)
        return job * 2

    assert taken(ahead(list(range(20)), make)) == [job * 2 for job in range(20)]
    assert done != sorted(done)


def test_several_are_done_at_once() -> None:
    meeting = threading.Barrier(3, timeout=10)
    assert taken(ahead([1, 2, 3], lambda job: (meeting.wait() and job) or job, workers=3)) == [1, 2, 3]


@pytest.mark.parametrize("workers", [1, 4])
def test_no_more_is_begun_than_there_is_room_for(workers: int) -> None:
    begun: list[int] = []

    def make(job: int) -> int:
        begun.append(job)
        return job

    work = ahead(list(range(50)), make, workers=workers, budget=100)
    time.sleep(0.3)
    # Five results take up all the room, or four and one that was begun before their size was known.
    assert 4 <= len(begun) <= 4 + workers
    assert taken(work) == list(range(50))


def test_it_goes_on_although_nothing_is_released() -> None:
    assert taken(ahead(list(range(30)), lambda job: job, budget=0), release=False) == list(range(30))


def test_a_jobs_error_comes_in_its_place() -> None:
    def make(job: int) -> int:
        if job == 1:
            raise ValueError("one")
        return job

    work = ahead([0, 1, 2], make)
    assert work.take(5.0) == (0, 20)
    with pytest.raises(ValueError, match="one"):
        work.take(5.0)
    assert work.take(5.0) == (2, 20)


def test_what_takes_long_is_named_and_closing_begins_nothing_more() -> None:
    go = threading.Event()
    begun: list[int] = []

    def make(job: int) -> int:
        begun.append(job)
        go.wait(10)
        return job

    work = ahead([7, 8, 9], make, workers=1)
    assert work.take(0.05) is None
    assert [job for job, _ in work.working()] == [7]
    assert work.working()[0][1] >= 0.05
    work.close(0.05)
    go.set()
    work.close()
    assert begun == [7]
