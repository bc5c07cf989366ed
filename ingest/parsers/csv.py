"""CSV and its relatives: the delimiter found out, the whole file as one table."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from ingest.parsers.builder import TextBuilder
from ingest.parsers.encoding import decode
from ingest.parsers.names import title_of
from ingest.types import Parsed

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 200
_NUMBER = re.compile(r"[-+(]?\s*[$€£¥]?\s*\d[\d.,' ]*\s*[%)]?(?:e[-+]?\d+)?$", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T]\d{1,2}:\d{2}.*)?$")
_LONGEST_FIGURE = 100  # characters
_YEAR = re.compile(r"(?:19|20)\d\d$")


def parse_csv(data: bytes, name: str) -> Parsed:
    """A file of delimited values as one table; rows that are too short are filled up."""
    builder = TextBuilder()
    text = builder.cleaned(decode(data))
    declared = re.match(r"sep=(.)\n", text)  # Excel's own way to name the delimiter
    if declared:
        text = text[declared.end() :]
    delimiter = declared[1] if declared and declared[1] != '"' else _delimiter(text)
    first = 2 if declared else 1
    numbered = [(number, row) for number, row in enumerate(_rows(text, delimiter), first) if any(cell.strip() for cell in row)]
    rows = [row for _, row in numbered]
    builder.unit = "row"  # as a spreadsheet counts them: an empty line is one, a cell of several lines is not
    builder.table(rows, header=has_header(rows[:_SAMPLE_ROWS]), numbers=[number for number, _ in numbered])
    return builder.build("", "text/csv", title_of(name))


def _rows(text: str, delimiter: str) -> list[list[str]]:
    # The default limit of 131,072 characters a cell would turn a file with one stray quote away.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _delimiter(text: str) -> str:
    """The one that cuts the first rows into the same number of cells most often; a comma where none does."""
    end = text.find("\n", 64 * 1024)
    sample = text if end < 0 else text[:end]

    def score(delimiter: str) -> tuple[float, int]:
        widths = Counter(len(row) for row in _rows(sample, delimiter)[:_SAMPLE_ROWS] if row)
        several = {width: count for width, count in widths.items() if width > 1}
        if not several:
            return 0.0, 0
        width, count = max(several.items(), key=lambda item: (item[1], item[0]))
        return count / sum(widths.values()), width

    return max(_DELIMITERS, key=score)


def is_figure(cell: str) -> bool:
    """Whether a cell holds a number or a date, and no name."""
    return len(cell) <= _LONGEST_FIGURE and bool(_NUMBER.match(cell) or _DATE.match(cell))


def has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: words that differ, no figures (years may head columns)."""
    if not rows:
        return False
    first = [cell.strip() for cell in rows[0]]
    named = [cell for cell in first if cell]
    if len(set(named)) < len(named):
        return False
    figures = [cell for cell in named if is_figure(cell)]
    return not figures or (len(figures) < len(named) and all(_YEAR.match(cell) for cell in figures))
