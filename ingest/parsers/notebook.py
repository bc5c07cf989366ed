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
_LONGEST_PAGE = 100_000


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
    cut: list[int] = []
    for number, cell in enumerate(cells, 1):
        builder.place = f"cell {number}"
        if isinstance(cell, dict) and _cell(builder, cell):
            cut.append(number)
    if cut:
        which = f"cell {cut[0]}" if len(cut) == 1 else f"{len(cut)} cells (the first: {cut[0]})"
        builder.note(f"of what {which} put out, only the first {_LONGEST_OUTPUT:,} characters are read")
    metadata = book.get("metadata")
    title = metadata.get("title") if isinstance(metadata, dict) else ""
    return builder.build(title if isinstance(title, str) else "", MEDIA_TYPE, title_of(name))


def _cell(builder: TextBuilder, cell: dict[str, Any]) -> bool:
    """A cell; whether some of what it put out is left out."""
    kind = cell.get("cell_type")
    source = _joined(cell.get("source", cell.get("input")))
    if kind == "markdown":
        add_markdown(builder, source)
    elif kind == "heading":
        level = str(cell.get("level") or 1)
        builder.heading(int(level) if level.isdigit() else 1, source)
    else:
        builder.text(source)
        outputs = cell.get("outputs") or ()
        return sum(_output(builder, output) for output in outputs if isinstance(output, dict)) > 0
    return False


def _output(builder: TextBuilder, output: dict[str, Any]) -> bool:
    """What a cell put out; whether some of it is left out."""
    if output.get("output_type") in ("error", "pyerr"):
        builder.text(f"{output.get('ename')}: {output.get('evalue')}")
        return False
    held = output.get("data")
    held = held if isinstance(held, dict) else output
    page = _joined(held.get("text/html", held.get("html")))
    notes = _joined(held.get("text/markdown"))
    plain = _joined(held.get("text/plain", held.get("text")))
    if page.strip() and ("<table" in page or not (notes or plain).strip()) and len(page) <= _LONGEST_PAGE:
        add_page(builder, page.encode("utf-8", "replace"))
        return False
    if notes.strip():
        add_markdown(builder, notes[:_LONGEST_OUTPUT])
    else:
        builder.text(plain[:_LONGEST_OUTPUT])
    return len(notes or plain) > _LONGEST_OUTPUT or bool(page.strip() and not (notes or plain).strip())


def _joined(lines: object) -> str:
    """Text that may be kept as a list of lines."""
    if isinstance(lines, list):
        return "".join(line for line in lines if isinstance(line, str))
    return lines if isinstance(lines, str) else ""
