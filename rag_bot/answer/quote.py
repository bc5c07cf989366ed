"""The answerer without an LLM: one to three sentences that answer best, word for word, in reading order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from ingest.types import Span
from rag_bot.answer import Brief
from rag_bot.cite import TextAt, cite, cite_row
from rag_bot.types import Citation, Claim, Evidence, Passage, Report
from rag_bot.words import POINTING

MOST = 3
_CLOSE = 0.88  # a second sentence must score at least this share of the first
_SAME = 0.7  # two sentences with this share of words in common say the same


class QuoteAnswerer:
    """Picks evidence and cites it. `text_at` reads the stored text (for the header of a table)."""

    name = "quote"

    def __init__(self, text_at: TextAt) -> None:
        self._text_at = text_at

    async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        """One claim for each chosen sentence; the best passage's first, each passage's in reading order."""
        for claim in await asyncio.to_thread(self.claims, choose(brief.evidence), brief.passages):
            yield claim

    def claims(self, chosen: Sequence[Evidence], passages: Sequence[Passage]) -> list[Claim]:
        """Each sentence with its citations, numbered from 1 as they appear; the same span keeps its number."""
        numbers: dict[tuple[str, Span], int] = {}
        return [self._claim(passages[item.passage], item, numbers) for item in chosen]

    def _claim(self, passage: Passage, item: Evidence, numbers: dict[tuple[str, Span], int]) -> Claim:
        span = (item.start, item.end)
        if passage.chunk.kind == "table":
            text, spans = cite_row(passage, span, self._text_at)
        else:
            text, spans = item.text, (span,)
        return Claim(text, tuple(self._cite(passage, one, numbers) for one in spans))

    def _cite(self, passage: Passage, span: Span, numbers: dict[tuple[str, Span], int]) -> Citation:
        document_id = passage.document.document_id
        n = numbers.setdefault((document_id, span), len(numbers) + 1)
        return cite(n, passage, span, self._text_at(document_id, *span))


def choose(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The best sentence, those about as good that say something else, and what they lean on."""
    if not evidence:
        return []
    best = evidence[0]
    chosen = [best]
    before = _leaned_on(best, evidence)
    if before:
        chosen.append(before)
    for item in evidence[1:]:
        if len(chosen) == MOST or item.score < _CLOSE * best.score:
            break
        if item.coverage > 0 and not any(_says_the_same(item, other) for other in chosen):
            chosen.append(item)
    return in_reading_order(chosen)


def in_reading_order(chosen: Sequence[Evidence]) -> list[Evidence]:
    """Sorted as a person reads: passages in the order of their best sentence, the sentences of each from top to bottom."""
    order = {passage: i for i, passage in enumerate(dict.fromkeys(item.passage for item in chosen))}
    return sorted(chosen, key=lambda item: (order[item.passage], item.start))


def _leaned_on(item: Evidence, evidence: Sequence[Evidence]) -> Evidence | None:
    """The sentence right before one that begins with "It", "They", "This": without it, nobody knows what is meant."""
    first = item.text.split(maxsplit=1)[0].lower().strip(",;:") if item.text.split() else ""
    if first not in POINTING:
        return None
    before = [other for other in evidence if other.passage == item.passage and other.end <= item.start]
    return max(before, key=lambda other: other.end, default=None)


def _says_the_same(one: Evidence, other: Evidence) -> bool:
    """Whether two sentences share nearly all words, figures included: those that differ in a figure disagree."""
    if one.text == other.text:
        return True
    words, others = set(one.text.lower().split()), set(other.text.lower().split())
    if {w for w in words ^ others if any(c.isdigit() for c in w)}:
        return False
    return len(words & others) >= _SAME * len(words | others)
