"""An LLM is bounded in time, counted, closed when nobody waits, and left alone for a while after it has failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field

from rag_bot.budget import Budget
from rag_bot.errors import LLMBusy, LLMError, LLMTimeout, LLMUnavailable
from rag_bot.llm.llm import LLM, Breaker, CutOff, Engine, Price, estimated_tokens
from rag_bot.llm.scripted import Reply, ScriptedChatModel
from rag_bot.llm.thoughts import Thoughts
from rag_bot.types import Usage

ASKED = [("system", "Be brief."), ("user", "How many days?")]


class Told(BaseChatModel):
    """Gives the chunks it is told to; a number among them is waited for in seconds, an error is raised."""

    script: list[Any]
    closed: list[bool] = Field(default_factory=list)
    got: list[dict[str, Any]] = Field(default_factory=list)
    forever: bool = False

    @property
    def _llm_type(self) -> str:
        return "told"

    def _generate(self, messages: list[BaseMessage], *arguments: Any, **options: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self, messages: list[BaseMessage], *arguments: Any, **options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        self.got.append(options)
        try:
            while True:
                for item in self.script:
                    if isinstance(item, Exception):
                        raise item
                    if isinstance(item, float):
                        await asyncio.sleep(item)
                    else:
                        chunk = item if isinstance(item, AIMessageChunk) else AIMessageChunk(content=item)
                        yield ChatGenerationChunk(message=chunk)
                if not self.forever:
                    return
        finally:
            self.closed.append(True)


def counted(prompt: int, completion: int) -> AIMessageChunk:
    usage = {"input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion}
    return AIMessageChunk(content="", usage_metadata=usage)  # type: ignore[arg-type]


def ending(name: str, value: str) -> AIMessageChunk:
    return AIMessageChunk(content="", response_metadata={name: value})


def told(*script: Any, forever: bool = False, **more: Any) -> tuple[LLM, Told]:
    model = Told(script=list(script), forever=forever)
    return LLM("marvin", Engine(model), **more), model


# --- replies


async def test_the_reply_comes_in_pieces_and_whole() -> None:
    llm, model = told("Twenty", " six", "", " days.")
    assert [piece async for piece in llm.stream(ASKED, Budget(), max_tokens=9)] == ["Twenty", " six", " days."]
    assert await llm.ask(ASKED, Budget()) == "Twenty six days."
    assert model.got[0]["max_tokens"] == 9


async def test_what_the_provider_counted_is_spent_at_its_price() -> None:
    llm, _ = told("Hi.", counted(1_000_000, 0), counted(0, 500_000), price=Price(2.0, 8.0))
    budget = Budget()
    await llm.ask(ASKED, budget)
    assert budget.spent == Usage(1_000_000, 500_000, 6.0)
    assert budget.by_model == {"marvin": budget.spent}


async def test_where_no_price_is_known_it_costs_nothing() -> None:
    llm, _ = told("Hi.", counted(10, 20))
    budget = Budget()
    await llm.ask(ASKED, budget)
    assert (llm.price, budget.spent) == (None, Usage(10, 20, 0.0))


@pytest.mark.parametrize("broken", [[ConnectionError("gone")], [60.0]])
async def test_what_it_took_before_it_broke_is_counted_here(broken: list[Any]) -> None:
    llm, _ = told("Twenty six", *broken, price=Price(1.0, 1.0))
    budget = Budget(0.05, 0.05)
    with pytest.raises(LLMError):
        await llm.ask(ASKED, budget)
    asked = sum(estimated_tokens(text) for _, text in ASKED)
    assert budget.spent == Usage(asked, estimated_tokens("Twenty six"), (asked + estimated_tokens("Twenty six")) / 1e6)


async def test_one_that_never_began_took_nothing() -> None:
    llm, _ = told(ConnectionError("refused"))
    budget = Budget()
    with pytest.raises(LLMError, match=r"marvin failed: ConnectionError: refused"):
        await llm.ask(ASKED, budget)
    assert budget.spent == Usage()


@pytest.mark.parametrize("script", [[counted(3, 0)], [""], ["  \n"], ["<think>hm"], ["<think>hm</think> "]])
async def test_an_empty_reply_is_an_error(script: list[Any]) -> None:
    with pytest.raises(LLMError, match="said nothing"):
        await told(*script)[0].ask(ASKED, Budget())


async def test_our_own_errors_pass_as_they_are_with_their_hint() -> None:
    llm, _ = told(LLMUnavailable("The key is wrong.", "Look at it."))
    with pytest.raises(LLMUnavailable, match=r"^The key is wrong\.$") as caught:
        await llm.ask(ASKED, Budget())
    assert caught.value.hint == "Look at it."


# --- a reply that has no more room


@pytest.mark.parametrize(
    ("name", "value"),
    [("finish_reason", "length"), ("finish_reason", "MAX_TOKENS"), ("stop_reason", "max_tokens"), ("stopReason", "max_tokens")],
)
async def test_a_reply_without_room_for_its_end_is_said_to_be_cut_off(name: str, value: str) -> None:
    llm, _ = told("Not more than", ending(name, value))
    stream = llm.stream(ASKED, Budget())
    assert await anext(stream) == "Not more than"
    with pytest.raises(CutOff, match="most tokens"):
        await anext(stream)
    assert await llm.ask(ASKED, Budget()) == "Not more than"


async def test_thinking_until_the_room_is_used_up_is_no_failure_of_the_llm() -> None:
    llm, _ = told("<think>Let me", ending("finish_reason", "length"), breaker=Breaker(limit=1))
    assert await llm.ask(ASKED, Budget()) == ""
    assert not llm.breaker.open


async def test_a_reply_that_stops_by_itself_is_whole() -> None:
    llm, _ = told("Done.", ending("finish_reason", "stop"))
    assert [piece async for piece in llm.stream(ASKED, Budget())] == ["Done."]


# --- time


@pytest.mark.parametrize(
    ("script", "forever"),
    [([60.0, "late"], False), (["a", 60.0], False), (["drip", 0.001], True), (["flood"], True), ([""], True)],
    ids=["hangs", "hangs after a word", "drips", "floods without waiting", "says nothing forever"],
)
async def test_whatever_it_does_it_ends_when_patience_does(script: list[Any], forever: bool) -> None:
    llm, model = told(*script, forever=forever)
    with pytest.raises(LLMTimeout, match="took too long"):
        await llm.ask(ASKED, Budget(0.05, 0.05))
    await asyncio.sleep(0)
    assert model.closed == [True]


async def test_a_slow_first_sentence_is_not_waited_for_and_a_slow_second_one_is() -> None:
    llm, _ = told("One.", 0.05, " Two.")
    budget = Budget(first=0.02, whole=30)
    stream = llm.stream(ASKED, budget)
    assert await anext(stream) == "One."
    budget.arrived()
    assert await anext(stream) == " Two."
    with pytest.raises(LLMTimeout):
        await llm.ask(ASKED, Budget(first=0.02, whole=30))


async def test_a_timeout_of_the_provider_is_not_taken_for_ours() -> None:
    with pytest.raises(LLMError, match="TimeoutError: of the socket") as caught:
        await told(TimeoutError("of the socket"))[0].ask(ASKED, Budget())
    assert not isinstance(caught.value, LLMTimeout)


async def test_without_time_left_it_is_not_asked_and_not_blamed() -> None:
    llm, model = told("Hi.", breaker=Breaker(limit=1))
    with pytest.raises(LLMTimeout, match="no time left"):
        await llm.ask(ASKED, Budget(0.0, 0.0))
    assert model.got == [] and not llm.breaker.open


# --- nobody waits any more


async def test_closing_the_stream_stops_the_model_and_counts() -> None:
    llm, model = told("One.", " Two.", 60.0)
    budget = Budget()
    stream = llm.stream(ASKED, budget)
    await anext(stream)
    await stream.aclose()
    await asyncio.sleep(0)  # LangChain's own generator is closed by the loop
    assert model.closed == [True]
    assert budget.spent.completion_tokens == estimated_tokens("One.")


async def test_closing_is_not_disturbed_by_a_model_that_can_not_count_any_more() -> None:
    def count(text: str) -> int:
        raise LLMUnavailable("It is closed.")

    llm, budget = LLM("marvin", Engine(Told(script=["One.", " Two."]), count=count)), Budget()
    stream = llm.stream(ASKED, budget)
    await anext(stream)
    await stream.aclose()
    assert budget.spent.completion_tokens == estimated_tokens("One.")


async def test_a_cancelled_task_stops_the_model_and_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    llm, model = told("One.", 60.0)
    budget = Budget()
    task = asyncio.create_task(llm.ask(ASKED, budget))
    while not budget.by_model and not model.got:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert model.closed == [True]
    assert asyncio.all_tasks() == before


async def test_one_who_hangs_up_while_an_llm_is_tried_again_leaves_the_trial_to_the_next() -> None:
    llm, _ = told("One.", " Two.", breaker=Breaker(limit=1, seconds=0))
    llm.breaker.failed()
    stream = llm.stream(ASKED, Budget())
    await anext(stream)
    with pytest.raises(LLMUnavailable, match="tried again in 1 s"):
        await llm.ask(ASKED, Budget())
    await stream.aclose()
    assert await llm.ask(ASKED, Budget()) == "One. Two."
    assert not llm.breaker.open


# --- the breaker


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Trial:
    """A breaker with a clock that stands still until it is moved."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.breaker = Breaker(limit=3, seconds=30, clock=self.clock)

    def fail(self, times: int) -> None:
        for _ in range(times):
            assert self.breaker.admit() == 0
            self.breaker.failed()


