"""Excel workbooks (2007 and later): sheets as headings, cells as they are shown, and what is hidden noted."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ingest.parsers.builder import TextBuilder, marked
from ingest.parsers.css import RGB, WHITE, from_digits, near
from ingest.parsers.names import title_of
from ingest.parsers.numbers import BUILT_IN, general, shown, shown_text
from ingest.parsers.sheet import Sheet, add_sheet
from ingest.parsers.tree import attribute, local, read_xml, relations, stream_xml, title_in, words_in
from ingest.parsers.zipped import opened
from ingest.types import Parsed

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})$")
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384
_TINY = 2.0  # points
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def parse_xlsx(data: bytes, name: str) -> Parsed:
    """A workbook of Excel 2007 or later, with macros or without."""
    builder = TextBuilder()
    with opened(data, "Excel workbook") as archive:
        title = title_in(archive)
        book = _Book(archive)
        for sheet, part, visible in book.sheets():
            read = book.read(sheet, part)
            if visible:
                add_sheet(builder, read)
            else:
                builder.beside("hidden sheet", f"{sheet} {read.words}")
    return builder.build(title or title_of(name), MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class _Style:
    """How the cells of a style show what they hold; `way` is the way in which they hide it, '' for none."""

    code: str = "General"
    way: str = ""


@dataclass(slots=True)
class _Book:
    """A workbook: what its sheets share."""

    archive: zipfile.ZipFile
    part: str = ""
    strings: list[str] = field(default_factory=list)
    styles: list[_Style] = field(default_factory=list)
    since_1904: bool = False
    _root: Any = None

    def __post_init__(self) -> None:
        found = [part for kind, part in relations(self.archive, "").values() if kind == "officeDocument"]
        self.part = found[0] if found else "xl/workbook.xml"
        self._root = read_xml(self.archive.read(self.part))
        properties = self._root.find("{*}workbookPr")
        self.since_1904 = properties is not None and properties.get("date1904") in ("1", "true")
        for kind, part in relations(self.archive, self.part).values():
            if kind == "sharedStrings":
                self.strings = _shared(self.archive.read(part))
            elif kind == "styles":
                self.styles = _styles(read_xml(self.archive.read(part)))

    def sheets(self) -> list[tuple[str, str, bool]]:
        """(name, part, whether it is shown) of each sheet of cells, in order."""
        related = relations(self.archive, self.part)
        found = []
        for sheet in self._root.iterfind("{*}sheets/{*}sheet"):
            kind, part = related.get(next((v for k, v in sheet.attrib.items() if k.endswith("}id")), ""), ("", ""))
            if part and kind != "chartsheet":
                found.append((sheet.get("name") or "", part, sheet.get("state") in (None, "visible")))
        return found

    def read(self, name: str, part: str) -> Sheet:
        """One sheet."""
        sheet = Sheet(name)
        data = self.archive.read(part)
        # A table's style and a condition may colour cells: what looks white may not be.
        sure = b"conditionalFormatting" not in data and b"tablePart" not in data
        columns: list[tuple[int, int]] = []
        reached = 0
        for element in stream_xml(data, "col", "row", "mergeCell"):
            tag = local(element)
            if tag == "col" and element.get("hidden") in ("1", "true"):
                columns.append((int(element.get("min") or 0), int(element.get("max") or 0)))
            elif tag == "mergeCell":
                if area := _area(element.get("ref") or ""):
                    sheet.merged.append(area)
            elif tag == "row":
                reached = int(element.get("r") or reached + 1)
                if reached <= _LAST_ROW:
                    self._row(sheet, element, reached, columns, sure=sure)
                element.clear()
        self._around(sheet, part)
        return sheet

    def _row(self, sheet: Sheet, row: Any, number: int, columns: Sequence[tuple[int, int]], *, sure: bool) -> None:
        gone = []
        column = 0
        for cell in row:
            match = _CELL.match(cell.get("r") or "")
            column = _column(match[1]) if match else column + 1
            text, way = self._shown(cell)
            if not text or column > _LAST_COLUMN:
                continue
            if row.get("hidden") in ("1", "true"):
                gone.append(text)
            elif columns and any(first <= column <= last for first, last in columns):
                sheet.hide(column, text)
            elif way == "not displayed":
                sheet.hidden.append((way, text))
            else:
                sheet.put(number, column, marked(text, way, sure=sure) if way else text)
        sheet.hide_row(number, gone)

    def _shown(self, cell: Any) -> tuple[str, str]:
        """What a cell shows, and the way in which it hides that."""
        kind = cell.get("t") or "n"
        index = int(cell.get("s") or 0)
        style = self.styles[index] if index < len(self.styles) else _Style()
        parts = {local(child): child for child in cell}
        if kind == "inlineStr":
            text = _rich(parts.get("is"))
        else:
            held = (parts["v"].text or "") if "v" in parts else ""
            if not held:
                formula = parts["f"].text if "f" in parts else ""
                return (f"={formula}" if formula else ""), ""
            if kind == "n":
                try:
                    number = float(held)
                except ValueError:  # one odd cell is no reason to refuse the others
                    return held, style.way
                text = shown(number, style.code, since_1904=self.since_1904) if abs(number) < 1e300 else held
                return (text, style.way) if text else (general(number), "not displayed")
            if kind == "b":
                return ("TRUE" if held == "1" else "FALSE"), style.way
            if kind == "s":
                text = self.strings[int(held)] if int(held) < len(self.strings) else ""
            else:
                text = _unescaped(held)
        seen = shown_text(text, style.code)
        return (seen, style.way) if seen or not text else (text, "not displayed")

    def _around(self, sheet: Sheet, part: str) -> None:
        """Comments on a sheet's cells, and the words of shapes and charts that lie over them."""
        for kind, other in relations(self.archive, part).values():
            if kind not in ("comments", "threadedComment", "drawing"):
                continue
            with suppress(SyntaxError):  # what lies around the cells and can't be read is no reason to refuse them
                root = read_xml(self.archive.read(other))
                for comment in root.iter("{*}comment", "{*}threadedComment"):
                    sheet.hidden.append(("comment", " ".join(t.text or "" for t in comment.iter("{*}t", "{*}text"))))
                sheet.over += [words_in(body) for body in root.iter("{*}txBody")]
                sheet.over += [
                    words_in(title)
                    for related, chart in relations(self.archive, other).values()
                    if related == "chart"
                    for title in read_xml(self.archive.read(chart)).iter("{*}title")
                ]


