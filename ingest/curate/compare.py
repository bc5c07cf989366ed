"""Two texts that read alike to the sentences in which they disagree: of a number, a date, or a negation."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.curate.tokens import NUMBER, joined, read
from ingest.sentences import split
from ingest.types import Span

_FEWEST = 4  # words beside the facts: fewer say too little for two sentences to be about the same
_ROW = re.compile(r"[^\n]+")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A sentence of one text and one of another, the same but for their facts; the spans are offsets into each text, and
    `facts` and `other_facts` those that the other one lacks (none, where only their order differs)."""

    one: Span
    other: Span
    facts: tuple[str, ...]
    other_facts: tuple[str, ...]


def disagreements(one: str, other: str, *, table: bool = False) -> list[Disagreement]:
    """Where two texts (or `table`s, row by row) disagree, in the order of the first."""
    ours, theirs = _by_words(one, table), _by_words(other, table)
    found = []
    for words, some in ours.items():
        others = theirs.get(words, {})
        # A sentence that stands in both is no disagreement, whatever else stands there, too.
        if others and not some.keys() & others.keys():
            (facts, span), (other_facts, other_span) = next(iter(some.items())), next(iter(others.items()))
            left, right = Counter(facts), Counter(other_facts)
            found.append(Disagreement(span, other_span, tuple(left - right), tuple(right - left)))
    return found


def _by_words(text: str, table: bool) -> dict[str, dict[tuple[str, ...], Span]]:
    found: defaultdict[str, dict[tuple[str, ...], Span]] = defaultdict(dict)
    for start, end in _rows(text) if table else split(text):
        taken = read(text[start:end])
        if sum(word != NUMBER for word in taken.words) >= _FEWEST:
            found[joined(taken.words)].setdefault(taken.facts, (start, end))
    return found


def _rows(text: str) -> Iterator[Span]:
    return (match.span() for match in _ROW.finditer(text))
