"""Rails: checks on a question before anything is done with it, and on each sentence before it is released."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag_bot.types import Passage, Verdict


class Rails(Protocol):
    """Refuses questions and sentences. A refused question is answered with `blocked`; a refused sentence is not shown."""

    async def check_question(self, question: str) -> Verdict: ...

    async def check_sentence(self, sentence: str, passages: Sequence[Passage]) -> Verdict: ...


class NoRails:
    """Lets everything through."""

    async def check_question(self, question: str) -> Verdict:
        return Verdict(True)

    async def check_sentence(self, sentence: str, passages: Sequence[Passage]) -> Verdict:
        return Verdict(True)
