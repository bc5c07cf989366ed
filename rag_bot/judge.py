"""A second opinion on a sentence that an LLM has written: another LLM reads it beside its quotes."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from rag_bot.budget import Budget
from rag_bot.errors import LLMError
from rag_bot.prompt import judge_messages
from rag_bot.types import Judged, Verdict

if TYPE_CHECKING:
    from rag_bot.llm.llm import LLM

_log = logging.getLogger(__name__)
_NO = re.compile(r"\W*no\b", re.IGNORECASE)


class Judge:
    """Can only refuse what the gate has let through; one that fails or is slow changes nothing."""

    def __init__(self, llm: LLM, *, seconds: float) -> None:
        self._llm, self._seconds = llm, seconds

    async def __call__(self, judged: Judged, budget: Budget) -> Judged:
        claim = judged.claim
        if not (judged.verdict.allowed and claim.written and claim.citations):
            return judged
        messages = judge_messages(claim.text, [citation.quote for citation in claim.citations])
        try:
            reply = await self._llm.ask(messages, budget.within(self._seconds), max_tokens=8)
        except LLMError as error:
            _log.warning("The judge was passed over: %s", error)
            return judged
        if _NO.match(reply):
            return replace(judged, verdict=Verdict(False, "judge", "Another LLM finds that its quotes don't carry it."))
        return judged