def test_the_breaker_opens_after_three_failures_in_a_row() -> None:
    trial = Trial()
    trial.fail(2)
    assert trial.breaker.admit() == 0
    trial.breaker.succeeded()
    trial.fail(3)
    assert trial.breaker.open
    assert trial.breaker.admit() == 30
    trial.clock.now = 29
    assert trial.breaker.admit() == 1


@pytest.mark.parametrize("end", ["succeeded", "failed", "abandoned"])
def test_after_a_while_one_call_is_tried_and_decides(end: str) -> None:
    trial = Trial()
    trial.fail(3)
    trial.clock.now = 30
    assert trial.breaker.admit() == 0
    assert trial.breaker.admit() > 0  # one at a time
    getattr(trial.breaker, end)()
    assert trial.breaker.open == (end != "succeeded")
    assert trial.breaker.admit() == (30 if end == "failed" else 0)


@given(st.lists(st.sampled_from(["admit", "succeeded", "failed", "abandoned", "wait"]), max_size=60))
def test_whatever_happens_the_breaker_lets_someone_try_in_the_end(events: Sequence[str]) -> None:
    """Each call that is admitted comes to an end; then, after the pause, one more is admitted."""
    clock = Clock()
    breaker = Breaker(limit=3, seconds=30, clock=clock)
    running = 0
    for event in events:
        if event == "wait":
            clock.now += 10
        elif event == "admit":
            running += breaker.admit() == 0
        elif running:
            running -= 1
            getattr(breaker, event)()
    for _ in range(running):
        breaker.abandoned()
    clock.now += 30
    assert breaker.admit() == 0


