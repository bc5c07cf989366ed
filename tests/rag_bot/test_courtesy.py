"""What is only polite is answered politely; what asks something is not taken for it."""

from __future__ import annotations

import pytest

from rag_bot.courtesy import courtesy
from rag_bot.settings import Settings
from tests.rag_bot.support import LEAVE, running


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("Hello", "Hello."),
        ("hi there!", "Hello."),
        ("Good  morning…", "Hello."),
        ("thanks", "You're welcome."),
        ("Thank you very much!", "You're welcome."),
        ("Great, thanks a lot.", "You're welcome."),
        ("bye bye", "Goodbye."),
    ],
)
def test_courtesies_are_returned(said: str, reply: str) -> None:
    assert (courtesy(said) or "").startswith(reply)


@pytest.mark.parametrize(
    "said",
    ["", "?", "Hello, how long is leave?", "Is there a thank you bonus?", "thanks for nothing", "hi " * 5_000, "high", "by"],
    ids=lambda said: said[:20],
)
def test_what_says_more_is_not(said: str) -> None:
    assert courtesy(said) is None


async def test_a_greeting_gets_an_answer_without_sources_and_the_conversation_goes_on(home: Settings) -> None:
    async with running(home) as bot:
        greeted = await bot.answer("Hello!")
        answer = await bot.answer(LEAVE, greeted.conversation_id)
    assert greeted.answer == "Hello. Ask me something about the documents."
    assert (greeted.abstained, greeted.citations, greeted.sentences[0].supported) == (False, (), True)
    assert answer.citations and answer.question == LEAVE
