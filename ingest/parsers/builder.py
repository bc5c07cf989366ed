"""Collects a document's text and its blocks while a parser walks through a file; the offsets come out right by making."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.types import Block, BlockKind, Parsed, Span

_SEPARATOR = "\n\n"
_LONGEST_HEADING = 300  # characters; what is longer is a paragraph that someone set in large type
_BREAKS = "\r\x0b\x0c\x85\u2028\u2029"
# Spaces that differ from a space by their width only: a quote with them would not be found by who types it.
_WIDTHS = "\xa0\u2000-\u200a\u202f\u205f"
# Other control characters and lone surrogates can't be stored or shown; soft hyphens and zero-width spaces cut words in two
# for every search. Joiners stay: emoji and several scripts need them.
_DROPPED = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u2060\ud800-\udfff\ufeff\ufffe\uffff"
_NEWLINES = re.compile(f"\r\n|[{_BREAKS}]")
_SPACES = re.compile(f"[{_WIDTHS}]")
_UNPRINTABLE = re.compile(f"[{_DROPPED}]")
_ANY = re.compile(f"[{_BREAKS}{_WIDTHS}{_DROPPED}]")


def clean(text: str) -> str:
    """Newlines as `\\n`, spaces as spaces, and nothing in it that SQLite, JSON or UTF-8 could not carry."""
    if not _ANY.search(text):
        return text
    return _UNPRINTABLE.sub("", _SPACES.sub(" ", _NEWLINES.sub("\n", text)))


class TextBuilder:
    """Text in reading order, block by block. Set `page` (from 1) whenever a new page begins."""

    def __init__(self) -> None:
        self.page: int | None = None
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []
        self._path: tuple[str, ...] = ()
        self._first_heading: tuple[int, str] | None = None

    def heading(self, level: int, text: str) -> None:
        """A heading of `level` (1 the highest, 0 for a title above them all); what follows stands below it."""
        words = " ".join(clean(text).split())
        if len(words) > _LONGEST_HEADING:
            self.text(words)
            return
        if not words:
            return
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._path = tuple(heading for _, heading in self._headings)
        self._block("heading", words)
        self._headings.append((level, words))
        self._path = (*self._path, words)
        self._first_heading = self._first_heading or (level, words)

    def text(self, text: str) -> None:
        """A paragraph, a list item or a piece of code; its line breaks stay."""
        self._block("text", clean(text).strip("\n").rstrip())

    def table(self, rows: Sequence[Sequence[str]], *, header: bool = True) -> None:
        """A table, written as a Markdown table whose first row is the header; `header=False` puts an empty one there."""
        cells = [[" ".join(clean(cell).replace("|", "\\|").split()) for cell in row] for row in rows]
        cells = [row for row in cells if any(row)]
        if not cells:
            return
        width = max(len(row) for row in cells)
        if not header:
            cells.insert(0, [""] * width)
        # Short rows are padded, but not where one row of a million cells would make a million of each of the others.
        padded = width * len(cells) <= 10_000 + 10 * sum(map(len, cells))
        lines = ["| " + " | ".join(row + [""] * (width - len(row) if padded else 0)) + " |" for row in cells]
        lines.insert(1, "| " + " | ".join(["---"] * width) + " |")
        self._block("table", "\n".join(lines), header_length=len(lines[0]) + 1 + len(lines[1]))

    @property
    def empty(self) -> bool:
        return not self._blocks

    def build(self, title: str, media_type: str, fallback: str = "") -> Parsed:
        """The parsed document; its title falls back to the first heading if that is of level 1 or 0, then to `fallback`."""
        words = " ".join(clean(title).split())
        if not words and self._first_heading and (self._first_heading[0] <= 1 or not fallback):
            words = self._first_heading[1]
        return Parsed(words or fallback, "".join(self._parts), media_type, tuple(self._blocks))

    def _block(self, kind: BlockKind, text: str, header_length: int = 0) -> None:
        if not text.strip():
            return
        if self._parts:
            self._parts.append(_SEPARATOR)
            self._length += len(_SEPARATOR)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        header: Span | None = (start, start + header_length) if header_length else None
        self._blocks.append(Block(kind, start, self._length, self.page, self._path, header))
