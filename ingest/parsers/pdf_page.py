"""One page of a PDF as lines of words with their places and fonts, and the ruled tables on it."""

from __future__ import annotations

import ctypes
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from ingest.parsers.pdf_seen import RGB, Box, Eyes, Ink, Inks, Written

if TYPE_CHECKING:
    from pypdfium2 import PdfObject, PdfPage, PdfTextPage

# pdfium's sign for a hyphen at the end of a line, where it leaves the line break out.
HYPHEN = "\ufffe"
_BOLD = re.compile(r"bold|black|heavy|demi", re.IGNORECASE)
_FORCE_BOLD = 1 << 18
_MOST_RULES = 800  # a page with more lines than that is a drawing
_MOST_FILLS = 200
_THIN = 3.0
_CELL_GAP = 1.1  # in font sizes: words farther apart stand in different columns


_LONGEST_RUN = 200  # lines of one table without rules


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its box, in points from the lower left corner of the page.

    `hidden` is the way in which it is hidden from a reader, '' if it is not, and whether that is sure.
    """

    text: str
    left: float
    bottom: float
    right: float
    top: float
    ink: Ink | None = None
    hidden: tuple[str, bool] = ("", False)

    @property
    def box(self) -> Box:
        return self.left, self.bottom, self.right, self.top


_Cells = list[list[Word]]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of words in one font, or nearly so."""

    words: tuple[Word, ...]
    size: float
    bold: bool
    upright: bool = True

    @property
    def left(self) -> float:
        return min(word.left for word in self.words)

    @property
    def right(self) -> float:
        return max(word.right for word in self.words)

    @property
    def bottom(self) -> float:
        return median(word.bottom for word in self.words)

    def cells(self) -> _Cells:
        """The words, parted where the gap between them is too wide for a space."""
        cells = [[self.words[0]]]
        for before, word in pairwise(self.words):
            if word.left - before.right > _CELL_GAP * self.size:
                cells.append([])
            cells[-1].append(word)
        return cells


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, each cell a list of words in reading order."""

    rows: tuple[tuple[tuple[Word, ...], ...], ...]


def read_page(page: PdfPage, eyes: Eyes) -> list[Line | Table]:
    """What stands on the page, in the order in which the file draws it."""
    lines = list(_lines(page))
    if not lines:
        return []
    rules, fills = _drawings(page)
    lines = _looked_at(lines, page, eyes, fills)
    return list(aligned_tables(_ruled_tables(lines, _grids(rules))))


def _looked_at(lines: list[Line], page: PdfPage, eyes: Eyes, fills: list[tuple[RGB, Box]]) -> list[Line]:
    """The lines, with what nobody sees said of each word of which that is so."""
    words = [Written(word.box, len(word.text), word.ink) for line in lines for word in line.words]
    hidden = eyes.hidden(page, words, fills)
    if not hidden:
        return lines
    result, at = [], 0
    for line in lines:
        indices = range(at, at + len(line.words))
        at += len(line.words)
        if any(index in hidden for index in indices):
            pairs = zip(indices, line.words, strict=True)
            line = replace(line, words=tuple(replace(word, hidden=hidden.get(i, word.hidden)) for i, word in pairs))
        result.append(line)
    return result


def _lines(page: PdfPage) -> Iterator[Line]:
    textpage = page.get_textpage()
    try:
        chars, inks = _characters(textpage), Inks(textpage)
        for start, end in _spans(chars, "\r\n" + HYPHEN):
            if end < len(chars) and chars[end] == HYPHEN:
                end += 1
            spans = [(start + first, start + last) for first, last in _spans(chars[start:end], " \t\xa0\u3000")]
            words = tuple(word for first, last in spans if (word := _word(textpage, chars, first, last, inks)))
            if words:
                sampled = {spans[0][0], spans[len(spans) // 2][0], spans[-1][0]}
                fonts = [_font(textpage, index) for index in sorted(sampled)]
                upright = all(font.upright for font in fonts)
                yield Line(words, median(font.size for font in fonts), all(font.bold for font in fonts), upright)
    finally:
        textpage.close()


def _characters(textpage: PdfTextPage) -> Sequence[str]:
    """The page's characters, one for each of pdfium's indices."""
    import pypdfium2.raw as pdfium

    count = textpage.count_chars()
    text: str = textpage.get_text_range() if count else ""
    if len(text) == count:
        return text
    # They differ where pdfium leaves characters out or needs two units for one; then one by one, which is slower.
    codes = (pdfium.FPDFText_GetUnicode(textpage, index) for index in range(count))
    return [HYPHEN if code == 2 else chr(code) if code <= 0x10FFFF else " " for code in codes]


def _spans(chars: Sequence[str], separators: str) -> Iterator[tuple[int, int]]:
    """Where the runs of characters between `separators` begin and end."""
    start = 0
    for index, char in enumerate(chars):
        if char in separators:
            if index > start:
                yield start, index
            start = index + 1
    if len(chars) > start:
        yield start, len(chars)


def _word(textpage: PdfTextPage, chars: Sequence[str], start: int, end: int, inks: Inks) -> Word | None:
    import pypdfium2.raw as pdfium

    text = "".join(chars[start:end])
    last = end - 1 if chars[end - 1] != HYPHEN or end - 1 == start else end - 2
    boxes = []
    for index in (start, last):
        box = pdfium.FS_RECTF()
        if pdfium.FPDFText_GetLooseCharBox(textpage, index, box):
            boxes.append(box)
    if not text.strip("\0") or not boxes:
        return Word(text, 0, 0, 0, 0) if text.strip("\0") else None
    return Word(
        text,
        min(box.left for box in boxes),
        min(box.bottom for box in boxes),
        max(box.right for box in boxes),
        max(box.top for box in boxes),
        inks.at(start),
    )


@dataclass(frozen=True, slots=True)
class _Font:
    """Size in points as seen on the page, and how the letters stand."""

    size: float
    bold: bool
    upright: bool


def _font(textpage: PdfTextPage, index: int) -> _Font:
    import pypdfium2.raw as pdfium

    matrix = pdfium.FS_MATRIX()
    size, upright = pdfium.FPDFText_GetFontSize(textpage, index), True
    if pdfium.FPDFText_GetMatrix(textpage, index, matrix):
        size *= abs(matrix.a * matrix.d - matrix.b * matrix.c) ** 0.5
        upright = abs(matrix.a) >= abs(matrix.b)
    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(textpage, index, name, 128, flags)
    weight = pdfium.FPDFText_GetFontWeight(textpage, index)
    bold = bool(_BOLD.search(name.value.decode("latin-1"))) or bool(flags.value & _FORCE_BOLD) or weight >= 600
    return _Font(round(size, 1) or 1.0, bold, upright)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A straight line, or the side of a box: from (left, bottom) to (right, top), one of the two nearly no distance."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def level(self) -> bool:
        return self.top - self.bottom <= self.right - self.left


@dataclass(frozen=True, slots=True)
class _Grid:
    """Rules that touch: the heights of the level ones, and the upright ones."""

    heights: tuple[float, ...]  # ascending
    columns: tuple[float, ...]  # ascending
    upright: tuple[_Rule, ...]

    def place(self, word: Word) -> tuple[int, int] | None:
        """Row (from the top) and column of `word`; a cell that spans columns counts as the first of them."""
        x, y = (word.left + word.right) / 2, (word.bottom + word.top) / 2
        if not (self.heights[0] <= y <= self.heights[-1] and self.columns[0] <= x <= self.columns[-1]):
            return None
        row = len(self.heights) - 1 - bisect_right(self.heights, y)
        column = min(bisect_right(self.columns, x) - 1, len(self.columns) - 2)
        while column > 0 and not self._parted(self.columns[column], y):
            column -= 1
        return max(row, 0), column

    def _parted(self, x: float, y: float) -> bool:
        return any(abs(rule.left - x) <= _THIN and rule.bottom <= y <= rule.top for rule in self.upright)


def _grids(rules: list[_Rule]) -> list[_Grid]:
    """The tables' frames on the page: rules that touch and make at least two rows and two columns."""
    if len(rules) < 4 or len(rules) > _MOST_RULES:
        return []
    grids = []
    for group in _touching(rules):
        level = [rule for rule in group if rule.level]
        upright = [rule for rule in group if not rule.level]
        heights = _distinct(rule.bottom for rule in level)
        sides = [side for rule in level for side in (rule.left, rule.right)]
        columns = _distinct([rule.left for rule in upright] + ([min(sides), max(sides)] if sides else []))
        if len(heights) >= 3 and len(columns) >= 3:
            grids.append(_Grid(heights, columns, tuple(upright)))
    return grids


