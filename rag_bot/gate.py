"""The gate: a sentence is released only when its proof stands in the stored text at the stated place.

A quote must be there word for word. What an LLM has written in its own words must be carried by spans of the passages
(`support.py` finds them); those spans become its citations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from rag_bot.cite import TextAt, cite
from rag_bot.support import SupportFinder
from rag_bot.types import Citation, Claim, Judged, Passage, Verdict

GateMode = Literal["strict", "flag", "off"]


class Gate:
    """Checks claims against the stored text. `strict` and `flag` differ in what the story does with a refused one."""

    def __init__(self, text_at: TextAt, mode: GateMode = "strict", support: SupportFinder | None = None) -> None:
        self._text_at = text_at
        self._support = support
        self.mode: GateMode = mode

    def prove(self, claim: Claim, passages: Sequence[Passage]) -> Judged:
        """The verdict on a claim; a written one comes back with the spans that carry it, or come nearest, as citations."""
        if not claim.written:
            return Judged(claim, self(claim))
        if self._support is None:
            return Judged(claim, Verdict(self.mode == "off", "gate", "Nothing here can prove what an LLM writes."))
        support = self._support(claim.text, claim.marks, passages)
        citations = tuple(
            cite(n, passages[at], span, self._text_at(passages[at].document.document_id, *span))
            for n, (at, span) in enumerate(support.spans, start=1)
        )
        claim = replace(claim, citations=citations)
        if self.mode == "off":
            return Judged(claim, Verdict(True))
        if not support.supported:
            return Judged(claim, Verdict(False, "gate", support.reason))
        if not all(citation.quote.strip() for citation in citations):  # the document went while it was read
            return Judged(claim, Verdict(False, "gate", "What it rests on is gone."))
        return Judged(claim, Verdict(True))

    def __call__(self, claim: Claim) -> Verdict:
        """Whether every quote stands where it is said to, and the sentence is what they say, word for word."""
        if self.mode == "off":
            return Verdict(True)
        if not claim.citations:
            return Verdict(False, "gate", "The sentence cites nothing.")
        for citation in claim.citations:
            if not citation.quote.strip():
                return Verdict(False, "gate", f"Citation {citation.n} quotes nothing.")
            if not self._stands(citation):
                return Verdict(False, "gate", f"The quote is not found at its place in {citation.title!r}.")
        # The whole of its quotes, not a part of one: what is cut out of "… not …" may say the opposite.
        if _folded(claim.text) != _folded("\n".join(citation.quote for citation in claim.citations)):
            return Verdict(False, "gate", "The sentence is not what its quotes say.")
        return Verdict(True)

    def _stands(self, citation: Citation) -> bool:
        start, end = citation.start, citation.end
        # A place that reaches over an end of the text is read as far as the text goes: it is not the quote's place.
        if start < 0 or end - start != len(citation.quote):
            return False
        return self._text_at(citation.document_id, start, end) == citation.quote


def _folded(text: str) -> str:
    return " ".join(text.split())