async def test_an_llm_that_keeps_failing_is_left_alone() -> None:
    llm, model = told(ConnectionError("refused"), breaker=Breaker(limit=3, seconds=60))
    for _ in range(3):
        with pytest.raises(LLMError, match="refused"):
            await llm.ask(ASKED, Budget())
    with pytest.raises(LLMUnavailable, match="marvin has failed repeatedly; it is tried again in 60 s"):
        await llm.ask(ASKED, Budget())
    assert len(model.got) == 3


async def test_eight_at_once_do_not_mix() -> None:
    llm = LLM("marvin", Engine(ScriptedChatModel(replies=[Reply(when=str(n), say=f"It is {n}.") for n in range(8)])))
    budgets = [Budget() for _ in range(8)]
    replies = await asyncio.gather(*(llm.ask([("user", f"Say {n}")], budget) for n, budget in enumerate(budgets)))
    assert replies == [f"It is {n}." for n in range(8)]
    assert [budget.spent for budget in budgets] == [Usage(2, 3)] * 8


# --- the budget


def test_a_part_of_a_budget_ends_with_it_and_spends_for_it() -> None:
    whole = Budget(first=10, whole=20)
    part = whole.within(5)
    assert 4 < part.left() <= 5
    part.spend("marvin", Usage(1, 2, 0.5))
    part.spend("judge", Usage(1, 0, 0.25))
    whole.spend("marvin", Usage(1, 1, 0.0))
    assert whole.by_model == {"marvin": Usage(2, 3, 0.5), "judge": Usage(1, 0, 0.25)}
    assert whole.spent == Usage(3, 3, 0.75)
    assert part.spent == Usage(2, 2, 0.75)
    assert Budget(whole=0).within(5).left() == 0