def _drawings(page: PdfPage) -> tuple[list[_Rule], list[tuple[RGB, Box]]]:
    """The rules on the page, and its filled boxes with their colours."""
    import pypdfium2.raw as pdfium

    width, height = page.get_size()
    rules: list[_Rule] = []
    fills: list[tuple[RGB, Box]] = []
    for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=3):
        left, bottom, right, top = item.get_bounds()
        if len(rules) > _MOST_RULES:
            break
        if min(right - left, top - bottom) <= _THIN < max(right - left, top - bottom):
            rules.append(_Rule(left, bottom, right, top))
            continue
        if len(fills) < _MOST_FILLS and right - left > 10 and top - bottom > 6 and (colour := _fill(item)):
            fills.append((colour, (left, bottom, right, top)))
        if 10 < right - left < 0.98 * width and 6 < top - bottom < 0.9 * height:
            rules.append(_Rule(left, bottom, right, bottom))
            rules.append(_Rule(left, top, right, top))
            rules.append(_Rule(left, bottom, left, top))
            rules.append(_Rule(right, bottom, right, top))
    return rules, fills


def _fill(item: PdfObject) -> RGB | None:
    """The colour that a box is filled with, None where it is not, or white as the page."""
    import pypdfium2.raw as pdfium

    mode, stroke = ctypes.c_int(), ctypes.c_int()
    if not pdfium.FPDFPath_GetDrawMode(item, mode, stroke) or not mode.value:
        return None
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    pdfium.FPDFPageObj_GetFillColor(item, red, green, blue, alpha)
    colour = red.value, green.value, blue.value
    return colour if alpha.value > 128 and min(colour) < 225 else None


