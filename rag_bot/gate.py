"""The gate: a sentence is released only when its proof stands in the stored text at the stated place."""

from __future__ import annotations

from typing import Literal

from rag_bot.cite import TextAt
from rag_bot.types import Claim, Verdict

GateMode = Literal["strict", "flag", "off"]


class Gate:
    """Checks claims against the stored text. `strict` and `flag` differ in what the story does with a refused one."""

    def __init__(self, text_at: TextAt, mode: GateMode = "strict") -> None:
        self._text_at = text_at
        self.mode: GateMode = mode

    def __call__(self, claim: Claim) -> Verdict:
        """Whether every quote stands where it is said to, and the sentence says nothing that its quotes don't."""
        if self.mode == "off":
            return Verdict(True)
        if not claim.citations:
            return Verdict(False, "gate", "The sentence cites nothing.")
        for citation in claim.citations:
            if not citation.quote.strip():
                return Verdict(False, "gate", f"Citation {citation.n} quotes nothing.")
            if self._text_at(citation.document_id, citation.start, citation.end) != citation.quote:
                return Verdict(False, "gate", f"The quote is not found at its place in {citation.title!r}.")
        quotes = [_folded(citation.quote) for citation in claim.citations]
        for line in claim.text.splitlines():
            if not any(_folded(line) in quote for quote in quotes):
                return Verdict(False, "gate", "The sentence is not in the quotes that are to prove it.")
        return Verdict(True)


def _folded(text: str) -> str:
    return " ".join(text.split())
