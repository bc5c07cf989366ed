"""Answerers: what proposes the sentences of an answer. `quote` needs no LLM, `quote_llm` lets one choose, `generate` lets
one write."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rag_bot.budget import Budget
from rag_bot.types import Claim, Evidence, Passage, Report, Standalone, Tone, Turn


@dataclass(frozen=True, slots=True)
class Brief:
    """What an answer is to be made from: `turns` are the conversation before it, oldest first. `tone`: how it is to be said."""

    question: Standalone
    passages: Sequence[Passage]
    evidence: Sequence[Evidence]
    turns: Sequence[Turn] = ()
    budget: Budget = field(default_factory=Budget)
    tone: Tone = "plain"


class Answerer(Protocol):
    """Proposes claims, one sentence each, in the order in which they are to be read; the gate decides on each.

    `name` is what the answer object calls the model. Citations are numbered from 1 in order of appearance; the same
    span keeps its number. A `Report` among them says who answered and what went wrong; what LLMs took is spent from the
    budget. Closing the generator stops the work.
    """

    name: str

    def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]: ...
