"""Excel workbooks before 2007 (`.xls`): the same as their successors, as far as the old format tells."""

from __future__ import annotations

import io
from typing import Any

from ingest.errors import BrokenDocument, Encrypted
from ingest.parsers.builder import TextBuilder, marked
from ingest.parsers.css import WHITE, near
from ingest.parsers.names import title_of
from ingest.parsers.numbers import general, shown, shown_text
from ingest.parsers.sheet import Sheet, add_sheet
from ingest.types import Parsed

MEDIA_TYPE = "application/vnd.ms-excel"
_TINY = 40  # twentieths of a point


def parse_xls(data: bytes, name: str) -> Parsed:
    """A workbook of Excel 5.0 to 2003."""
    import xlrd

    builder = TextBuilder()
    try:
        book = xlrd.open_workbook(file_contents=data, formatting_info=True, logfile=io.StringIO())
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError) as error:
        if "encrypted" in str(error).lower():
            raise Encrypted("needs a password") from error
        raise BrokenDocument(f"is a broken Excel workbook ({' '.join(str(error).split())[:200]})") from error
    for held in book.sheets():
        sheet = _read(book, held)
        if held.visibility:
            builder.beside("hidden sheet", f"{held.name} {sheet.words}")
        else:
            add_sheet(builder, sheet)
    return builder.build(title_of(name), MEDIA_TYPE)


def _read(book: Any, held: Any) -> Sheet:
    sheet = Sheet(held.name)
    sheet.merged = [(top + 1, left + 1, bottom, right) for top, bottom, left, right in held.merged_cells]
    for row in range(held.nrows):
        gone = []
        for column in range(held.row_len(row)):
            text, seen = _shown(book, held.cell(row, column))
            if not text:
                continue
            info = held.colinfo_map.get(column)
            if row in held.rowinfo_map and held.rowinfo_map[row].hidden:
                gone.append(text)
            elif info is not None and info.hidden:
                sheet.hide(column + 1, text)
            elif not seen:
                sheet.hidden.append(("not displayed", text))
            else:
                way = _veil(book, held.cell(row, column))
                # Conditions, which are not read, may colour cells: what looks white may not be.
                sheet.put(row + 1, column + 1, marked(text, way, sure=way == "tiny") if way else text)
        sheet.hide_row(row + 1, gone)
    sheet.hidden += [("comment", note.text) for _, note in sorted(held.cell_note_map.items())]
    return sheet


def _veil(book: Any, cell: Any) -> str:
    """The way in which a cell's style hides what it shows, '' for none."""
    if cell.xf_index is None:
        return ""
    style = book.xf_list[cell.xf_index]
    font, fill = book.font_list[style.font_index], style.background
    if 0 < font.height < _TINY:
        return "tiny"
    ink = book.colour_map.get(font.colour_index)
    paper = book.colour_map.get(fill.pattern_colour_index) if fill.fill_pattern == 1 else None if fill.fill_pattern else WHITE
    return "white" if ink and paper and near(ink, paper) else ""


def _shown(book: Any, cell: Any) -> tuple[str, bool]:
    """What a cell holds as it shows it, and whether it shows it at all."""
    import xlrd

    code = book.format_map[book.xf_list[cell.xf_index].format_key].format_str if cell.xf_index is not None else "General"
    if cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        text = shown(cell.value, code, since_1904=bool(book.datemode))
        return (text, True) if text else (general(cell.value), False)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return ("TRUE" if cell.value else "FALSE"), True
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "#N/A"), True
    text = shown_text(str(cell.value), code)
    return (text, True) if text or not cell.value else (str(cell.value), False)
