"""A reply as it streams in, to sentences: each as soon as it is whole, with the marks that it carries."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from ingest.sentences import split

# [2], [1, 3], [1-3], [passage 2], 【2†L1-L9】, (source 2). Nothing in it can match a text in two ways: a reply that begins a
# mark and never ends it must not take longer than another.
_WORD = r"(?:passages?|sources?|documents?|docs?)"
_NUMBERS = rf"[#^]?\d{{1,3}}(?:\s*+(?:[,;&–-]|and)\s*+(?:{_WORD}\s*+)?\d{{1,3}})*+"
_MARK = (
    rf"(?:[\[【]\s*+(?:{_WORD}\s*+)?{_NUMBERS}(?:†[^\]】\n]{{0,40}}+)?\s*+[\]】]"
    rf"|\(\s*+{_WORD}\s*+{_NUMBERS}\s*+\))"
)
_MARKS = re.compile(rf"(?<![ \t])[ \t]*+{_MARK}(?:[ \t]*+(?:(?:[,;]|and\b)[ \t]*+)?{_MARK})*+", re.IGNORECASE)
_LEADING = re.compile(rf"(?:\s*+(?:[,;]\s*+)?{_MARK})++[.]?", re.IGNORECASE)
_OPEN_MARK = re.compile(r"[\[【(][^\]】)\n]{0,40}\Z")
_GLUED = re.compile(r"""(?:(?<=[.!?…])|(?<=[.!?…]["”’»)]))(?=[\[【])""")  # "26 days.[2]": a sentence ends before a blank
_BOLD = re.compile(r"\*\*(\S(?:[^*]*\S)?)\*\*")
_ASIDE = re.compile(r"†[^\]】]*")
_RANGE = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")
_WORDS = re.compile(r"[^\W_]")
_WIDEST = 50  # numbers of a range that is believed
_LONGEST = 4_000  # characters; what goes on for longer without an end is no sentence


@dataclass(frozen=True, slots=True)
class Written:
    """A sentence without its marks, and the numbers in them, in order, each once."""

    text: str
    marks: tuple[int, ...]


async def written(pieces: AsyncGenerator[str, None]) -> AsyncGenerator[Written, None]:
    """The sentences of a reply. A sentence is whole when the next one has begun, since its marks may follow its end.

    If `pieces` raises, the last sentence is lost with it: nobody knows how it would have ended.
    """
    buffer = ""
    async with aclosing(pieces):
        async for piece in pieces:
            buffer = buffer[:-2] + _GLUED.sub(" ", buffer[-2:] + piece)
            if piece.strip() and (end := _whole(buffer)):
                for sentence in _sentences(buffer[:end]):
                    yield sentence
                buffer = buffer[end:]
    for sentence in _sentences(buffer):
        yield sentence


def _whole(buffer: str) -> int:
    """Where the sentences that are certainly whole end; 0 if there is none yet."""
    for start, end in reversed(_spans(buffer)[1:]):
        leading = _LEADING.match(buffer, start, end)
        begun = leading.end() if leading else start
        if _WORDS.search(_OPEN_MARK.sub("", _MARKS.sub("", buffer[begun:end]))):
            return begun
    return buffer.rfind(" ") + 1 or len(buffer) if len(buffer) > _LONGEST else 0


def _sentences(text: str) -> list[Written]:
    """The sentences of a whole text; marks that stand before one belong to the one before."""
    found: list[Written] = []
    for start, end in _spans(text):
        sentence = text[start:end]
        leading = _LEADING.match(sentence) if found else None
        if leading:
            found[-1] = Written(found[-1].text, _unique([*found[-1].marks, *_numbers(leading[0])]))
            sentence = sentence[leading.end() :]
        marks = [number for mark in _MARKS.findall(sentence) for number in _numbers(mark)]
        bare = _BOLD.sub(r"\1", " ".join(_MARKS.sub("", sentence).split()))
        if _WORDS.search(bare):
            found.append(Written(bare, _unique(marks)))
        elif found:
            found[-1] = Written(found[-1].text, _unique([*found[-1].marks, *marks]))
    return found


def _spans(text: str) -> list[tuple[int, int]]:
    """Sentences, which also end where a line does."""
    spans: list[tuple[int, int]] = []
    at = 0
    for line in text.splitlines(keepends=True):
        spans.extend((at + start, at + end) for start, end in split(line))
        at += len(line)
    return spans


def _numbers(marks: str) -> list[int]:
    """All numbers that marks name: 1, 2 and 3 for `[1-3]`."""
    numbers: list[int] = []
    for first, last in _RANGE.findall(_ASIDE.sub("", marks)):
        start, end = int(first), int(last or first)
        numbers.extend(range(start, end + 1) if start <= end < start + _WIDEST else (start, end))
    return numbers


def _unique(numbers: list[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))
