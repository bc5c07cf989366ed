"""Rails: checks on a question before anything is done with it, on what was found before it is read, and on each sentence
before it is released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rag_bot.budget import Budget
from rag_bot.types import Claim, Passage, RailVerdict, Turn, Verdict

if TYPE_CHECKING:
    from ingest.embedder import Vectors


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on a text, the text as it may go on (masked, where that is the policy), and what each rail said."""

    verdict: Verdict
    text: str
    verdicts: tuple[RailVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Screened:
    """The passages that may be read, best first; the verdict refuses the question where they are too far from it."""

    verdict: Verdict
    passages: tuple[Passage, ...]
    verdicts: tuple[RailVerdict, ...] = ()


class Rails(Protocol):
    """Refuses questions and sentences, and sets passages aside. Never raises for what a text holds.

    A refused question is answered with `blocked`; a refused sentence is not shown.
    """

    async def check_question(self, question: str, vector: Vectors | None, budget: Budget) -> Checked:
        """`vector` is the question's, shape (dimension,), if it is there; LLMs that are asked take from `budget`."""

    def check_turns(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """The earlier turns without those that try to change how the service answers: a client may have made them up."""

    async def check_passages(self, passages: Sequence[Passage]) -> Screened: ...

    async def check_sentence(self, claim: Claim, question: str, before: str, budget: Budget) -> Checked:
        """`question` is what the claim answers, `before` the answer's text as far as it has been released; the claim's quotes
        are its sources."""


class NoRails:
    """Lets everything through."""

    async def check_question(self, question: str, vector: Vectors | None, budget: Budget) -> Checked:
        return Checked(Verdict(True), question)

    def check_turns(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        return turns

    async def check_passages(self, passages: Sequence[Passage]) -> Screened:
        return Screened(Verdict(True), tuple(passages))

    async def check_sentence(self, claim: Claim, question: str, before: str, budget: Budget) -> Checked:
        return Checked(Verdict(True), claim.text)
