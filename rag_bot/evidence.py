"""Question and passages to evidence: each sentence and table row of the passages, scored by how well it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ingest.sentences import units
from ingest.types import Allowed
from rag_bot.cite import TextAt
from rag_bot.types import Evidence, Passage, Standalone, Weights
from rag_bot.words import STOPWORDS

if TYPE_CHECKING:
    from ingest.embedder import Vectors

Terms = Callable[[str], list[str]]
Idf = Callable[[Collection[str], Allowed | None], dict[str, float]]
Cosines = Callable[["Vectors", Sequence[int]], dict[int, list[float]]]

# Weights of a sentence's parts. _COSINE, _PASSAGE and _KIND were set by looking at XQuAD's questions and at those about the
# sample handbook, _OLD at a few follow-ups, the others by judgement: figures on those questions are not held out for them.
_HEADING, _NEIGHBOUR, _CARRIED, _OLD = 0.6, 0.3, 0.5, 0.3
_COSINE, _PASSAGE, _KIND = 2.0, 0.5, 0.12
# A table's row is the answer where its first cell says what is asked for and nothing else; one that has nothing but its first
# cell heads others. Set on one half of TAT-QA's contexts (benchmarks/results/quotes.json).
_LABEL, _BARE = 0.9, 0.4

_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|hundred|thousand|million|half|none|twice)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\b(?:1\d{3}|20\d{2})\b|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\b\d{1,2}(?::\d{2}|\s?[ap]\.?m\.?)\b|\b(?:century|year|years|month|months|week|weeks|days?|hours?|daily|annually)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][\w'’-]+")
_KINDS = (
    (
        re.compile(
            r"\b(?:how (?:many|much|long|old|far|often|high|large|big|fast|soon|quickly)"
            r"|what (?:percentage|number|amount|share))\b",
            re.IGNORECASE,
        ),
        _NUMBER,
    ),
    (
        re.compile(
            r"\b(?:when|what (?:year|date|day|month|time)|which (?:year|day|month)|(?:in|by) (?:what|which) year)\b", re.I
        ),
        _DATE,
    ),
    (re.compile(r"\b(?:who|whom|whose|where|which (?:city|country|person|company|office))\b", re.IGNORECASE), _NAME),
)


class EvidenceFinder:
    """Scores sentences by the question's words (weighted by rarity) that they, their heading and their neighbours hold,
    by their nearness in meaning, by their passage's rank, and by whether they hold the kind of thing that is asked for."""

    def __init__(self, terms: Terms, idf: Idf, cosines: Cosines, text_at: TextAt) -> None:
        self._terms, self._idf, self._cosines, self._text_at = terms, idf, cosines, text_at

    def __call__(self, question: Standalone, weights: Weights, passages: Sequence[Passage], vector: Vectors) -> list[Evidence]:
        """Evidence from all passages, best first; `weights` and `vector` are the question's."""
        cosines = self._cosines(vector, [passage.chunk.id for passage in passages])
        wanted = next((kind for asked, kind in _KINDS if asked.search(question.own)), None)
        best = max((passage.score for passage in passages), default=0.0) or 1.0
        evidence = [
            item
            for position, passage in enumerate(passages)
            for item in self._of_passage(
                position, passage, passage.score / best, weights, wanted, cosines.get(passage.chunk.id, ())
            )
        ]
        return sorted(evidence, key=lambda item: (-item.score, item.passage, item.start))

    def weights(self, question: Standalone, allowed: Allowed | None = None) -> Weights:
        """The question's terms (none, if it has only function words) and what each weighs: how rare it is among the documents
        that are allowed (None: all)."""
        own = set(self._terms(question.own)) - self._stopterms
        carried = set(self._terms(question.text)) - own - self._stopterms
        idf = self._idf(own | carried, allowed)
        raw = {term: idf[term] * (1.0 if term in own else _CARRIED) for term in own | carried}
        total = sum(raw.values())
        if total <= 0:
            return Weights()
        new = frozenset(own) if carried else frozenset()
        return Weights({term: weight / total for term, weight in raw.items()}, total, new)

    @cached_property
    def _stopterms(self) -> frozenset[str]:
        return frozenset(self._terms(" ".join(STOPWORDS))) | STOPWORDS

    def _of_passage(
        self,
        position: int,
        passage: Passage,
        rank: float,
        asked: Weights,
        wanted: re.Pattern[str] | None,
        cosines: Sequence[float],
    ) -> Iterator[Evidence]:
        chunk, weights = passage.chunk, asked.terms
        spans = list(units(chunk))
        held = [set(self._terms(chunk.text[start:end])) & weights.keys() for start, end in spans]
        header = self._text_at(passage.document.document_id, *chunk.header) if chunk.header else ""
        above = set(self._terms(" ".join([passage.document.title, *chunk.heading, header]))) & weights.keys()
        for at, (start, end) in enumerate(spans):
            beside = set().union(*held[max(0, at - 1) : at], *held[at + 1 : at + 2])
            coverage = sum(weights[term] for term in held[at])
            heading = sum(weights[term] for term in above - held[at])
            neighbour = sum(weights[term] for term in beside - above - held[at])
            support = coverage + _HEADING * heading + _NEIGHBOUR * neighbour
            if asked.new and not asked.new & (held[at] | above | beside):
                # It answers the question before: what the follow-up asks about isn't there.
                coverage, support = coverage * _OLD, support * _OLD
            text = chunk.text[start:end]
            found = wanted is None or bool(wanted.search(text))
            cosine = cosines[at] if at < len(cosines) else 0.0
            score = support + _COSINE * cosine + _PASSAGE * rank + (_KIND if wanted and found else 0.0)
            if chunk.header:
                score += self._row(text, weights)
            yield Evidence(position, chunk.start + start, chunk.start + end, text, score, coverage, support, cosine, found)

    def _row(self, text: str, asked: Collection[str]) -> float:
        """What a table's row gains by its first cell, or loses by having no other."""
        label, *others = [cell.strip() for cell in text.strip("| ").split(" | ")]
        words = set(self._terms(label)) - self._stopterms
        gain = _LABEL * len(words.intersection(asked)) / len(words) if words else 0.0
        return gain if any(others) else gain - _BARE