def test_each_llm_gets_its_time_to_the_first_sentence_within_the_whole() -> None:
    budget = Budget(first=0.0, whole=50)
    assert budget.left() == 0
    budget.arrived()
    assert 49 < budget.left() <= 50
    budget = Budget(first=60, whole=0.01)
    time.sleep(0.02)
    budget.begin()
    assert budget.left() == 0


# --- thoughts


def answer_of(*pieces: str) -> str:
    thoughts = Thoughts()
    return "".join([*(thoughts.feed(piece) for piece in pieces), thoughts.end()])


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("<think>Let me see. 2 < 3</think>Leave is 26 days.", "Leave is 26 days."),
        ("\n <think>\n\n</think>\n\nLeave.", "\n\nLeave."),
        ("<think>a</think><think>b</think>Leave.", "Leave."),
        ("Leave <think>is</think> text.", "Leave <think>is</think> text."),
        ("<thin ice> is dangerous", "<thin ice> is dangerous"),
        ("<thi", "<thi"),
        ("<think>never ended", ""),
        ("<think>" + "long " * 100 + "</thin</think>Leave.", "Leave."),
        ("", ""),
        ("  \n", "  \n"),
    ],
)
def test_thoughts_are_taken_out_and_nothing_else(reply: str, answer: str) -> None:
    assert answer_of(reply) == answer
    assert answer_of(*reply) == answer


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<thi", "nk>", "a", " ", "\n", "<", "</"]), max_size=12).map("".join),
    st.data(),
)
def test_however_thoughts_are_torn_the_answer_is_the_same(reply: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=5)))
    torn = [reply[start:end] for start, end in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    assert answer_of(*torn) == answer_of(reply)


async def test_thoughts_are_counted_although_they_are_not_said() -> None:
    llm, _ = told("<think>", "some long thoughts", "</think>", "Yes.", 60.0)
    budget = Budget(0.05, 0.05)
    stream = llm.stream(ASKED, budget)
    assert await anext(stream) == "Yes."
    with pytest.raises(LLMTimeout):
        await anext(stream)
    assert budget.spent.completion_tokens == estimated_tokens("<think>some long thoughts</think>Yes.")


def test_the_estimate_of_tokens_is_never_too_small_for_prose() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("Leave is 26 days a year.") >= 8
    assert estimated_tokens("年次有給休暇") >= 6
    assert estimated_tokens("\ud800") > 0


def test_a_call_that_waited_too_long_while_others_were_answered_says_nothing_of_the_llm() -> None:
    trial = Trial()
    trial.clock.now = 100
    trial.breaker.succeeded()
    trial.clock.now = 110
    for _ in range(5):
        trial.breaker.failed(20)
    assert not trial.breaker.open
    for _ in range(3):
        trial.breaker.failed(5)
    assert trial.breaker.open


async def test_an_llm_that_is_busy_is_not_taken_for_broken() -> None:
    class Full(ScriptedChatModel):
        def _astream(self, *arguments: Any, **named: Any) -> Any:
            raise LLMBusy("Too many wait.")

    llm = LLM("marvin", Engine(Full(replies=[])), breaker=Breaker(limit=1))
    for _ in range(3):
        with pytest.raises(LLMBusy, match="Too many wait"):
            await llm.ask(ASKED, Budget())
    assert not llm.breaker.open
