"""Where sentences begin and end, as offsets: chunks end there, and answers quote from there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.types import Chunk, Span

# A sentence may end at . ! ? … (with closing quotes or brackets) before white space, at the full-width marks anywhere,
# and at a blank line or before a list marker always. A run of marks is tried once, as a whole: a line of a million dots
# takes no longer than another.
_END = re.compile(
    r"""(?P<hard>\n[ \t]*(?:\n\s*)+ | \n(?=[ \t]*(?:[-*•‣▪◦–]|\(?\d{1,3}[.)]|\(?[a-z][.)])[ \t]))
      | (?P<wide>[。！？]+[」』”’）]* | [؟۔।॥]+(?=\s))
      | (?<![.!?…])(?P<mark>[.!?…]++)(?P<close>["'”’»)\]]*+)(?=\s)""",
    re.VERBOSE,
)
_MARK = re.compile(r"[\n.!?…。！？؟۔।॥]")  # what every end begins with: far quicker to look for than the ends themselves
_LAST_WORD = re.compile(r"(\S+)$")
_NEXT = re.compile(r"\s*(\S)")
# Followed by a full stop these rarely end a sentence; those of the second set do when a capital letter follows.
_NEVER = frozenset(
    "mr mrs ms dr prof st sr jr messrs gen col capt lt sgt rev hon pres gov sen rep mt vs e.g i.e eg ie cf viz al fig figs "
    "eq eqs sec ch vol pp ed eds trans approx resp incl nos art para u.s u.k e.u u.s.a".split()
)
_BEFORE_SMALL = frozenset(
    "etc inc ltd co corp llc plc dept est jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun "
    "a.m p.m ph.d b.sc m.sc".split()
)
_BEFORE_NUMBER = frozenset("no nr p art sec fig eq ch vol approx ca c".split())


def split(text: str) -> Iterator[Span]:
    """The spans of the sentences of `text`, in order, without surrounding white space; together they hold all its words."""
    start = 0
    for match in _candidates(text):
        if match["mark"] and not _ends(text, start, match):
            continue
        yield from _trim(text, start, match.start() if match["hard"] else match.end())
        start = match.end()
    yield from _trim(text, start, len(text))


def _candidates(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while mark := _MARK.search(text, at):
        match = _END.match(text, mark.start())
        at = (match or mark).end()
        if match:
            yield match


def units(chunk: Chunk) -> Iterator[Span]:
    """The spans, in the chunk's own text, of its sentences or of its table's rows (the header proves nothing by itself)."""
    if chunk.header is None:
        yield from split(chunk.text)
        return
    start = max(0, chunk.header[1] + 1 - chunk.start)
    while start < len(chunk.text):
        end = chunk.text.find("\n", start)
        end = len(chunk.text) if end < 0 else end
        if end > start:
            yield start, end
        start = end + 1


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    following = _NEXT.match(text, match.end())
    if following is None:
        return True
    first = following[1]
    if match["mark"] != ".":
        return not first.islower()
    word_match = _LAST_WORD.search(text[max(start, match.start() - 40) : match.start()])
    word = word_match[1].lower().lstrip("(['\"“‘") if word_match else ""
    if first.islower() or word in _NEVER:
        return False
    if word in _BEFORE_SMALL:
        return not first.isdigit()
    if first.isdigit() and word in _BEFORE_NUMBER:
        return False
    # A single letter is an initial ("J. Smith") and a lone number at a line's start a list marker ("1. Open the lid"),
    # unless the stop stands apart ("vitamin C ."), as in tokenised text.
    if len(word) == 1 and word.isalpha() and word != "i":
        return False
    return not (word.isdigit() and text[start : match.start()].strip() == word)


def _trim(text: str, start: int, end: int) -> Iterator[Span]:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = left + len(piece.strip())
    if right > left:
        yield left, right