def _touching(rules: list[_Rule]) -> list[list[_Rule]]:
    """The rules in groups of those that touch one another, directly or through others."""
    groups: list[list[_Rule]] = []
    for rule in rules:
        mine, others = [rule], []
        for group in groups:
            if any(_touch(rule, other) for other in group):
                mine += group
            else:
                others.append(group)
        groups = [*others, mine]
    return groups


def _touch(one: _Rule, other: _Rule) -> bool:
    return (
        one.left <= other.right + _THIN
        and other.left <= one.right + _THIN
        and one.bottom <= other.top + _THIN
        and other.bottom <= one.top + _THIN
    )


def _distinct(values: Iterable[float]) -> tuple[float, ...]:
    """Ascending, without those that are nearly the same."""
    result: list[float] = []
    for value in sorted(values):
        if not result or value - result[-1] > _THIN:
            result.append(value)
    return tuple(result)


def _ruled_tables(lines: list[Line], grids: list[_Grid]) -> Iterator[Line | Table]:
    """The lines, with those that stand in a frame put together as its table, where the first of them stood."""
    if not grids:
        yield from lines
        return
    cells: list[dict[tuple[int, int], list[Word]]] = [{} for _ in grids]
    items: list[Line | int] = []
    for line in lines:
        rest = []
        for word in line.words:
            places = ((index, grid.place(word)) for index, grid in enumerate(grids))
            index, place = next(((index, place) for index, place in places if place), (-1, None))
            if place is None:
                rest.append(word)
                continue
            if not cells[index]:
                items.append(index)
            cells[index].setdefault(place, []).append(word)
        if rest:
            items.append(replace(line, words=tuple(rest)))
    for item in items:
        if isinstance(item, Line):
            yield item
        else:
            grid, words = grids[item], cells[item]
            rows = range(len(grid.heights) - 1)
            columns = range(len(grid.columns) - 1)
            yield Table(tuple(tuple(tuple(words.get((row, column), ())) for column in columns) for row in rows))


def aligned_tables(items: Iterable[Line | Table]) -> Iterator[Line | Table]:
    """The lines, with three or more in a row whose words stand in the same columns put together as a table."""
    run: list[Line] = []
    cells: list[_Cells] = []
    for item in items:
        row = item.cells() if isinstance(item, Line) else []
        if isinstance(item, Line) and len(row) > 1:
            if len(run) >= _LONGEST_RUN or _columns([*cells, row]) is None:
                yield from _table_or_lines(run, cells)
                run, cells = [], []
            run.append(item)
            cells.append(row)
            continue
        yield from _table_or_lines(run, cells)
        run, cells = [], []
        yield item
    yield from _table_or_lines(run, cells)


def _columns(rows: list[_Cells]) -> list[tuple[float, float]] | None:
    """The columns that the cells of all rows stand in, None where a row has two cells in one of them."""
    columns: list[tuple[float, float]] = []
    for left, right in sorted((cell[0].left, cell[-1].right) for row in rows for cell in row):
        if columns and left <= columns[-1][1]:
            columns[-1] = (columns[-1][0], max(right, columns[-1][1]))
        else:
            columns.append((left, right))
    lefts = [left for left, _ in columns]
    for row in rows:
        if len({_column(lefts, cell) for cell in row}) < len(row):
            return None
    return columns


def _column(lefts: list[float], cell: list[Word]) -> int:
    return bisect_right(lefts, cell[0].left) - 1


def _table_or_lines(run: list[Line], cells: list[_Cells]) -> Iterator[Line | Table]:
    columns = _columns(cells)
    lengths = [len(cell) for row in cells for cell in row]
    # Long cells are the columns of running text, not those of a table.
    if columns is None or len(run) < 3 or sum(lengths) > 6 * len(lengths):
        yield from run
        return
    lefts = [left for left, _ in columns]
    rows = []
    for row in cells:
        filled: list[tuple[Word, ...]] = [()] * len(columns)
        for cell in row:
            filled[_column(lefts, cell)] = tuple(cell)
        rows.append(tuple(filled))
    yield Table(tuple(rows))
