"""What chat platforms need to be remembered: taken once, worked on by one, in order, over restarts."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from rag_bot.chat_state import KEPT_SECONDS, ChatState, LeaseLost, Thread, history
from rag_bot.memory import Memory
from rag_bot.types import Answer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(state_url: str, clock: Clock) -> Iterator[ChatState]:
    memory = Memory(state_url)
    yield ChatState(memory, clock)
    memory.close()


def accept(chat: ChatState, key: str, thread: str = "t", position: str = "1", **more: object) -> bool:
    return chat.accept([key], "question", thread, position, {"text": key}, **more)  # type: ignore[arg-type]


def answer(answer_id: str, **more: object) -> Answer:
    return Answer("Yes [1].", False, "q?", "quote", "c", answer_id, **more)  # type: ignore[arg-type]


def test_each_of_its_keys_makes_an_event_known(state: ChatState) -> None:
    assert state.accept(["event:1", "message:a"], "question", "t", "1", {})
    assert not state.accept(["event:2", "message:a"], "question", "t", "1", {})
    assert not state.accept(["event:1", "message:b"], "question", "t", "1", {})
    assert state.accept(["event:2", "message:b"], "question", "t", "2", {})  # what was refused left no key behind
    assert state.waiting() == 2


def test_a_thread_is_one_workers_alone_and_goes_in_order(state: ChatState) -> None:
    for position in ("3", "1", "2"):
        assert accept(state, f"k{position}", position=position)
    job = state.take(10)
    assert job and (job.payload["text"], job.attempts) == ("k1", 1)
    assert state.take(10) is None
    assert accept(state, "other", thread="u")
    other = state.take(10)
    assert other and other.thread == "u"
    state.done(job)
    following = state.take(10)
    assert following and following.payload["text"] == "k2"


def test_a_lease_that_ends_is_taken_over_with_what_was_done(state: ChatState, clock: Clock) -> None:
    accept(state, "k")
    job = state.take(10)
    assert job
    state.progress(job, {"posts": ["1.2"]})
    clock.now += 8
    state.renew(job, 10)
    clock.now += 8
    assert state.take(10) is None
    clock.now += 3
    taken = state.take(10)
    assert taken and (taken.attempts, taken.progress) == (2, {"posts": ["1.2"]})
    with pytest.raises(LeaseLost):
        state.renew(job, 10)
    with pytest.raises(LeaseLost):
        state.progress(job, {})
    with pytest.raises(LeaseLost):
        state.done(job)
    state.done(taken)
    assert state.waiting() == 0


def test_what_is_put_off_holds_up_its_thread_alone(state: ChatState, clock: Clock) -> None:
    accept(state, "k1", position="1")
    accept(state, "k2", position="2")
    job = state.take(10)
    assert job
    state.later(job, 5)
    assert state.take(10) is None
    clock.now += 6
    again = state.take(10)
    assert again and again.payload["text"] == "k1"


def test_what_is_put_by_waits_for_the_thread_to_be_joined(state: ChatState, clock: Clock) -> None:
    accept(state, "early", state="parked", wait=10.0)
    assert state.take(10) is None
    accept(state, "before", position="0", state="parked", wait=10.0)
    state.join("t", "0.5")
    job = state.take(10)
    assert job and job.payload["text"] == "early"
    state.done(job)
    assert state.take(10) is None  # what people said among themselves before that
    accept(state, "gossip", thread="u", state="parked", wait=10.0)
    clock.now += 11
    state.tidy()
    state.join("u")
    assert state.take(10) is None


def test_who_spoke_last_counts_by_time_of_speaking(state: ChatState) -> None:
    assert state.thread("t") == Thread()
    state.join("t")
    state.spoke("t", "2", "ann", to_bot=True)
    state.spoke("t", "1", "bob", to_bot=False)
    assert state.thread("t") == Thread(True, "2", "ann", True)


def test_old_events_are_forgotten(state: ChatState, clock: Clock) -> None:
    accept(state, "k")
    job = state.take(10)
    assert job
    state.done(job)
    clock.now += KEPT_SECONDS + 1
    state.tidy()
    assert accept(state, "k")


def test_answers_turns_and_feedback(state: ChatState) -> None:
    place: dict[str, Any] = {"thread": "t", "channel": "c", "asker": "ann"}
    for position in ("1", "2", "3"):
        state.keep(answer(f"a{position}"), f"question {position}\x00", position=position, **place)
    state.keep(answer("a3b"), "question 3", position="3", **place)  # made again after a kill
    assert [kept.answer_id for kept in state.turns("t", "9")] == ["a1", "a2", "a3b"]
    assert [kept.answer_id for kept in state.turns("t", "3", limit=1)] == ["a2"]
    assert [kept.answer_id for kept in state.recent("ann", 1)] == ["a3b"]
    assert state.answer("a1") and state.answer("a1").asked == "question 1"  # type: ignore[union-attr]
    state.posted("a1", ["c/1.1", "c/1.2"])
    state.posted("a1", ["c/1.1"])
    assert state.known_posts(["c/1.1", "c/9"]) == {"c/1.1"}
    assert state.shown_in("c/1.1").answer_id == "a1"  # type: ignore[union-attr]
    assert state.shown_in("c/9") is None
    state.feedback("a1", "ann", 1)
    state.feedback("a1", "ann", -1, "wrong", "there")
    state.feedback("a1", "bob", 1)
    state.feedback("a1", "bob", 0)
    assert state.thumbs("a1") == {"ann": (-1, "wrong", "there")}


def test_what_was_asked_on_a_platform_is_part_of_all_that_was_asked(state: ChatState, state_url: str) -> None:
    memory = Memory(state_url)
    memory.save("On the page?", answer("a1"))
    place: dict[str, Any] = {"thread": "t", "channel": "c", "asker": "ann"}
    state.keep(answer("a2"), "In a channel?", position="1", **place)
    state.keep(answer("a3"), "And so?", position="2", **place)
    for person, thumb in (("ann", -1), ("bob", -1), ("eve", 1)):
        state.feedback("a2", person, thumb)
    state.feedback("a3", "ann", 1)
    state.feedback("a3", "bob", -1)
    found = history(memory)
    assert [(turn.question, turn.thumb) for turn in found] == [("On the page?", None), ("In a channel?", -1), ("And so?", None)]
    assert found[1].answer["answer_id"] == "a2"
    assert [turn.question for turn in history(memory, limit=2)] == ["In a channel?", "And so?"]
    assert history(memory, datetime.now(UTC)) == []
    memory.close()


def test_settings_of_channels(state: ChatState) -> None:
    assert state.channel("c") == {}
    state.configure("c", {"tone": "brief"}, "ann")
    state.configure("c", {"tone": "plain"}, "ann")
    assert state.channel("c") == {"tone": "plain"}
    assert state.configured() == {"c": {"tone": "plain"}}


def work(url: str, count: int) -> list[str]:
    """Another process: accepts what it may, and works off what it gets."""
    memory = Memory(url)
    state = ChatState(memory)
    done = []
    for number in range(count):
        state.accept([f"k{number}"], "question", f"t{number % 5}", f"{number:03}", {"n": number})
    while state.waiting():
        job = state.take(30)
        if job:
            done.append(f"{job.thread} {job.payload['n']:03}")
            state.done(job)
    memory.close()
    return done


def test_several_processes_take_each_thing_once_and_in_order(state_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(work, [(state_url, 40)] * 2)
    assert sorted(one for each in found for one in each) == sorted(f"t{n % 5} {n:03}" for n in range(40))


def test_many_threads_accept_the_same_once(state: ChatState) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: accept(state, "k"), range(40)))
    assert sum(taken) == 1
