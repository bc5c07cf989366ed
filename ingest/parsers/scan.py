"""What OCR reads on a picture as lines and tables in reading order: columns one after the other, cells of a row together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ingest.parsers.ocr import Reading, read_picture
from ingest.parsers.pdf_page import HYPHEN, Line, Table, Word, aligned_tables
from ingest.parsers.pdf_seen import Box
from ingest.types import PagePlaces

_ASCENT = 0.75  # of a line's box: about the size of its font
_HEADING = 1.45  # what is so much larger than most lines is; smaller differences are OCR's
_COLUMN_LINES = 3  # a column has so many lines, of so many words
_COLUMN_WORDS = 3.0
_CROSSING = 0.35  # of all lines: more that cross a gap, and it parts no columns


@dataclass(frozen=True, slots=True)
class _Seen:
    """A line as it was read, in pixels from the upper left corner."""

    words: tuple[tuple[str, Box], ...]
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top


@dataclass(frozen=True, slots=True)
class Scan:
    """A picture that was read. Words stand in points (pixels times `scale`) from the lower left corner of it turned upright."""

    items: list[Line | Table]
    reading: Reading
    scale: float

    def as_shown(self, number: int, boxes: Sequence[Box]) -> PagePlaces:
        """Boxes of the words as places on the picture as it is shown."""
        reading, scale = self.reading, self.scale
        shown = []
        for left, bottom, right, top in boxes:
            box = left / scale, reading.height - top / scale, right / scale, reading.height - bottom / scale
            a, b, c, d = (round(scale * value, 2) for value in reading.in_picture(box))
            shown.append((a, b, c, d))
        lies = reading.turns % 2
        width, height = (reading.height, reading.width) if lies else (reading.width, reading.height)
        return PagePlaces(number, round(scale * width, 2), round(scale * height, 2), tuple(shown))


def read_scan(picture: Any, scale: float = 1.0) -> Scan:
    """Read a picture (an RGB array); a pixel is `scale` points."""
    reading = read_picture(picture)
    seen = [_seen(words) for words in reading.lines]
    usual = median(line.height for line in seen) if seen else 0.0
    lines = [_line(row, usual, reading.height, scale) for column in _columns(seen) for row in _rows(column)]
    return Scan(list(aligned_tables(lines)), reading, scale)


def _seen(words: tuple[tuple[str, Box], ...]) -> _Seen:
    lefts, tops, rights, bottoms = zip(*(box for _, box in words), strict=True)
    return _Seen(words, min(lefts), min(tops), max(rights), max(bottoms))


def _columns(lines: list[_Seen]) -> list[list[_Seen]]:
    """The lines parted into what is read one after the other: what crosses the gap between two columns parts them, too."""
    lines = sorted(lines, key=lambda line: (line.top, line.left))
    gap = _gap(lines)
    if gap is None:
        return [lines] if lines else []
    parts: list[list[_Seen]] = []
    left: list[_Seen] = []
    right: list[_Seen] = []
    for line in [*lines, None]:
        if line is not None and line.right <= gap:
            left.append(line)
        elif line is not None and line.left >= gap:
            right.append(line)
        else:
            parts += [*_columns(left), *_columns(right)]
            left, right = [], []
            if line is not None:
                parts.append([line])
    return parts


def _gap(lines: list[_Seen]) -> float | None:
    """Where a gap between two columns of running text is; cells of a table are too short for that."""
    best: tuple[float, float] | None = None
    for edge in sorted({line.right for line in lines}):
        left = [line for line in lines if line.right <= edge]
        beyond = [line for line in lines if line.left > edge]
        crossing = len(lines) - len(left) - len(beyond)
        if min(len(left), len(beyond)) < _COLUMN_LINES or crossing > _CROSSING * len(lines):
            continue
        if min(_words_a_line(left), _words_a_line(beyond)) < _COLUMN_WORDS:
            continue
        if best is None or crossing < best[0]:
            best = crossing, (edge + min(line.left for line in beyond)) / 2
    return best[1] if best else None


def _words_a_line(lines: Sequence[_Seen]) -> float:
    return median(max(len(line.words), sum(len(word) for word, _ in line.words) / 6) for line in lines)


def _rows(lines: Sequence[_Seen]) -> list[list[_Seen]]:
    """The lines of a column, those at the same height together from left to right."""
    rows: list[list[_Seen]] = []
    for line in sorted(lines, key=lambda line: (line.top + line.bottom) / 2):
        middle = (line.top + line.bottom) / 2
        if (
            rows
            and rows[-1][0].top < middle < rows[-1][0].bottom
            and all(line.left >= other.right or line.right <= other.left for other in rows[-1])
        ):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.left) for row in rows]


def _line(row: Sequence[_Seen], usual: float, height: float, scale: float) -> Line:
    """A row as a line; sizes that differ by OCR's doubt alone are made the same."""
    words = [
        Word(word, left * scale, (height - bottom) * scale, right * scale, (height - top) * scale)
        for line in row
        for word, (left, top, right, bottom) in line.words
    ]
    last = words[-1]
    if last.text[-1:] == "-" and last.text[-2:-1].isalpha():
        words[-1] = Word(last.text[:-1] + HYPHEN, last.left, last.bottom, last.right, last.top)
    size = max(line.height for line in row)
    size = size if size > _HEADING * usual else usual
    return Line(tuple(words), round(_ASCENT * size * scale, 1) or 1.0, bold=False)
