"""Rows of table cells that may span columns and rows, as plain rows; a table that is there for the layout, as paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.parsers.builder import TextBuilder

_WIDEST_SPAN = 50
_LONGEST_CELL = 2000  # characters; a table with longer ones is there for the layout


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: how many columns and rows it covers, and whether it is marked as a header."""

    text: str
    across: int = 1
    down: int = 1
    heads: bool = False


def add_table(builder: TextBuilder, rows: Sequence[Sequence[Cell]]) -> None:
    """Hand a table to the builder: what spans rows is repeated in each, so that every row can be read by itself."""
    rows = [row for row in rows if any(cell.text.strip() for cell in row)]
    plain = spread(rows)
    if max(map(len, plain), default=0) <= 1 or any(len(text) > _LONGEST_CELL for row in plain for text in row):
        for row in rows:
            for cell in row:
                builder.text(cell.text)
        return
    if len(rows) > 2 and len(rows[0]) == 1 and rows[0][0].across > 1:  # a title across all columns
        builder.text(rows[0][0].text)
        rows, plain = rows[1:], plain[1:]
    heads_at_the_side = all(row and row[0].heads and not any(cell.heads for cell in row[1:]) for row in rows)
    builder.table(plain, header=not heads_at_the_side)


def spread(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The rows with a text for each column. What spans columns stands in the first of them."""
    budget = 1000 + 20 * sum(map(len, rows))  # spans are the file's own claim: past this they are not believed
    result: list[list[str]] = []
    above: dict[int, tuple[int, str]] = {}  # column -> how many rows more are covered from above, and the text
    for row in rows:
        line: list[str] = []
        below = {column: (left - 1, text) for column, (left, text) in above.items() if left > 1}
        for cell in row:
            while len(line) in above:
                line.append(above[len(line)][1])
            across = max(1, min(cell.across, _WIDEST_SPAN)) if budget > 0 else 1
            if cell.down > 1:
                below.update((len(line) + offset, (cell.down - 1, "" if offset else cell.text)) for offset in range(across))
            line += [cell.text] + [""] * (across - 1)
        while len(line) in above:
            line.append(above[len(line)][1])
        budget -= len(line)
        above = below if budget > 0 else {}
        result.append(line)
    return result
