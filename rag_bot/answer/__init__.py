"""Answerers: what proposes the sentences of an answer. `quote` needs no LLM."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from rag_bot.types import Claim, Evidence, Passage, Standalone


class Answerer(Protocol):
    """Proposes claims, one sentence each, in the order in which they are to be read; the gate decides on each.

    `name` is what the answer object calls the model. Citations are numbered from 1 in order of appearance; the same
    span keeps its number. Closing the iterator stops the work.
    """

    name: str

    def __call__(
        self, question: Standalone, passages: Sequence[Passage], evidence: Sequence[Evidence]
    ) -> AsyncIterator[Claim]: ...
