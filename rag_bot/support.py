"""Whether passages carry a sentence in other words: its figures, names and negations stand there, and it means the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.sentences import units
from ingest.types import Span
from rag_bot.cite import TextAt, cite_row
from rag_bot.facts import Facts, bare, read
from rag_bot.lexicon import PLEASANTRIES, PLEASANTRY, TURNS
from rag_bot.match import contradicted, displaced, hits, labels, turned_round
from rag_bot.types import Passage

if TYPE_CHECKING:
    from ingest.embedder import Vectors

Embed = Callable[[str], "Vectors"]
Cosines = Callable[["Vectors", Sequence[int]], dict[int, list[float]]]

_MOST = 3  # source sentences that may carry one sentence together
_SEEDS, _SHORTLIST = 4, 16  # sentences that are tried as the best one, and those that may be added to it
_LONGEST = 2_000  # characters of a sentence; what is longer is none
_ALONE, _WORTH = 2, 2  # words that a sentence must share to be added, and what it must bring (`_gain`)
_SUBJECT = 12  # words of a sentence; in a longer one the first is seldom what it is about
# Chosen on one half of the conversations of benchmarks/gate.py, which reports the other half. Of the words of a sentence, the
# share that stands in the sources (`coverage`) decides alone from _ENOUGH on; below it, its sum with the cosine must reach
# _TOGETHER. Under _LITTLE words prove nothing: the sentence may be in another language, and its meaning must be very near.
_ENOUGH, _TOGETHER = 0.8, 0.95
_LITTLE, _ALIKE = 0.2, 0.75
_FEW, _NEAR = 6, 0.48  # where a sentence has so few words, a missing one may be all it says: its meaning must be this near, too

_TELLING = 2  # words; a sentence of fewer ("6 months.") is told by its meaning alone

# What some models put before an answer.
_LEAD = re.compile(
    r"""(?: (?:the\ |an\ )?answer(?:\ to\ (?:the|your|this)\ question)?(?:\ is)?
          | (?:the\ |this\ )?(?:passage|document|source|text)(?:\ says|\ states)? )\s*:\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS_FOR = re.compile(
    r"(?:please )?(?:explain (?:the|how|why|what)|describe (?:the|how)|compose an?|translate|break down|draft an?|"
    r"(?:write|provide|develop|tell|give) (?:me |us )?an? (?:\w+ )?"
    r"(?:poem|story|essay|speech|letter|song|joke|summary|example|introduction))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SILENT = re.compile(
    r"""(?:unfortunately,?\ )?
        (?: (?:the|these|this|those|none\ of\ the)\ (?:\w{1,20}\ ){0,2}
            (?:documents?|passages?|sources?|texts?|context|information|materials?)\ (?:\w{1,20}\ ){0,2}?(?:do|does|did)
          | i\ (?:do|can|could))
        (?:\ not|n[o']t|['’]t|n['’]t)\ (?:\w{1,20}ly\ )?
        (?:mention|say|state|specify|contain|provide|include|give|describe|cover|address|indicate|answer|know|find|see|tell)\b
        (?P<what>.*)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Support:
    """`spans` are (place in the list of passages, span in its document) that carry the sentence or come nearest to it, best
    first; none where it needs no proof, such as a greeting. `score` is the share of its words that stand there. `reason` says
    what is missing where it is not supported."""

    supported: bool
    spans: tuple[tuple[int, Span], ...] = ()
    score: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence or row of a passage (`place` in the list, `number` in the passage) and what of the claim is there: `words` in
    itself, `above` in title, headings and table header, `facts` in either. A question (`asks`) says nothing by itself."""

    place: int
    number: int
    span: Span
    source: Facts
    words: frozenset[str]
    above: frozenset[str]
    facts: frozenset[str]
    asks: bool


@dataclass(frozen=True, slots=True)
class _Window:
    """Units that may carry the claim together, the one that shares most first; `fault` is what speaks against it."""

    units: tuple[_Unit, ...]
    coverage: float
    fault: str
    faults: int


@dataclass(slots=True)
class _Asked:
    """A sentence while it is looked at; its vector is made at most once."""

    text: str
    claim: Facts
    passages: Sequence[Passage]
    wanted: dict[str, str] = field(init=False)
    vector: Vectors | None = None

    def __post_init__(self) -> None:
        self.wanted = labels(self.claim)


class SupportFinder:
    """Looks first in the passages that a sentence is marked with, then in all.

    Words decide where they can: `embed` (a sentence to its unit vector) and `cosines` (that vector and ids of chunks to the
    cosines of their units) are asked only where most, but not nearly all, of a sentence's words stand in the sources.
    """

    def __init__(self, embed: Embed, cosines: Cosines, text_at: TextAt) -> None:
        self._embed, self._cosines, self._text_at = embed, cosines, text_at

    def __call__(self, sentence: str, marks: Sequence[int], passages: Sequence[Passage]) -> Support:
        """`marks` are places in the list of passages; those that are not in it count for nothing."""
        if len(sentence) > _LONGEST:
            return Support(False, reason=f"A sentence of {len(sentence):,} characters is too long to be checked.")
        text = bare(sentence)
        if lead := _LEAD.match(text):
            text = text[lead.end() :]
        if _is_question(text):
            return Support(False, reason="The sentence asks, and says nothing.")
        asked = _Asked(text, read(text), passages)
        if not (asked.claim.known or asked.claim.numbers or asked.claim.addresses):
            return Support(False, reason="The sentence says nothing.")
        if _polite(text):
            return Support(True)
        if not passages:
            return Support(False, reason="There are no sources.")
        every = list(range(len(passages)))
        if silent := _SILENT.fullmatch(text.lower()):
            return self._silence(asked, silent["what"], every)
        marked = [place for place in dict.fromkeys(marks) if 0 <= place < len(passages)]
        nearest = None
        for places in [marked, every] if 0 < len(marked) < len(every) else [every]:
            support = self._look(asked, places)
            if support.supported:
                return support
            nearest = nearest if nearest and nearest.score >= support.score else support
        return nearest or Support(False)

    def _look(self, asked: _Asked, places: Sequence[int]) -> Support:
        """The support that the passages at these places give."""
        pool = list(self._pool(asked, places))
        best: _Window | None = None
        for window in self._windows(asked, pool):
            told = window.coverage >= _ENOUGH and len(asked.claim.words) >= _TELLING
            says = not all(unit.asks for unit in window.units)
            if told and says and not window.fault and self._stands(asked, window):
                return self._support(asked, window)
            if best is None or (-window.faults, window.coverage) > (-best.faults, best.coverage):
                best = window
        if best is None:
            return Support(False, reason="The sources do not say this.")
        if best.fault:
            return self._support(asked, best, best.fault)
        return self._by_meaning(asked, best, pool, places)

    def _by_meaning(self, asked: _Asked, window: _Window, pool: Sequence[_Unit], places: Sequence[int]) -> Support:
        """Words alone don't settle it: how near in meaning is the sentence to those of the passages?"""
        if asked.vector is None:
            asked.vector = self._embed(asked.text)
        chunks = [asked.passages[place].chunk.id for place in places]
        cosines = self._cosines(asked.vector, chunks)

        def near(unit: _Unit) -> float:
            if unit.asks:  # an answer is near to its question, whoever made it up
                return 0.0
            each = cosines.get(asked.passages[unit.place].chunk.id, ())
            return each[unit.number] if unit.number < len(each) else 0.0

        if window.coverage < _LITTLE:
            fitting = [unit for unit in pool if unit.facts >= asked.wanted.keys()]
            window = _Window((max(fitting, key=near),), window.coverage, "", 0) if fitting else window
            carried = near(window.units[0]) >= _ALIKE
        else:
            nearest = max(near(unit) for unit in window.units)
            carried = window.coverage + nearest >= _TOGETHER and (nearest >= _NEAR or len(asked.claim.words) > _FEW)
        if carried and self._stands(asked, window):
            return self._support(asked, window)
        return self._support(asked, window, "The sources do not say this.")

    def _pool(self, asked: _Asked, places: Sequence[int]) -> Iterator[_Unit]:
        claim = asked.claim
        for place in places:
            passage = asked.passages[place]
            chunk = passage.chunk
            header = self._text_at(passage.document.document_id, *chunk.header) if chunk.header else ""
            top = read(" . ".join([passage.document.title, *chunk.heading, header]))
            above = claim.words & top.known
            for number, (start, end) in enumerate(units(chunk)):
                text = chunk.text[start:end]
                source = read(text)
                span = (chunk.start + start, chunk.start + end)
                yield _Unit(
                    place, number, span, source, claim.words & source.known, above, hits(claim, source, top), _asks(text)
                )

    def _windows(self, asked: _Asked, pool: Sequence[_Unit]) -> Iterator[_Window]:
        """The best sentences, each with up to two others that hold what is missing in it."""
        somewhere = frozenset[str]().union(*(unit.facts for unit in pool))
        ranked = sorted(pool, key=lambda unit: -(len(unit.words) + 2 * len(unit.facts)))[:_SHORTLIST]
        for seed in ranked[:_SEEDS]:
            yield _judged(asked, _completed(asked, seed, ranked), pool, somewhere)

    def _stands(self, asked: _Asked, window: _Window) -> bool:
        """Whether the documents still say so: one may be gone or changed since it was found."""
        for unit in window.units:
            passage = asked.passages[unit.place]
            start, end = unit.span
            text = passage.chunk.text[start - passage.chunk.start : end - passage.chunk.start]
            if self._text_at(passage.document.document_id, start, end) != text:
                return False
        return True

    def _support(self, asked: _Asked, window: _Window, reason: str = "") -> Support:
        spans = tuple(dict.fromkeys(self._spans(asked, window)))
        return Support(not reason, spans, round(window.coverage, 4), reason)

    def _spans(self, asked: _Asked, window: _Window) -> Iterator[tuple[int, Span]]:
        """The places of a window's units: neighbours in one span, rows with their table's header."""
        for group in _grouped(window.units):
            passage = asked.passages[group[0].place]
            if passage.chunk.kind == "table":
                for unit in group:
                    yield from ((unit.place, span) for span in cite_row(passage, unit.span, self._text_at)[1])
            else:
                yield group[0].place, (group[0].span[0], group[-1].span[1])

    def _silence(self, asked: _Asked, what: str, places: Sequence[int]) -> Support:
        """Whether the sentence only says that the documents don't say something, and they don't."""
        pool = list(self._pool(asked, places))
        words = read(what).words
        known = frozenset[str]().union(*(unit.source.known for unit in pool))
        names = [name for name in asked.claim.names if not name.first]
        more = TURNS & set(_WORD.findall(what)) or any(mark in what.rstrip(" .!") for mark in ".;:,")
        if more or asked.claim.numbers or asked.claim.dates or any(name.key not in known for name in names):
            return Support(False, reason="More is said here than that the sources don't say it.")
        if len(words) > 1 and any(words <= unit.source.words | unit.above for unit in pool):
            return Support(False, reason="The sources do speak of this.")
        return Support(True)


def _asks(text: str) -> bool:
    """Whether a sentence only asks for something to be said: it lies near to any answer, and states none."""
    return _is_question(text) or _ASKS_FOR.match(text.strip()) is not None


def _is_question(text: str) -> bool:
    return text.rstrip("\"'”’)» ").endswith(("?", "？"))


def _polite(text: str) -> bool:
    """Whether a sentence is a greeting, thanks or the like, and nothing else."""
    words = {word.lower().replace("’", "'") for word in _WORD.findall(text)}
    return bool(words & PLEASANTRY) and words <= PLEASANTRIES


def _completed(asked: _Asked, seed: _Unit, ranked: Sequence[_Unit]) -> list[_Unit]:
    """A sentence with those that bring most of what is missing: a fact, or two words."""
    window, words, facts = [seed], seed.words | seed.above, seed.facts
    while len(window) < _MOST:
        if len(words) >= _ENOUGH * len(asked.claim.words) and len(facts) == len(asked.wanted):
            break
        gains = [
            (_gain(unit, words, facts), unit.place == seed.place, -at)
            for at, unit in enumerate(ranked)
            if unit not in window and len(unit.words) >= _ALONE
        ]
        gain, _, at = max(gains, default=(0, False, 0))
        if gain < _WORTH:
            break
        unit = ranked[-at]
        window.append(unit)
        words, facts = words | unit.words | unit.above, facts | unit.facts
    window.sort(key=lambda unit: -len(unit.words))
    for unit in window[:0:-1]:  # what the others have made needless proves nothing
        others = [other for other in window if other is not unit]
        held = frozenset[str]().union(*(other.words | other.above for other in others))
        if _gain(unit, held, frozenset[str]().union(*(other.facts for other in others))) < _WORTH:
            window = others
    return window


def _gain(unit: _Unit, words: frozenset[str], facts: frozenset[str]) -> int:
    """What a sentence brings to others that hold these words and facts: a fact counts as much as two words."""
    return len(unit.words - words) + 2 * len(unit.facts - facts)


def _judged(asked: _Asked, window: Sequence[_Unit], pool: Sequence[_Unit], somewhere: frozenset[str]) -> _Window:
    """`pool` are all sentences looked at, `somewhere` the facts that stand in any of them."""
    claim, sources = asked.claim, [unit.source for unit in window]
    words = frozenset[str]().union(*(unit.words | unit.above for unit in window))
    facts = frozenset[str]().union(*(unit.facts for unit in window))
    faults = []
    for label, fact in asked.wanted.items():
        if label not in facts:
            where = "does not stand where the sources speak of this" if label in somewhere else "is not in the sources"
            faults.append(f"{fact} {where}.")
    if contradicted(claim, sources):
        faults.append("The sources say the opposite: the sentence has a “not” too many, or lacks one.")
    if other := displaced(claim, sources):
        faults.append(f"Where the sentence has “{other}”, the sources have something else.")
    if word := turned_round(claim, sources):
        faults.append(f"The sources say the opposite of “{word}”.")
    if _of_another(claim, window[0], pool):
        faults.append("The sources say this of something else.")
    coverage = len(words) / len(claim.words) if claim.words else 0.0
    return _Window(tuple(window), coverage, faults[0] if faults else "", len(faults))


def _of_another(claim: Facts, best: _Unit, pool: Sequence[_Unit]) -> bool:
    """Whether the best sentence begins with what the claim doesn't name, and the sources have another that begins as it does:
    of "Everyone gets 26 days. Contractors get none.", the first doesn't carry "Contractors get 26 days"."""
    if not claim.line or len(claim.words) > _SUBJECT or not best.source.line or best.source.line[0] in claim.words:
        return False
    subject = claim.line[0]
    # The sentences before may have said what the best one goes on about.
    near = (unit for unit in pool if unit.place == best.place and 0 <= best.number - unit.number <= 2)
    if any(subject in unit.words | unit.above for unit in near):
        return False
    return any(unit.source.line[:1] == (subject,) for unit in pool)


def _grouped(window: Sequence[_Unit]) -> list[list[_Unit]]:
    """The units in runs of neighbours, in the order of each run's best."""
    groups: list[list[_Unit]] = []
    for unit in window:
        beside = [group for group in groups if any(_neighbours(unit, other) for other in group)]
        merged = sorted([unit, *(other for group in beside for other in group)], key=lambda each: each.number)
        if beside:
            groups[groups.index(beside[0])] = merged
            groups = [group for group in groups if group not in beside[1:]]
        else:
            groups.append(merged)
    return groups


def _neighbours(one: _Unit, other: _Unit) -> bool:
    return one.place == other.place and abs(one.number - other.number) == 1
