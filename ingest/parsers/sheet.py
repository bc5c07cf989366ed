"""The cells of a sheet as the tables and lines that a person sees in them, each with the range it stands at."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.parsers.builder import TextBuilder, unmarked
from ingest.parsers.csv import has_header, is_figure

_SAMPLE_ROWS = 200
_WIDEST_GAP = 100_000  # rows that a filter may hide between two that it shows
_MOST_TITLES = 3  # lines above a table that belong to it, each in one cell
Cells = dict[int, dict[int, str]]
"""Row (from 1) -> column (from 1) -> what is shown there."""
Area = tuple[int, int, int, int]
"""First row, first column, last row, last column."""


@dataclass(slots=True)
class Sheet:
    """What a sheet shows: its cells, which of them are merged, and the words of what lies `over` them. `hidden` is what it
    holds and does not show; a row or column that is hidden (`gone_rows`, `gone_columns`) is no gap between those around it.
    """

    name: str
    cells: Cells = field(default_factory=dict)
    merged: list[Area] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    hidden: list[tuple[str, str]] = field(default_factory=list)
    gone_rows: set[int] = field(default_factory=set)
    gone_columns: dict[int, list[str]] = field(default_factory=dict)

    def put(self, row: int, column: int, text: str) -> None:
        """Show `text` in a cell."""
        if text.strip():
            self.cells.setdefault(row, {})[column] = text

    def hide_row(self, row: int, texts: Sequence[str]) -> None:
        """Note what a hidden row holds."""
        if texts:
            self.gone_rows.add(row)
            self.hidden.append(("hidden row", " ".join(texts)))

    def hide(self, column: int, text: str) -> None:
        """Note what a cell of a hidden column holds."""
        self.gone_columns.setdefault(column, []).append(text)

    @property
    def words(self) -> str:
        """All that it shows, in reading order."""
        return " ".join([*(text for row in sorted(self.cells) for _, text in sorted(self.cells[row].items())), *self.over])


def add_sheet(builder: TextBuilder, sheet: Sheet) -> None:
    """Hand a sheet to the builder: its name as a heading, below it each table and line with its range of cells."""
    builder.place, builder.unit = f"Sheet '{sheet.name}'", "A:A"
    builder.heading(1, sheet.name)
    wide = _spread(sheet)
    for area in _areas(sheet):
        _add_area(builder, sheet.cells, area, wide)
    builder.unit = ""
    for text in sheet.over:
        builder.text(text)
    columns = [("hidden column", " ".join(texts)) for _, texts in sorted(sheet.gone_columns.items())]
    for kind, text in [*sheet.hidden, *columns]:
        builder.beside(kind, text)
    builder.place = builder.unit = ""


def letters(column: int) -> str:
    """`A` of 1, `AB` of 28."""
    name = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def _spread(sheet: Sheet) -> dict[int, list[tuple[int, int]]]:
    """Repeat what is merged over rows in each of them. The result: row -> (first, last) columns that are merged in it."""
    budget = 1000 + 20 * sum(map(len, sheet.cells.values()))  # merges are the file's own claim: past this they are not believed
    wide: dict[int, list[tuple[int, int]]] = {}
    for top, left, bottom, right in sheet.merged:
        text = sheet.cells.get(top, {}).get(left)
        budget -= bottom - top + 1
        if text is None or bottom < top or right < left or budget < 0:
            continue
        for row in range(top, bottom + 1):
            sheet.cells.setdefault(row, {}).setdefault(left, text)
            if right > left:
                wide.setdefault(row, []).append((left, right))
    return wide


def _areas(sheet: Sheet) -> Iterator[Area]:
    """The parts of a sheet that empty rows part from one another, in reading order; so do empty columns between tables."""
    cells = sheet.cells
    for top, bottom in _runs(sorted(cells), sheet.gone_rows):
        columns = sorted({column for row in range(top, bottom + 1) for column in cells.get(row, ())})
        beside = list(_runs(columns, sheet.gone_columns))
        if len(beside) > 1 and all(_is_table(cells, top, left, bottom, right) for left, right in beside):
            for left, right in beside:
                held = [row for row in range(top, bottom + 1) if _held(cells.get(row, {}), left, right)]
                for first, last in _runs(held, sheet.gone_rows):
                    yield first, left, last, right
        else:
            yield top, columns[0], bottom, columns[-1]


def _is_table(cells: Cells, top: int, left: int, bottom: int, right: int) -> bool:
    """Whether a part of some rows is a table by itself: columns below names."""
    held = [row for row in range(top, min(bottom, top + _SAMPLE_ROWS) + 1) if _held(cells.get(row, {}), left, right)]
    if right == left or len(held) < 2:
        return False
    first = [cells[held[0]].get(column, "") for column in range(left, right + 1)]
    return all(first) and has_header([first])


def _runs(numbers: Sequence[int], between: Container[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of each run of numbers that follow one another, but for those that lie `between`."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = number
        elif (
            not all(one in between for one in range(last + 1, min(number, last + _WIDEST_GAP))) or number - last >= _WIDEST_GAP
        ):
            yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last


def _add_area(builder: TextBuilder, cells: Cells, area: Area, wide: Mapping[int, list[tuple[int, int]]]) -> None:
    top, left, bottom, right = area
    builder.unit = f"{letters(left)}:{letters(right)}"
    for _ in range(_MOST_TITLES):
        if top < bottom and right > left and len(_held(cells[top], left, right)) == 1 and left in cells[top]:
            builder.text(cells[top][left].replace("\n", " "), top)
            top += 1
    numbers = [row for row in range(top, bottom + 1) if row in cells]
    columns = sorted({column for row in numbers for column in _held(cells[row], left, right)})
    rows = [[cells[row].get(column, "") for column in columns] for row in numbers]
    if len(columns) < 2 or top == bottom:  # a line or a list
        for number, row in zip(numbers, rows, strict=True):
            builder.text(" | ".join(text.replace("\n", " ") for text in row if text), number)
        return
    spans = [(bisect_left(columns, a), bisect_right(columns, b) - 1) for a, b in wide.get(top, ()) if left <= a and b <= right]
    heads = _two_lines(rows, spans)
    if heads:
        rows, numbers = [heads, *rows[2:]], numbers[1:]
    builder.table(
        rows,
        header=bool(heads) or has_header([[unmarked(text) for text in row] for row in rows[:_SAMPLE_ROWS]]),
        numbers=numbers,
    )


def _held(row: Mapping[int, str], left: int, right: int) -> list[int]:
    return [column for column in row if left <= column <= right]


def _two_lines(rows: Sequence[Sequence[str]], wide: Sequence[tuple[int, int]]) -> list[str]:
    """The header of a table whose first row groups columns that the second names: `2024 Q1`. Nothing where it has none."""
    if not wide or len(rows) < 3:
        return []
    above, below = list(rows[0]), rows[1]
    for first, last in wide:
        above[first : last + 1] = [above[first]] * (last - first + 1)
    names = [" ".join(dict.fromkeys(text for text in (over, under) if text)) for over, under in zip(above, below, strict=True)]
    return names if has_header([names]) and not any(map(is_figure, below)) else []
