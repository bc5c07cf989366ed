"""The answerer without an LLM: one to three quotes that answer best, word for word, the best of them first."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace

from ingest.types import Span
from rag_bot.answer import Brief
from rag_bot.cite import TextAt, cite, cite_row
from rag_bot.types import Citation, Claim, Evidence, Passage, Report
from rag_bot.words import CONNECTING, POINTING

MOST = 3
_CLOSE = 0.88  # a second sentence must score at least this share of the first
_SAME = 0.7  # two sentences with this share of words in common say the same
_LONGEST_LIST = 20  # items; of a longer list only those that are evidence themselves are quoted
_ITEM = re.compile(r"(?:[-*•‣▪◦–]|\(?\d{1,3}[.)]|\(?[a-z][.)])[ \t]")
# An opening of a few words before a comma ("In 1987, ", "However, ") hides what the sentence begins with.
_OPENING = re.compile(r"[^\s,]+(?: [^\s,]+){0,3}, ")


class QuoteAnswerer:
    """Picks evidence and cites it. `text_at` reads the stored text (for the header of a table)."""

    name = "quote"

    def __init__(self, text_at: TextAt) -> None:
        self._text_at = text_at

    async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        """One claim for each quote; the best first, the others in reading order. A brief answer is the best one alone."""
        chosen = choose(brief.evidence, 1 if brief.tone == "brief" else MOST)
        for claim in await asyncio.to_thread(self.claims, chosen, brief.passages):
            yield claim

    def claims(self, chosen: Sequence[Evidence], passages: Sequence[Passage]) -> list[Claim]:
        """Each quote with its citations, numbered from 1 as they appear; the same span keeps its number.

        Sentences that stand beside each other are one quote where the later leans on the earlier, and so is a list.
        """
        numbers: dict[tuple[str, Span], int] = {}
        return [self._claim(passages[item.passage], item, numbers) for item in _joined(chosen, passages)]

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


def choose(evidence: Sequence[Evidence], most: int = MOST) -> list[Evidence]:
    """The best sentence and those about as good that say something else, each with what it leans on, lists whole.

    `most` of them in all.
    """
    if not evidence:
        return []
    best = evidence[0]
    first = _whole(best, evidence)
    chosen, quotes = list(first), 1
    for item in evidence[1:]:
        if quotes == most or item.score < _CLOSE * best.score:
            break
        if item in chosen or not item.coverage or any(_says_the_same(item, other) for other in chosen):
            continue
        chosen += [one for one in _whole(item, evidence) if one not in chosen]
        quotes += 1
    # Whoever reads one sentence only is to have read the best.
    return [*first, *in_reading_order([item for item in chosen if item not in first])]


def in_reading_order(chosen: Sequence[Evidence]) -> list[Evidence]:
    """Sorted as a person reads: passages in the order of their best sentence, the sentences of each from top to bottom."""
    order = {passage: i for i, passage in enumerate(dict.fromkeys(item.passage for item in chosen))}
    return sorted(chosen, key=lambda item: (order[item.passage], item.start))


def _whole(item: Evidence, evidence: Sequence[Evidence]) -> list[Evidence]:
    """A sentence with what it can't be understood without: the sentence before it, or the rest of its list."""
    row = sorted((other for other in evidence if other.passage == item.passage), key=lambda other: other.start)
    at = row.index(item)
    first, last = at, at
    if _is_item(item.text) or (item.text.rstrip().endswith(":") and at + 1 < len(row) and _is_item(row[at + 1].text)):
        while _is_item(row[first].text) and first > 0 and (_is_item(row[first - 1].text) or row[first - 1].text.endswith(":")):
            first -= 1
        while last + 1 < len(row) and _is_item(row[last + 1].text):
            last += 1
        if last - first > _LONGEST_LIST:
            first, last = at, at
    elif at > 0 and leans(item.text):
        first = at - 1
    return row[first : last + 1]


def leans(sentence: str) -> bool:
    """Whether a sentence only makes sense with the one before: it begins with "It", "These", "However" or the like."""
    opening = _OPENING.match(sentence)
    starts = [sentence, sentence[opening.end() :]] if opening else [sentence]
    firsts = [start.split(maxsplit=1)[0].lower().strip(",;:") for start in starts if start.strip()]
    return any(first in POINTING for first in firsts) or bool(firsts and firsts[0] in CONNECTING)


def _is_item(text: str) -> bool:
    return bool(_ITEM.match(text))


def _joined(chosen: Sequence[Evidence], passages: Sequence[Passage]) -> Iterator[Evidence]:
    """What is chosen, with neighbours that belong together made one piece of the document."""
    whole: Evidence | None = None
    for item in chosen:
        if whole and whole.passage == item.passage and passages[item.passage].chunk.kind == "text" and whole.end <= item.start:
            chunk = passages[item.passage].chunk
            between = chunk.text[whole.end - chunk.start : item.start - chunk.start]
            if not between.strip() and (leans(item.text) or _is_item(item.text)):
                text = chunk.text[whole.start - chunk.start : item.end - chunk.start]
                whole = replace(whole, end=item.end, text=text)
                continue
        if whole:
            yield whole
        whole = item
    if whole:
        yield whole


def _says_the_same(one: Evidence, other: Evidence) -> bool:
    """Whether two sentences share nearly all words, figures included: those that differ in a figure disagree."""
    if one.text == other.text:
        return True
    words, others = set(one.text.lower().split()), set(other.text.lower().split())
    if {w for w in words ^ others if any(c.isdigit() for c in w)}:
        return False
    return len(words & others) >= _SAME * len(words | others)
