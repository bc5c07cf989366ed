"""The answerer that quotes what an LLM chose: it reads the best sentences and picks, but never writes a word."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from rag_bot.answer import Brief
from rag_bot.answer.quote import MOST, QuoteAnswerer, in_reading_order
from rag_bot.errors import LLMError
from rag_bot.prompt import choose_messages, copy_grammar, copy_messages
from rag_bot.types import Claim, Evidence, Report

if TYPE_CHECKING:
    from rag_bot.llm.llm import LLM

_SHOWN = 12  # sentences that the LLM chooses from
_TOKENS = 64  # of its reply
_NUMBERS = re.compile(r"\d+")
_log = logging.getLogger(__name__)


class QuoteLLMAnswerer:
    """As `quote`, with an LLM's choice of sentences. One that fails, is slow or replies nonsense is passed over."""

    def __init__(self, llms: Sequence[LLM], quote: QuoteAnswerer) -> None:
        self.name = llms[0].name
        self._llms, self._quote = llms, quote

    async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        """The chosen sentences as claims; none if the LLM says that none answers."""
        for llm in self._llms:
            brief.budget.begin()
            try:
                chosen = await self._chosen(llm, brief)
            except LLMError as error:
                _log.warning("The LLM was passed over: %s", error)
                yield Report(notes=(f"{error} Another way was taken.",), counts={"fallbacks": 1})
                continue
            if chosen is None:
                yield Report(notes=(f"What the LLM {llm.name} chose made no sense.",), counts={"fallbacks": 1})
                continue
            yield Report(model=llm.name)
            for claim in await asyncio.to_thread(self._quote.claims, chosen, brief.passages):
                yield claim
            return
        yield Report(model=self._quote.name)
        async for item in self._quote(brief):
            yield item

    async def _chosen(self, llm: LLM, brief: Brief) -> list[Evidence] | None:
        """By copying under a grammar that allows nothing else where the LLM takes one, else by their numbers."""
        shown, asked = brief.evidence[:_SHOWN], brief.question.text
        most = 1 if brief.tone == "brief" else MOST
        if llm.grammar and shown:
            texts = [_line(item) for item in shown]
            grammar = copy_grammar(list(dict.fromkeys(texts)), most)
            tokens = 8 + sum(sorted(map(llm.count, texts))[-most:])
            reply = await llm.ask(copy_messages(asked, texts), brief.budget, grammar=grammar, max_tokens=tokens)
            return copied(reply, shown, most)
        reply = await llm.ask(choose_messages(asked, shown, brief.passages), brief.budget, max_tokens=_TOKENS)
        return picked(reply, shown, most)


def copied(reply: str, shown: Sequence[Evidence], most: int = MOST) -> list[Evidence] | None:
    """The sentences that a reply repeats, in reading order; an empty list for `none`; None if it is none of them."""
    if reply.strip() == "none":
        return []
    by_text = {_line(item): item for item in reversed(shown)}
    chosen = [by_text[line] for line in dict.fromkeys(reply.splitlines()) if line in by_text]
    return in_reading_order(chosen[:most]) or None


def picked(reply: str, shown: Sequence[Evidence], most: int = MOST) -> list[Evidence] | None:
    """The sentences that a reply names, in reading order; an empty list for `none`; None if the reply makes no sense."""
    if reply.strip().lower().rstrip(".") == "none":
        return []
    said = _NUMBERS.findall(reply)
    # Python refuses to read a number of thousands of digits; one of more than a few names no sentence anyway.
    if not said or not all(len(number) < 5 and 1 <= int(number) <= len(shown) for number in said):
        return None
    numbers = list(dict.fromkeys(int(number) for number in said))
    return in_reading_order([shown[number - 1] for number in numbers[:most]])


def _line(item: Evidence) -> str:
    return " ".join(item.text.split())
