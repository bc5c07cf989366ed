"""Tries an LLM with a tiny question: whether it can be reached, how fast it is, and what is known of it."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass

from rag_bot.budget import Budget
from rag_bot.errors import BotError
from rag_bot.llm.llm import LLM, CutOff, Price
from rag_bot.llm.load import load_llm
from rag_bot.llm.prices import Prices
from rag_bot.llm.spec import LLMSpec
from rag_bot.settings import Settings

_ASKED = [("user", "Count from one to twenty in English words, and write nothing else.")]
_MOST = 128  # tokens
_FIRST = 60.0  # seconds to the first word: a local model may have to be read from the disk
_WHOLE = 120.0


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one LLM. `reason` says why it can't be used, and `hint` what to do; both are empty where it can.

    `context` is in tokens, `first_token` in seconds, `tokens_per_second` counts those after the first; what is not known is
    None.
    """

    name: str
    reason: str = ""
    hint: str = ""
    context: int | None = None
    first_token: float | None = None
    tokens_per_second: float | None = None
    price: Price | None = None

    @property
    def ok(self) -> bool:
        return not self.reason


async def check_setting(spec: LLMSpec, settings: Settings, prices: Prices) -> Checked:
    """Load an LLM, check it, and close it."""
    try:
        llm = load_llm(spec, settings, prices)
    except BotError as error:
        return Checked(spec.name, str(error), error.hint, price=prices.of(spec))
    try:
        return await check(llm)
    finally:
        llm.close()


async def check(llm: LLM) -> Checked:
    """Ask a tiny question and time the reply. It costs some tens of tokens."""
    budget = Budget(_FIRST, _WHOLE)
    begun = time.perf_counter()
    first: float | None = None
    try:
        async with aclosing(llm.stream(_ASKED, budget, max_tokens=_MOST)) as pieces:
            async for _ in pieces:
                budget.arrived()
                first = first or time.perf_counter()
    except CutOff:
        pass  # it likes to talk, or to think: it is there
    except BotError as error:
        return Checked(llm.name, str(error), error.hint, llm.context, price=llm.price)
    # Tokens that came with the first, all at once, were not timed.
    more, seconds = budget.spent.completion_tokens - 1, time.perf_counter() - (first or begun)
    return Checked(
        llm.name,
        context=llm.context,
        first_token=first and first - begun,
        tokens_per_second=more / seconds if first and more > 0 and seconds > 0.001 else None,
        price=llm.price,
    )
