"""Streams: rolled over before Slack ends them, written anew where one dies, cut where a message is full."""

from __future__ import annotations

import asyncio

import pytest

from rag_bot.settings import Settings
from rag_bot.slack import reply
from tests.fakes.slack import FakeSlack, Fault, Message
from tests.rag_bot.slack.support import ASKED, SlowAnswerer, in_slack
from tests.rag_bot.support import LEAVE_SENTENCE


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "GAP_SECONDS", 0.02)
    monkeypatch.setattr(reply, "UPDATE_SECONDS", 0.1)


def sentences(answers: list[Message]) -> int:
    """How often the sentence stands in an answer; nothing else may."""
    together = " ".join(answer.shown for answer in answers)
    assert together.replace(f"{LEAVE_SENTENCE} [1]", "").strip() == ""
    return together.count(LEAVE_SENTENCE)


def finished(answers: list[Message]) -> bool:
    """Whether the sources and the thumbs stand under the last message, and only there."""
    return [bool(answer.find("feedback_buttons")) for answer in answers] == [*[False] * (len(answers) - 1), True]


async def ask(home: Settings, slack: FakeSlack, times: int, pause: float) -> list[Message]:
    async with in_slack(home, slack, changed={"answerer": SlowAnswerer(times, pause)}) as here:
        ts = slack.post("C1", "UANN", ASKED)
        await here.idle(40)
    return slack.answers("C1", ts)


async def test_sentences_come_as_they_are_released(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack, changed={"answerer": SlowAnswerer(20, 0.1)}) as here:
        ts = slack.post("C1", "UANN", ASKED)
        seen: set[int] = set()
        while len(seen) < 6:
            await asyncio.sleep(0.05)
            seen |= {answer.shown.count(LEAVE_SENTENCE) for answer in slack.answers("C1", ts) if answer.state == "streaming"}
        await here.idle()
    [answer] = slack.answers("C1", ts)
    assert sentences([answer]) == 20


async def test_a_stream_is_rolled_over_before_it_dies(
    home: Settings, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_bot.slack.run.ROLL_SECONDS", 0.6)
    slack.stream_seconds = 0.9
    answers = await ask(home, slack, 30, 0.06)
    assert len(answers) > 2
    assert sentences(answers) == 30
    assert finished(answers)
    assert [answer.state for answer in answers] == ["done"] * len(answers)
    assert not any(answer.updates for answer in answers)


async def test_a_stream_that_dies_is_gone_on_with_by_updates(home: Settings, slack: FakeSlack) -> None:
    slack.stream_seconds = 0.5
    answers = await ask(home, slack, 30, 0.06)
    assert len(answers) == 1
    assert answers[0].updates > 2
    assert sentences(answers) == 30
    assert finished(answers)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("broken"),
        Fault("broken", done=True),
        Fault("cut"),
        Fault("cut", done=True),
        Fault("limited", seconds=1),
        Fault("error", error="internal_error"),
        Fault("error", error="msg_too_long"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.done}-{fault.error}",
)
async def test_an_append_that_fails_loses_and_doubles_no_sentence(home: Settings, slack: FakeSlack, fault: Fault) -> None:
    slack.plan["chat.appendStream"].append(fault)
    answers = await ask(home, slack, 12, 0.03)
    assert len(answers) == 1
    assert sentences(answers) == 12
    assert finished(answers)


async def test_whoever_presses_stop_is_left_alone(home: Settings, slack: FakeSlack) -> None:
    slack.plan["chat.appendStream"].extend([Fault("slow", seconds=0), Fault("error", error="stopped_by_user")])
    [answer] = await ask(home, slack, 12, 0.05)
    assert 0 < answer.shown.count(LEAVE_SENTENCE) < 12


async def test_a_long_answer_is_cut_into_messages_at_sentences(
    home: Settings, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply, "MESSAGE_CHARS", 200)
    answers = await ask(home, slack, 30, 0.0)
    assert len(answers) > 5
    assert sentences(answers) == 30
    assert finished(answers)
    assert all(len(answer.shown) <= 200 for answer in answers)


@pytest.mark.parametrize("times", [1, 400])
async def test_what_can_not_be_streamed_is_posted_whole(home: Settings, slack: FakeSlack, times: int) -> None:
    slack.plan["chat.startStream"].append(Fault("limited", seconds=30))
    answers = await ask(home, slack, times, 0.0)
    assert sentences(answers) == times
    assert finished(answers)
    assert len(answers) == (1 if times == 1 else 2)
