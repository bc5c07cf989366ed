"""The answerer that quotes what an LLM chose: it reads the best sentences and picks, but never writes a word."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from rag_bot.answer.quote import MOST, QuoteAnswerer, in_reading_order
from rag_bot.errors import LLMError, LLMTimeout
from rag_bot.prompt import choose_messages
from rag_bot.types import Claim, Evidence, Passage, Standalone, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_SHOWN = 12  # sentences that the LLM chooses from
_NUMBERS = re.compile(r"\d+")
_log = logging.getLogger(__name__)


class QuoteLLMAnswerer:
    """As `quote`, with an LLM's choice of sentences. An LLM that fails, is slow or replies nonsense is passed over."""

    def __init__(self, llm: BaseChatModel, name: str, quote: QuoteAnswerer, *, seconds: float) -> None:
        self.name = name
        self._llm, self._quote, self._seconds = llm, quote, seconds

    async def __call__(
        self, question: Standalone, passages: Sequence[Passage], evidence: Sequence[Evidence]
    ) -> AsyncGenerator[Claim | Usage, None]:
        """The chosen sentences as claims; none if the LLM says that none answers."""
        shown = evidence[:_SHOWN]
        try:
            reply, usage = await self._ask(choose_messages(question.text, shown, passages))
            yield usage
            chosen = picked(reply, shown)
        except LLMError as error:
            _log.warning("The LLM %s was passed over: %s", self.name, error)
            chosen = None
        if chosen is None:
            async for claim in self._quote(question, passages, evidence):
                yield claim
            return
        for claim in await asyncio.to_thread(self._quote.claims, chosen, passages):
            yield claim

    async def _ask(self, messages: list[tuple[str, str]]) -> tuple[str, Usage]:
        try:
            message = await asyncio.wait_for(self._llm.ainvoke(messages), self._seconds)
        except TimeoutError as error:
            raise LLMTimeout(f"The LLM {self.name} took longer than {self._seconds:g} seconds.") from error
        except LLMError:
            raise
        except Exception as error:  # each provider has errors of its own; whichever it is, the bot goes on without
            raise LLMError(f"The LLM {self.name} failed: {error}") from error
        counts = getattr(message, "usage_metadata", None) or {}
        usage = Usage(counts.get("input_tokens", 0), counts.get("output_tokens", 0))
        return str(message.text), usage


def picked(reply: str, shown: Sequence[Evidence]) -> list[Evidence] | None:
    """The sentences that a reply names, in reading order; an empty list for `none`; None if the reply makes no sense."""
    if reply.strip().lower().rstrip(".") == "none":
        return []
    said = _NUMBERS.findall(reply)
    # Python refuses to read a number of thousands of digits; one of more than a few names no sentence anyway.
    if not said or not all(len(number) < 5 and 1 <= int(number) <= len(shown) for number in said):
        return None
    numbers = list(dict.fromkeys(int(number) for number in said))
    return in_reading_order([shown[number - 1] for number in numbers[:MOST]])
