"""Jupyter notebooks: notes, code and what it put out, cell by cell."""

from __future__ import annotations

from typing import Any

from ingest.errors import BrokenDocument
from ingest.parsers.builder import TextBuilder
from ingest.parsers.data import read_json
from ingest.parsers.encoding import decode
from ingest.parsers.html import add_page
from ingest.parsers.markdown import add_markdown
from ingest.parsers.names import title_of
from ingest.types import Parsed

MEDIA_TYPE = "application/x-ipynb+json"
_LONGEST_OUTPUT = 20_000  # characters; what a loop printed on and on is no text


def parse_notebook(data: bytes, name: str) -> Parsed:
    """A notebook of format 3 or later."""
    builder = TextBuilder()
    book = read_json(builder.cleaned(decode(data)))
    if not isinstance(book, dict):
        raise BrokenDocument("is not a Jupyter notebook although its name ends in .ipynb")
    cells = book.get("cells")
    if not isinstance(cells, list):
        sheets = book.get("worksheets")
        sheets = [sheet for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else []
        cells = [cell for sheet in sheets for cell in sheet.get("cells") or ()]
        if not cells:
            raise BrokenDocument("is not a Jupyter notebook although its name ends in .ipynb")
    for number, cell in enumerate(cells, 1):
        builder.place = f"cell {number}"
        if isinstance(cell, dict):
            _cell(builder, cell)
    metadata = book.get("metadata")
    title = metadata.get("title") if isinstance(metadata, dict) else ""
    return builder.build(title if isinstance(title, str) else "", MEDIA_TYPE, title_of(name))


def _cell(builder: TextBuilder, cell: dict[str, Any]) -> None:
    kind = cell.get("cell_type")
    source = _joined(cell.get("source", cell.get("input")))
    if kind == "markdown":
        add_markdown(builder, source)
    elif kind == "heading":
        level = str(cell.get("level") or 1)
        builder.heading(int(level) if level.isdigit() else 1, source)
    else:
        builder.text(source)
        for output in cell.get("outputs") or ():
            if isinstance(output, dict):
                _output(builder, output)


def _output(builder: TextBuilder, output: dict[str, Any]) -> None:
    if output.get("output_type") in ("error", "pyerr"):
        builder.text(f"{output.get('ename')}: {output.get('evalue')}")
        return
    held = output.get("data")
    held = held if isinstance(held, dict) else output
    page = _joined(held.get("text/html", held.get("html")))
    if "<table" in page and len(page) < _LONGEST_OUTPUT * 5:
        add_page(builder, page.encode())
    elif "text/markdown" in held:
        add_markdown(builder, _joined(held["text/markdown"])[:_LONGEST_OUTPUT])
    else:
        builder.text(_joined(held.get("text/plain", held.get("text")))[:_LONGEST_OUTPUT])


def _joined(lines: object) -> str:
    """Text that may be kept as a list of lines."""
    if isinstance(lines, list):
        return "".join(line for line in lines if isinstance(line, str))
    return lines if isinstance(lines, str) else ""
