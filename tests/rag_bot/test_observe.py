"""The trace of a question."""

from __future__ import annotations

import pytest

from rag_bot.observe import Trace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, as a list of one number that a test moves on."""
    now = [100.0]
    monkeypatch.setattr("rag_bot.observe.time.perf_counter", lambda: now[0])
    return now


def test_steps_are_added_up_and_marks_kept_once(clock: list[float]) -> None:
    trace = Trace()
    for seconds in (0.25, 0.5):
        with trace.step("gate"):
            clock[0] += seconds
        trace.mark("first_sentence")
    clock[0] += 1.0
    assert trace.timings_ms() == {"gate": 750.0, "first_sentence": 250.0, "total": 1750.0}


def test_a_step_that_fails_is_timed_and_fails(clock: list[float]) -> None:
    trace = Trace()

    def fail() -> None:
        with trace.step("search"):
            clock[0] += 0.0012345
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert trace.timings_ms() == {"search": pytest.approx(1.234, abs=0.001), "total": pytest.approx(1.234, abs=0.001)}


def test_steps_may_stand_in_one_another(clock: list[float]) -> None:
    trace = Trace()
    with trace.step("answer"):
        clock[0] += 1
        with trace.step("gate"):
            clock[0] += 2
    assert trace.timings_ms() == {"gate": 2000.0, "answer": 3000.0, "total": 3000.0}


def test_a_trace_of_nothing_has_its_total() -> None:
    assert set(Trace().timings_ms()) == {"total"}
