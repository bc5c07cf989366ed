"""Collects a document's text and its blocks while a parser walks through a file; the offsets come out right by making."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ingest.errors import BadLabels
from ingest.labels import labels_of
from ingest.places import Place
from ingest.types import Block, BlockKind, Hidden, Parsed, Span

_SEPARATOR = "\n\n"
_LONGEST_HEADING = 300  # characters; what is longer is a paragraph that someone set in large type
_BREAKS = "\r\x0b\x0c\x85\u2028\u2029"
# Spaces that differ from a space by their width only: a quote with them would not be found by who types it.
_WIDTHS = "\xa0\u2000-\u200a\u202f\u205f"
# Other control characters and lone surrogates can't be stored or shown; soft hyphens and zero-width spaces cut words in two
# for every search. Joiners stay: emoji and several scripts need them.
_DROPPED = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u2060\ud800-\udfff\ufeff\ufffe\uffff"
# What nobody sees and a model reads all the same: letters as tags, bytes as variants of nothing, text turned around.
_TAGS, _OVERRIDES, _VARIANTS = "\U000e0000-\U000e007f", "\u202d\u202e", "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_JOINERS = f"\u200c\u200d\u2061-\u2064{_VARIANTS}"
_UNSEEN = f"{_TAGS}{_OVERRIDES}{_JOINERS}"
_MOST_JOINERS = 3  # in a row: no script and no emoji has more
_LONGEST_DROPPED = 8  # in a row: that many are no accident of somebody's editor
_NEWLINES = re.compile(f"\r\n|[{_BREAKS}]")
_SPACES = re.compile(f"[{_WIDTHS}]")
_UNPRINTABLE = re.compile(f"[{_DROPPED}]")
_UNSEEN_RUN = re.compile(f"[{_UNSEEN}]+")
_UNSEEN_OR_DROPPED_RUN = re.compile(f"[{_UNSEEN}\xad\u200b\u2060\ufeff]+")
_FLAG = re.compile(f"[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{3,6}}\U000e007f[{_JOINERS}]{{0,{_MOST_JOINERS}}}")
_FORBIDDEN = re.compile(f"[{_TAGS}{_OVERRIDES}]")
_ANY = re.compile(f"[{_BREAKS}{_WIDTHS}{_DROPPED}{_UNSEEN}]")

# Around text that a reader does not see, parsers put signs that no text holds: which way it is hidden, and where that ends.
# A document that holds them itself only says of its own text that it is hidden.
HIDDEN_KINDS = ("white", "tiny", "transparent", "off page", "not displayed", "alternative text", "aria-hidden", "invisible")
_END = "\ufdd0"
_BEGINNINGS = "".join(map(chr, range(0xFDD1, 0xFDD1 + 2 * len(HIDDEN_KINDS))))
_SIGN = re.compile(f"[{_END}{_BEGINNINGS}]")
_MOST_BESIDE = 500
_LONGEST_BESIDE = 20_000  # characters, of each and five times that of all


def clean(text: str) -> str:
    """Newlines as `\\n`, spaces as spaces, and nothing in it that SQLite, JSON or UTF-8 could not carry or nobody sees."""
    if not _ANY.search(text):
        return text
    text = _UNPRINTABLE.sub("", _SPACES.sub(" ", _NEWLINES.sub("\n", text)))
    return _UNSEEN_RUN.sub(_seen, text)


def _seen(match: re.Match[str]) -> str:
    """What stays of a run of invisible characters: the joiners of a script or an emoji, and the tags of a flag."""
    run = match[0]
    if match.string[match.start() - 1 : match.start()] == "\U0001f3f4" and _FLAG.fullmatch(run):
        return run
    kept = _FORBIDDEN.sub("", run)
    return kept if len(kept) <= _MOST_JOINERS else ""


def _unseen(text: str) -> Iterable[str]:
    """What the runs of invisible characters say that `clean` takes out and no honest text has; '' where that is unknown."""
    for match in _UNSEEN_OR_DROPPED_RUN.finditer(text):
        run = match[0]
        if len(run) >= _LONGEST_DROPPED or (_FORBIDDEN.search(run) and _seen(match) != run):
            codes = [ord(sign) for sign in run]
            letters = "".join(chr(code - 0xE0000) for code in codes if 0xE0020 <= code < 0xE007F)
            data = bytes(code - (0xFE00 if code < 0xFE10 else 0xE0100 - 16) for code in codes if _is_variant(code))
            yield letters + data.decode("utf-8", "ignore")


def _is_variant(code: int) -> bool:
    return 0xFE00 <= code < 0xFE10 or 0xE0100 <= code < 0xE01F0


def marked(text: str, kind: str, *, sure: bool = True) -> str:
    """The text with signs around it that say it is hidden; the builder takes them out again and notes the place."""
    words = text.strip()
    return text.replace(words, f"{_BEGINNINGS[2 * HIDDEN_KINDS.index(kind) + sure]}{words}{_END}", 1) if words else text


def marked_again(text: str, hidden: Iterable[Hidden]) -> str:
    """A built text with the signs around what is hidden in it, for another builder."""
    parts, reached = [], 0
    for one in hidden:
        if one.start < one.end:
            lines = text[one.start : one.end].split("\n")  # each by itself, so that it may be cut into paragraphs
            parts += [text[reached : one.start], "\n".join(marked(line, one.kind, sure=one.sure) for line in lines)]
            reached = one.end
    return "".join([*parts, text[reached:]])


def unmarked(text: str) -> str:
    """The text without the signs."""
    return _SIGN.sub("", text)


class TextBuilder:
    """Text in reading order, block by block. Set `page` (from 1) whenever a new page begins.

    Set `place` where the file has more to say of a place than a page: what to call it, as in `Place`. Where `unit` is set,
    the lines or rows of each block are counted.
    """

    def __init__(self) -> None:
        self.page: int | None = None
        self.place, self.unit = "", ""
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []
        self._path: tuple[str, ...] = ()
        self._first_heading: tuple[int, str] | None = None
        self._hidden: list[Hidden] = []
        self._notes: list[str] = []
        self._labels: tuple[str, ...] = ()
        self._beside = 0  # how much text has been noted that stands beside the document's own

    def cleaned(self, text: str) -> str:
        """As `clean`; invisible characters that say something are noted."""
        if not _ANY.search(text):
            return text
        for said in _unseen(text):
            self.beside("invisible", said, sure=True)
        return clean(text)

    def beside(self, kind: str, text: str, *, sure: bool = False) -> None:
        """Note what stands in the file and is no part of the text; of very much of it, the beginning."""
        text = " ".join(clean(text[:_LONGEST_BESIDE]).split())
        if (text or sure) and len(self._hidden) < _MOST_BESIDE and self._beside < 5 * _LONGEST_BESIDE:
            self._beside += len(text)
            self._hidden.append(Hidden(kind, self._length, self._length, sure, self.page, text))

    def note(self, text: str) -> None:
        """Say in the ledger what of the file is not in the text."""
        self._notes.append(clean(text))

    def label(self, told: Iterable[str]) -> None:
        """Give the document the labels that its file names. Raises BadLabels."""
        try:
            self._labels = labels_of((*self._labels, *told))
        except ValueError as error:
            raise BadLabels(f"can't be taken in with its labels: {error}") from error

    def heading(self, level: int, text: str, number: int | None = None) -> None:
        """A heading of `level` (1 the highest, 0 for a title above them all); what follows stands below it.

        `number` is where it stands, as the builder's `unit` counts.
        """
        signed = " ".join(self.cleaned(text).split())
        words = unmarked(signed)
        if len(words) > _LONGEST_HEADING:
            self.text(signed, number)
            return
        if not words:
            return
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._path = tuple(heading for _, heading in self._headings)
        self._block("heading", signed, numbers=[number])
        self._headings.append((level, words))
        self._path = (*self._path, words)
        self._first_heading = self._first_heading or (level, words)

    def text(self, text: str, number: int | Sequence[int] | None = None) -> None:
        """A paragraph, a list item or a piece of code; its line breaks stay.

        `number` is that of its first line, where the others follow it, or those of all its lines.
        """
        lines = self.cleaned(text).rstrip()
        kept = lines.lstrip("\n")
        if not isinstance(number, int):
            self._block("text", kept, numbers=number or ())
        else:
            first = number + len(lines) - len(kept)
            self._block("text", kept, numbers=range(first, first + kept.count("\n") + 1))

    def table(self, rows: Sequence[Sequence[str]], *, header: bool = True, numbers: Sequence[int] | None = None) -> None:
        """A table, written as a Markdown table whose first row is the header; `header=False` puts an empty one there.

        `numbers` are those of the rows, as the file counts them.
        """
        cells = [[" ".join(self.cleaned(cell).replace("|", "\\|").split()) for cell in row] for row in rows]
        counted = [number for number, row in zip(numbers, cells, strict=True) if any(row)] if numbers else None
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
        # The empty header and the line below the header are no rows of the file.
        lined = [*counted[:1], None, *counted[1:]] if counted and header else [None, None, *(counted or ())]
        self._block("table", "\n".join(lines), header_length=len(lines[0]) + 1 + len(lines[1]), numbers=lined)

    @property
    def empty(self) -> bool:
        return not self._blocks

    def build(self, title: str, media_type: str, fallback: str = "") -> Parsed:
        """The parsed document; its title falls back to the first heading if that is of level 1 or 0, then to `fallback`."""
        words = " ".join(clean(unmarked(title)).split())
        if not words and self._first_heading and (self._first_heading[0] <= 1 or not fallback):
            words = self._first_heading[1]
        hidden = tuple(_joined(sorted(self._hidden, key=lambda one: one.start), "".join(self._parts)))
        return Parsed(
            words or fallback,
            "".join(self._parts),
            media_type,
            tuple(self._blocks),
            hidden,
            tuple(self._notes),
            self._labels,
        )

    def _block(self, kind: BlockKind, text: str, header_length: int = 0, numbers: Sequence[int | None] = ()) -> None:
        spans: list[tuple[int, int, str]] = []
        if _SIGN.search(text):
            header_length = len(_taken_out(text[:header_length])[0])
            text, spans = _taken_out(text)
        if not text.strip():
            return
        if self._parts:
            self._parts.append(_SEPARATOR)
            self._length += len(_SEPARATOR)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        header: Span | None = (start, start + header_length) if header_length else None
        places = self._places(text, start, numbers)
        self._blocks.append(Block(kind, start, self._length, self.page, self._path, header, places))
        for left, right, sign in spans:
            way, sure = divmod(_BEGINNINGS.index(sign), 2)
            self._hidden.append(Hidden(HIDDEN_KINDS[way], start + left, start + right, bool(sure), self.page))

    def _places(self, text: str, start: int, numbers: Sequence[int | None]) -> tuple[Place, ...]:
        """The place of each line that has a number, else the one place of them all."""
        name = " ".join(clean(self.place).split())
        name = name if len(name) <= _LONGEST_HEADING else ""
        if not self.unit:
            return (Place(start, name),) if name else ()
        places, beginning = [], start
        for line, number in zip(text.split("\n"), numbers, strict=False):
            if number is not None:
                places.append(Place(start, name, self.unit, number))
            start += len(line) + 1
        if not places and name:
            return (Place(beginning, name),)
        return tuple(places)


def _taken_out(text: str) -> tuple[str, list[tuple[int, int, str]]]:
    """The text without signs, and the spans that stood between them with the sign that each began with."""
    parts: list[str] = []
    spans: list[tuple[int, int, str]] = []
    length, reached = 0, 0
    begun: tuple[int, str] | None = None
    for match in [*_SIGN.finditer(text), None]:
        end = match.start() if match else len(text)
        parts.append(text[reached:end])
        length += end - reached
        reached = end + 1
        if begun and begun[0] < length:
            spans.append((begun[0], length, begun[1]))
        begun = (length, match[0]) if match and match[0] != _END else None
    return "".join(parts), spans


def _joined(hidden: Iterable[Hidden], text: str) -> Iterable[Hidden]:
    """What is hidden in the same way with nothing but space between is one."""
    last: Hidden | None = None
    for one in hidden:
        if (
            last
            and not one.beside
            and last.start < last.end
            and one.start < one.end
            and (last.kind, last.sure) == (one.kind, one.sure)
            and not text[last.end : one.start].strip(" \n|-")
        ):
            last = replace(last, end=one.end)
            continue
        if last:
            yield last
        last = one
    if last:
        yield last
