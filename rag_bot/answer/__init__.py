"""Answerers: what proposes the sentences of an answer. `quote` needs no LLM, `quote_llm` lets one choose."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from rag_bot.types import Claim, Evidence, Passage, Standalone, Usage


class Answerer(Protocol):
    """Proposes claims, one sentence each, in the order in which they are to be read; the gate decides on each.

    `name` is what the answer object calls the model. Citations are numbered from 1 in order of appearance; the same
    span keeps its number. A `Usage` among them says what an LLM took. Closing the generator stops the work.
    """

    name: str

    def __call__(
        self, question: Standalone, passages: Sequence[Passage], evidence: Sequence[Evidence]
    ) -> AsyncGenerator[Claim | Usage, None]: ...
