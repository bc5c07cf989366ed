"""A follow-up to a question that stands alone: by rules, in the user's own words, or by an LLM in a bounded time."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rag_bot.budget import Budget
from rag_bot.errors import LLMError
from rag_bot.prompt import rewrite_messages
from rag_bot.types import Standalone, Turn
from rag_bot.words import CONTINUING, EXPLETIVE, FILLER, NAMED, POINTING, POSSESSIVE, STOPWORDS

if TYPE_CHECKING:
    from rag_bot.llm.llm import LLM

_log = logging.getLogger(__name__)
_LONGEST = 600  # characters; what is longer is no question, or says all that is needed
_LABEL = re.compile(r"(?:(?:rewritten|standalone|last|final)\s+)?question:\s*", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
# Characters of the last answer that tell what a conversation is about: 600 find no more than 200, and cost three times as
# long to embed (benchmarks/results/followups.json).
_ANSWER = 200
_FULL = 4  # a pointing word among more content words than this has what it points to in the same sentence


class Rewriter(Protocol):
    """Puts a question so that it needs none of the earlier turns (oldest first)."""

    async def __call__(self, question: str, turns: Sequence[Turn], budget: Budget) -> Standalone: ...


class ByRules:
    """Needs no LLM."""

    async def __call__(self, question: str, turns: Sequence[Turn], budget: Budget) -> Standalone:
        return await asyncio.to_thread(rewrite, question, turns) if turns else rewrite(question, turns)


class ByLLM:
    """Asks an LLM; one that fails, is slow or replies no question is passed over for the rules."""

    def __init__(self, llm: LLM, *, seconds: float) -> None:
        self._llm, self._seconds = llm, seconds

    async def __call__(self, question: str, turns: Sequence[Turn], budget: Budget) -> Standalone:
        by_rules = await asyncio.to_thread(rewrite, question, turns)
        if not turns or len(question) > _LONGEST:
            return by_rules
        try:
            reply = await self._llm.ask(rewrite_messages(question, turns), budget.within(self._seconds), max_tokens=128)
        except LLMError as error:
            _log.warning("The question was rewritten by rules: %s", error)
            return by_rules
        lines = [line.strip() for line in reply.splitlines() if line.strip()]
        asked = _LABEL.sub("", lines[0]).strip('"“”') if len(lines) == 1 else ""
        if len(asked) > _LONGEST or not _WORD.search(asked):
            return by_rules
        return Standalone(asked, by_rules.own)


def rewrite(question: str, turns: Sequence[Turn]) -> Standalone:
    """The question with the words of earlier turns that it needs (`turns` oldest first), and the turn before it.

    A question that goes on ("and for contractors?") or points back ("how long does it last?") gets the last question
    that stood alone before it; one that points back gets the turn before, too. Joining all turns finds less than the
    last one alone on MTRAG; the turn before, of any question, weighed against it finds more
    (benchmarks/results/followups.json).
    """
    question = " ".join(question.split())
    if not turns:
        return Standalone(question, question)
    last = turns[-1]
    earlier = " ".join(last.question[:_LONGEST].split())
    before = earlier if last.abstained else " ".join(f"{earlier} {last.answer[:_ANSWER]}".split())
    if not leans(question):
        return Standalone(question, question, before, earlier)
    root = next((turn.question for turn in reversed(turns) if not leans(turn.question)), turns[0].question)
    parts = [root]
    if _points(question.lower()) and turns[-1].question != root:
        parts.append(turns[-1].question)
    return Standalone(" ".join([*(" ".join(part.split()) for part in parts), question]), question, before, earlier)


def leans(question: str) -> bool:
    """Whether a question needs the one before to be understood."""
    lowered = FILLER.sub("", question.lower().strip())
    content = [word for word in _WORD.findall(lowered) if word not in STOPWORDS]
    if lowered.startswith(CONTINUING) or _points(lowered) or not content:
        return True
    return len(content) == 1 and not NAMED.match(lowered)


def _points(lowered: str) -> bool:
    """Whether a word stands for something said before the question."""
    pointing, content = False, 0
    for word in _WORD.findall(EXPLETIVE.sub(" ", lowered)):
        if word in POINTING:
            # "What is their notice period?" points back; "the car that an employee drives to his office" does not.
            pointing = pointing or word not in POSSESSIVE or content < 2
        elif word not in STOPWORDS:
            content += 1
    return pointing and content <= _FULL
