"""Whether the bot is meant: by question words, by who spoke before, by whom else is named."""

from __future__ import annotations

import time

import pytest

from rag_bot.chat_platform.addressed import BOT, asks, for_bot
from rag_bot.chat_state import Thread

AFTER_BOT = Thread(True, "5", BOT, False)
AFTER_OWN = Thread(True, "5", "ann", True)
AFTER_TALK = Thread(True, "5", "bob", False)


@pytest.mark.parametrize(
    "text",
    [
        "And for contractors?",
        "and for contractors",
        "What about part-timers",
        "how long does it last",
        "tell me more about it",
        "期間は何日ですか",
        "كم يوما؟",
        "So, where is it written",
    ],
)
def test_these_ask(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "thanks",
        "ok great, thank you!",
        "I was told otherwise.",
        "andrew will know",
        "lol",
        "and I said no to that offer because it was far too long ago and nobody had told me of it in any way at all",
    ],
)
def test_these_do_not(text: str) -> None:
    assert not asks(text)


@pytest.mark.parametrize(
    ("thread", "ts", "others", "meant"),
    [
        (AFTER_BOT, "6", False, True),
        (AFTER_BOT, "6", True, False),
        (AFTER_OWN, "6", False, True),
        (AFTER_TALK, "6", False, False),
        (AFTER_TALK, "4", False, True),  # written before the others spoke
        (Thread(True), "1", False, True),
        (Thread(True, since="3"), "2", False, False),  # said before it was called in
        (Thread(True, since="3"), "4", False, True),
        (Thread(True, "5", "ann", False), "6", False, False),
    ],
)
def test_who_spoke_before_counts(thread: Thread, ts: str, others: bool, meant: bool) -> None:
    assert for_bot(thread, ts, "ann", "And for contractors?", names_others=others) is meant


@pytest.mark.parametrize("text", ["a " * 500_000, "?" * 10**6, "and " * 250_000, ", " * 500_000])
def test_hostile_text_is_judged_in_time(text: str) -> None:
    began = time.process_time()
    asks(text)
    assert time.process_time() - began < 2
