"""Two hundred threads at once, with Slack's own limits on how often it may be called."""

from __future__ import annotations

import time

import pytest

from rag_bot.settings import Settings
from tests.fakes.slack import FakeSlack
from tests.rag_bot.slack.support import ASKED, in_slack, until
from tests.rag_bot.support import LEAVE, LEAVE_SENTENCE

THREADS = 200
# A tenth of the minute that Slack counts in: tier 2 and 4 of its methods, and a message a second in each channel.
TIERS = {"chat.startStream": (20, 6.0), "chat.stopStream": (20, 6.0), "chat.appendStream": (100, 6.0)}


@pytest.mark.parametrize("rails", ["off", "on"])
async def test_two_hundred_threads_at_once(home: Settings, rails: str) -> None:
    async with FakeSlack() as slack:
        slack.rates = dict(TIERS)
        for number in range(10):
            slack.channel(f"C{number}", "UANN")
            slack.user(f"U{number}")
            slack.im(f"U{number}")
        async with in_slack(home, slack, rails=rails) as here:
            began = time.monotonic()
            asked = [
                (f"DU{n % 10}", slack.post(f"DU{n % 10}", f"U{n % 10}", LEAVE))
                if n % 4 == 0
                else (f"C{n % 10}", slack.post(f"C{n % 10}", "UANN", ASKED))
                for n in range(THREADS)
            ]
            await slack.settle()
            taken = time.monotonic() - began
            await until(lambda: here.state.waiting() == 0, 120)
            seconds = time.monotonic() - began
            await here.idle()
        answers = [slack.answers(channel, ts) for channel, ts in asked]
        assert [[one.shown for one in each] for each in answers] == [[f"{LEAVE_SENTENCE} [1]"]] * THREADS
        assert all(each[0].find("feedback_buttons") for each in answers)
        assert slack.lost == [] and slack.violations == []
        assert [one for one in slack.refused if one[1] != "message_not_in_streaming_state"] == []
        streamed = sum(each[0].state == "done" for each in answers)
        print(
            f"{THREADS} threads, rails {rails}: acknowledged in {taken:.1f} s, answered in {seconds:.1f} s, {streamed} streamed"
        )
