"""How detectors read a text and hand back what they found: without what no reader sees, and nothing twice."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ingest.inspect import Finding

# Nothing of these is seen, though Unicode calls them letters or marks: fillers, joiners and variation selectors.
_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as a reader sees it. `at[i]` is where its character `i` stands in the text that was read; None: at `i`."""

    text: str
    at: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span in the text that was read of `text[start:end]`, which must not be empty."""
        return (start, end) if self.at is None else (self.at[start], self.at[end - 1] + 1)


def read(text: str) -> Reading:
    """The text without invisible characters, its wide and ornate letters, digits, dashes and spaces as plain ones."""
    seen = text.translate(_TABLE)
    if len(seen) == len(text):
        return Reading(seen)
    return Reading(seen, [at for at, character in enumerate(text) if _plain(character)])


def settled(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in the order of the text, none over another: of two that overlap the surer stays, then the longer."""
    kept: list[Finding] = []
    starts: list[int] = []
    for finding in sorted(findings, key=lambda one: (-one.score, one.start - one.end, one.start)):
        place = bisect_left(starts, finding.start)
        if place and kept[place - 1].end > finding.start:
            continue
        if place < len(kept) and starts[place] < finding.end:
            continue
        kept.insert(place, finding)
        starts.insert(place, finding.start)
    return kept


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """What is read for a character: itself, another, or nothing."""
    category = unicodedata.category(character)
    if category == "Cf" or character in _UNSEEN or 0xE0100 <= ord(character) < 0xE01F0:
        return ""
    if category == "Cc":
        return character if character.isspace() else ""
    if category == "Zs":
        return " "
    if category == "Pd" or character == "\u2212":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(character))
    folded = unicodedata.normalize("NFKC", character)
    return folded if len(folded) == 1 and folded.isascii() and category != "No" else character


class _Table(dict[int, str]):
    """What `str.translate` asks. It keeps nothing itself, so that no text, whatever it holds, makes it grow."""

    def __missing__(self, code: int) -> str:
        return _plain(chr(code))


_TABLE = _Table({code: _plain(chr(code)) for code in range(128)})