def _shared(data: bytes) -> list[str]:
    """The strings that cells refer to by number."""
    strings = []
    for element in stream_xml(data, "si"):
        strings.append(_rich(element))
        element.clear()
    return strings


def _rich(element: Any) -> str:
    """The text of a string that may be in runs; how it is pronounced is left out."""
    if element is None:
        return ""
    return _unescaped("".join(t.text or "" for t in element.iter("{*}t") if local(t.getparent()) != "rPh"))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _styles(root: Any) -> list[_Style]:
    """What each style of cells means, in the order that cells refer to them."""
    codes = {
        int(element.get("numFmtId") or 0): element.get("formatCode") or "General"
        for element in root.iterfind("{*}numFmts/{*}numFmt")
    }
    fonts = [_font(element) for element in root.iterfind("{*}fonts/{*}font")]
    fills = [_fill(element) for element in root.iterfind("{*}fills/{*}fill")]
    styles = []
    for element in root.iterfind("{*}cellXfs/{*}xf"):
        number = int(element.get("numFmtId") or 0)
        font, fill = int(element.get("fontId") or 0), int(element.get("fillId") or 0)
        ink, size = fonts[font] if font < len(fonts) else (None, 11.0)
        paper = fills[fill] if fill < len(fills) else WHITE
        way = "tiny" if size < _TINY else "white" if ink and paper and near(ink, paper) else ""
        styles.append(_Style(codes.get(number) or BUILT_IN.get(number, "General"), way))
    return styles


def _font(font: Any) -> tuple[RGB | None, float]:
    """A font's colour, where it is given as such, and its size in points."""
    size = font.find("{*}sz")
    return _colour(font.find("{*}color")), float(size.get("val") or 11) if size is not None else 11.0


def _fill(fill: Any) -> RGB | None:
    """The colour behind a cell; None where that is not known."""
    pattern = fill.find("{*}patternFill")
    if pattern is None:
        return None
    if pattern.get("patternType") in (None, "none"):
        return WHITE
    return _colour(pattern.find("{*}fgColor")) if pattern.get("patternType") == "solid" else None


def _colour(element: Any) -> RGB | None:
    if element is None:
        return None
    if element.get("theme") == "0" and not element.get("tint"):
        return WHITE
    return from_digits((attribute(element, "rgb") or "")[-6:])


@cache
def _column(name: str) -> int:
    number = 0
    for letter in name:
        number = number * 26 + ord(letter) - 64
    return number


def _area(text: str) -> tuple[int, int, int, int] | None:
    """The corners of a range such as `A2:F9`."""
    first, _, last = text.replace("$", "").partition(":")
    top, bottom = _CELL.match(first), _CELL.match(last)
    if not top or not bottom:
        return None
    return int(top[2]), _column(top[1]), min(int(bottom[2]), _LAST_ROW), _column(bottom[1])
