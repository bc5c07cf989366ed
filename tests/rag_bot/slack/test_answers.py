"""Questions in Slack and their answers: where they are put, how they are shown, what threads are."""

from __future__ import annotations

from typing import Any

import pytest

from rag_bot.chat_state import ChatState
from rag_bot.errors import StateError
from rag_bot.settings import Settings
from tests.fakes.slack import FakeSlack, Fault, Message
from tests.rag_bot.slack.support import ASKED, AT, ILLNESS, UNKNOWN, SlowAnswerer, in_slack
from tests.rag_bot.support import LEAVE, LEAVE_SENTENCE


async def test_a_mention_is_answered_in_its_thread_with_proof(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", ASKED)
        await here.idle()
    [answer] = slack.answers("C1", ts)
    assert answer.shown == f"{LEAVE_SENTENCE} [1]"
    assert (answer.thread_ts, answer.state) == (ts, "done")
    assert {task["title"]: task["status"] for task in answer.tasks.values()} == {
        "Search the documents": "complete",
        "Read what was found": "complete",
        "Answer, with proof": "complete",
    }
    assert "passages in" in answer.tasks["search"]["output"]
    assert answer.small_print.startswith("*[1]* <https://rag.example.com/#d=")
    assert f"|Leave>: “{LEAVE_SENTENCE}”" in answer.small_print
    assert answer.find("feedback_buttons")
    assert [status for _, _, status in slack.statuses][:2] == ["is searching the documents…", "is reading what was found…"]


@pytest.mark.parametrize("twins", [True, False])
async def test_a_mention_comes_twice_and_is_answered_once(home: Settings, slack: FakeSlack, twins: bool) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", ASKED, twins=twins)
        await here.idle()
        slack.send_event({"type": "app_mention", "channel": "C1", "user": "UANN", "text": ASKED, "ts": ts, "event_ts": ts})
        await here.idle()
    assert len(slack.answers("C1", ts)) == 1


async def test_a_direct_message_is_answered_and_gives_the_thread_its_title(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("DUANN", "UANN", LEAVE)
        await here.idle()
        slack.post("DUANN", "UANN", "And for contractors?", ts)
        await here.idle()
    first, second = slack.answers("DUANN", ts)
    assert LEAVE_SENTENCE in first.shown
    assert "Contractors get no paid leave." in second.shown
    assert slack.titles == {("DUANN", ts): LEAVE}


async def test_a_refusal_names_what_is_nearest(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", f"{AT} {UNKNOWN}")
        await here.idle()
    [answer] = slack.answers("C1", ts)
    assert answer.shown.startswith("The documents don't say. Closest: ")
    assert not answer.find("button")


async def test_what_is_not_for_the_bot_is_left_alone(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", LEAVE)
        slack.post("C1", "UBOB", "I think 25?", ts)
        here_is = {"type": "message", "channel": "C1", "channel_type": "channel", "event_ts": "1.2"}
        slack.send_event({**here_is, "subtype": "message_changed", "message": {"text": ASKED}, "ts": "1.2"})
        slack.send_event({**here_is, "bot_id": "BX", "user": "UX", "text": ASKED, "ts": "1.3"})
        await here.idle()
        assert here.state.waiting() == 0
    assert slack.answers("C1", ts) == []


async def test_a_thread_is_followed_but_not_between_people(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", ASKED)
        await here.idle()

        async def answered(user: str, text: str) -> bool:
            before = len(slack.answers("C1", ts))
            slack.post("C1", user, text, ts)
            await here.idle()
            return len(slack.answers("C1", ts)) > before

        assert await answered("UANN", "And for contractors?")
        assert not await answered("UANN", "thanks")
        assert not await answered("UBOB", "I was told otherwise, by the way.")
        assert not await answered("UANN", "When did they say so?")  # to Bob
        assert not await answered("UANN", "<@UBOB> who told you?")
        assert await answered("UBOB", f"{AT} {ILLNESS}")
        assert await answered("UANN", "How long is full salary paid?")


async def test_called_into_a_thread_of_others_it_knows_what_the_thread_is_about(home: Settings, slack: FakeSlack) -> None:
    answerer = SlowAnswerer(1, 0.0)
    async with in_slack(home, slack, changed={"answerer": answerer}) as here:
        ts = slack.post("C1", "UBOB", LEAVE)
        slack.post("C1", "UBOB", "Does anybody know?", ts)  # said among people: not to be answered
        slack.post("C1", "UANN", f"{AT} And everyone who is new?", ts)
        await here.idle()
        slack.plan["conversations.replies"].append(Fault("limited", seconds=60))  # not worth waiting for
        unknown = slack.post("C1", "UBOB", "What is this about?")
        slack.post("C1", "UANN", ASKED, unknown)
        await here.idle()
    assert [[turn.question for turn in brief.turns] for brief in answerer.briefs] == [[LEAVE], []]
    assert [len(slack.answers("C1", thread)) for thread in (ts, unknown)] == [1, 1]


async def test_follow_ups_out_of_order_are_answered_in_order(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.next_ts()
        slack.messages["C1"][ts] = Message("C1", ts, "UANN", ASKED)
        # The reply comes before the mention that calls the bot in.
        slack.post("C1", "UANN", "And for contractors?", ts)
        await slack.settle()
        event = {"type": "app_mention", "channel": "C1", "user": "UANN", "text": ASKED, "ts": ts, "event_ts": ts}
        slack.send_event(event)
        await here.idle()
    first, second = slack.answers("C1", ts)
    assert LEAVE_SENTENCE in first.shown
    assert "Contractors get no paid leave." in second.shown


async def test_a_bare_mention_is_greeted(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", AT)
        await here.idle()
    [answer] = slack.answers("C1", ts)
    assert answer.shown.startswith("Hello.")
    assert not answer.find("feedback_buttons")


async def test_a_question_that_is_too_long_is_told_to_the_asker_alone(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack, max_question_chars=50) as here:
        ts = slack.post("C1", "UANN", f"{AT} {'why ' * 50}?")
        await here.idle()
    assert slack.answers("C1", ts) == []
    assert "50 are allowed" in slack.ephemeral[0].text


async def test_a_dropped_or_refreshed_socket_loses_nothing(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        slack.drop_sockets()
        first = slack.post("C1", "UANN", ASKED)
        await here.idle()
        await slack.refresh_sockets()
        second = slack.post("C1", "UANN", ASKED)
        await here.idle()
    assert slack.lost == []
    assert [len(slack.answers("C1", ts)) for ts in (first, second)] == [1, 1]


@pytest.mark.parametrize(
    "method", ["chat.startStream", "chat.stopStream", "assistant.threads.setStatus", "conversations.replies"]
)
@pytest.mark.parametrize(
    "fault",
    [
        Fault("limited", seconds=1),
        Fault("broken"),
        Fault("broken", done=True),
        Fault("cut"),
        Fault("cut", done=True),
        Fault("error", error="internal_error"),
        Fault("slow", seconds=0.2),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.done}",
)
async def test_a_call_that_fails_costs_no_answer(home: Settings, slack: FakeSlack, method: str, fault: Fault) -> None:
    slack.plan[method].append(fault)
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", ASKED)
        await here.idle()
    [answer] = slack.answers("C1", ts)
    assert (answer.shown, bool(answer.find("feedback_buttons"))) == (f"{LEAVE_SENTENCE} [1]", True)


@pytest.mark.parametrize(
    "fault",
    [Fault("limited", seconds=1), Fault("broken"), Fault("broken", done=True), Fault("cut", done=True), Fault("cut")],
    ids=lambda fault: f"{fault.kind}-{fault.done}",
)
async def test_where_no_stream_can_be_the_answer_is_posted_once(home: Settings, slack: FakeSlack, fault: Fault) -> None:
    slack.plan["chat.startStream"].append(Fault("error", error="feature_not_enabled"))
    slack.plan["chat.postMessage"].append(fault)
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", ASKED)
        await here.idle()
    [answer] = slack.answers("C1", ts)
    assert answer.shown == f"{LEAVE_SENTENCE} [1]"
    assert answer.state == "plain"


async def test_what_could_not_be_stored_is_not_acknowledged(
    home: Settings, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, failures = ChatState.accept, [StateError("The disk is full."), StateError("The disk is full.")]

    def full(self: ChatState, *arguments: Any, **named: Any) -> bool:
        if failures:
            raise failures.pop()
        return accept(self, *arguments, **named)

    monkeypatch.setattr(ChatState, "accept", full)
    async with in_slack(home, slack) as here:
        ts = slack.post("DUANN", "UANN", LEAVE)  # delivered again until it is
        await here.idle()
    assert [answer.shown for answer in slack.answers("DUANN", ts)] == [f"{LEAVE_SENTENCE} [1]"]
    assert failures == [] and slack.lost == []


async def test_a_channel_that_is_gone_ends_the_question(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UANN", ASKED)
        slack.channels["C1"].archived = True
        await here.idle()
        slack.channels["C1"].archived = False
    assert slack.answers("C1", ts) == []
    slack.refused.clear()
