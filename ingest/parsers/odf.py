"""OpenDocument: texts, sheets and slides, from the one XML file in which LibreOffice and others keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ingest.errors import Encrypted
from ingest.parsers.builder import TextBuilder, marked
from ingest.parsers.css import RGB, WHITE, from_digits, near
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.names import title_of
from ingest.parsers.sheet import Sheet, add_sheet
from ingest.parsers.tree import attribute, local, read_xml
from ingest.parsers.zipped import opened
from ingest.types import Parsed

_TYPE = "application/vnd.oasis.opendocument."
_WHITE = re.compile(r"[ \t\r\n]+")
_MOST_REPEATED = 1000  # cells or rows: a sheet says of its empty rest that it repeats a million times
_SKIPPED = frozenset("tracked-changes annotation annotation-end tracked-change forms variable-decls sequence-decls".split())
# What stands in a line of text and is read like it, fields above all; what hangs on a line (notes, frames) is read after it.
_INLINE = frozenset(
    "span a meta ruby ruby-base page-number page-count date time sequence author-name author-initials chapter file-name "
    "subject keywords description conditional-text expression text-input placeholder user-defined database-display "
    "sheet-name creator initial-creator printed-by editing-cycles editing-duration bibliography-mark number measure "
    "template-name".split()
)
_INLINE_ENDS = ("-ref", "title", "-field", "-get", "-set", "-input", "-date", "-time", "-count")
_DEEPEST_STYLE = 12
_DEEPEST = 60


@dataclass(frozen=True, slots=True)
class _Look:
    """What a style says of text: its colour, what is behind it, and whether it is shown at all."""

    ink: RGB | None = None
    paper: RGB | None = None
    gone: bool = False
    tiny: bool = False

    def inside(self, around: _Look) -> _Look:
        """The look of what has this style inside something that has another."""
        return _Look(self.ink or around.ink, self.paper or around.paper, self.gone or around.gone, self.tiny or around.tiny)


def parse_odf(data: bytes, name: str) -> Parsed:
    """A text, a sheet or a presentation (`.odt`, `.ods`, `.odp`)."""
    with opened(data, "OpenDocument file") as archive:
        kind = archive.read("mimetype").decode("ascii", "replace").strip() if "mimetype" in archive.NameToInfo else ""
        if "META-INF/manifest.xml" in archive.NameToInfo and b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise Encrypted("needs a password")
        content = read_xml(archive.read("content.xml"))
        shared = read_xml(archive.read("styles.xml")) if "styles.xml" in archive.NameToInfo else None
        title = ""
        with suppress(SyntaxError):
            title = read_xml(archive.read("meta.xml")).findtext(".//{*}title") if "meta.xml" in archive.NameToInfo else ""
    reader = _Reader([content] if shared is None else [shared, content])
    body = content.find("{*}body")
    for part in body if body is not None else ():
        if local(part) == "spreadsheet":
            reader.sheets(part)
        elif local(part) == "presentation":
            reader.slides(part)
        else:
            reader.read(part)
    named = title or (title_of(name) if kind == f"{_TYPE}spreadsheet" else "")  # the first sheet's name is no title
    return reader.builder.build(named, kind or f"{_TYPE}text", title_of(name))


class _Reader:
    """Walks the body and hands the builder what stands in it."""

    def __init__(self, roots: list[Any]) -> None:
        self.builder = TextBuilder()
        self._styles = {
            (attribute(style, "family") or "", attribute(style, "name") or ""): style
            for root in roots
            for style in root.iter("{*}style")
        }
        self._looks: dict[tuple[str, str], _Look] = {}

    def read(self, parent: Any, depth: int = 0) -> None:
        """The headings, paragraphs, lists and tables below `parent`."""
        for element in parent if depth < _DEEPEST else ():
            name = local(element)
            if name == "h":
                level = attribute(element, "outline-level") or "1"
                self.builder.heading(int(level) if level.isdigit() else 1, self._text(element))
                self._frames(element, depth)
            elif name == "p":
                self._paragraph(element)
                self._frames(element, depth)
            elif name == "table":
                self._table(element)
            elif name == "section" and attribute(element, "display") == "none":
                self.builder.beside("not displayed", " ".join(element.itertext()))
            elif name in _SKIPPED:
                self._skipped(element, name)
            elif name:
                self.read(element, depth + 1)

    def slides(self, body: Any) -> None:
        """Slides as pages; what hides a slide is said in its style."""
        for number, page in enumerate(body.iterfind("{*}page"), 1):
            self.builder.page, self.builder.place = number, f"slide {number}"
            style = self._styles.get(("drawing-page", attribute(page, "style-name") or ""))
            properties = style.find("{*}drawing-page-properties") if style is not None else None
            if properties is not None and attribute(properties, "visibility") == "hidden":
                self.builder.beside("hidden slide", " ".join(page.itertext()))
                continue
            for frame in page:
                if local(frame) == "notes":
                    said = [self._text(p) for p in _paragraphs(frame)]
                    if any(text.strip() for text in said):
                        self.builder.text("\n".join(["Notes:", *(text for text in said if text.strip())]))
                elif local(frame) == "annotation":
                    self._skipped(frame, "annotation")
                elif attribute(frame, "class") == "title":
                    self.builder.heading(1, " ".join(self._text(p) for p in _paragraphs(frame)))
                elif local(frame) not in _SKIPPED and attribute(frame, "class") not in ("date-time", "footer", "page-number"):
                    self.read(frame)
                self._described(frame)

    def sheets(self, body: Any) -> None:
        """Each sheet with its cells as they are shown, which the file keeps beside their values."""
        for table in body.iterfind("{*}table"):
            sheet = Sheet(attribute(table, "name") or "")
            style = self._styles.get(("table", attribute(table, "style-name") or ""))
            properties = style.find("{*}table-properties") if style is not None else None
            if properties is not None and attribute(properties, "display") == "false":
                self.builder.beside(
                    "hidden sheet", f"{sheet.name} {' '.join(t for p in table.iter('{*}p') for t in p.itertext())}"
                )
                continue
            self._cells(table, sheet)
            add_sheet(self.builder, sheet)

    def _cells(self, table: Any, sheet: Sheet) -> None:
        hidden = _hidden_columns(table)
        row_number = 1
        for row in table.iter("{*}table-row"):
            times = _times(row, "number-rows-repeated")
            unseen = attribute(row, "visibility") in ("collapse", "filter")
            gone: list[str] = []
            column = 1
            for cell in row.iterfind("*"):
                if local(cell) not in ("table-cell", "covered-table-cell"):
                    continue
                repeated = _times(cell, "number-columns-repeated")
                text = self._cell(cell)
                for annotation in cell.iterfind("{*}annotation"):
                    sheet.hidden.append(("comment", " ".join(annotation.itertext())))
                for at in range(column, column + min(repeated, _MOST_REPEATED)) if text.strip() else ():
                    if unseen:
                        gone.append(text)
                    elif at in hidden:
                        sheet.hide(at, text)
                    else:
                        for below in range(min(times, _MOST_REPEATED)):
                            sheet.put(row_number + below, at, text)
                across, down = _times(cell, "number-columns-spanned"), _times(cell, "number-rows-spanned")
                if across > 1 or down > 1:
                    sheet.merged.append((row_number, column, row_number + down - 1, column + across - 1))
                column += repeated
            sheet.hide_row(row_number, gone)
            row_number += times

    def _cell(self, cell: Any) -> str:
        look = self._look("table-cell", attribute(cell, "style-name") or "")
        return "\n".join(text for p in cell.iterfind("{*}p") if (text := self._text(p, look)).strip())

    def _table(self, table: Any) -> None:
        rows = []
        for row in table.iter("{*}table-row"):
            if _owner(row) is not table:
                continue
            cells = []
            for cell in row.iterfind("{*}table-cell"):
                for annotation in cell.iter("{*}annotation"):
                    self._skipped(annotation, "annotation")
                look = self._look("table-cell", attribute(cell, "style-name") or "")
                text = "\n".join(text for p in _paragraphs(cell) if (text := self._text(p, look)).strip())
                read = Cell(text, _times(cell, "number-columns-spanned"), _times(cell, "number-rows-spanned"))
                cells += [read] * min(_times(cell, "number-columns-repeated"), _MOST_REPEATED)
            rows.append(cells)
        add_table(self.builder, rows)

    def _paragraph(self, element: Any) -> None:
        text = self._text(element)
        style = attribute(element, "style-name") or ""
        if self._is_title(style):
            self.builder.heading(0, text)
        else:
            self.builder.text(text.strip(" "))

    def _is_title(self, name: str) -> bool:
        for _ in range(_DEEPEST_STYLE):
            if name == "Title":
                return True
            style = self._styles.get(("paragraph", name))
            name = (attribute(style, "parent-style-name") or "") if style is not None else ""
        return False

    def _frames(self, paragraph: Any, depth: int) -> None:
        """Text boxes that hang on a paragraph, and the words of its footnotes."""
        for box in paragraph.iter("{*}text-box"):
            if not any(local(parent) == "text-box" for parent in box.iterancestors()):
                self.read(box, depth + 1)
        for note in paragraph.iter("{*}note-body"):
            self.read(note, depth + 1)
        for annotation in paragraph.iter("{*}annotation"):
            self._skipped(annotation, "annotation")
        self._described(paragraph)

    def _described(self, element: Any) -> None:
        for words in element.iter("{*}desc", "{*}title"):
            self.builder.beside("alternative text", words.text or "")

    def _skipped(self, element: Any, name: str) -> None:
        if name == "annotation":
            self.builder.beside("comment", " ".join("".join(p.itertext()) for p in element.iter("{*}p")))
        elif name == "tracked-changes":
            for deleted in element.iter("{*}deletion"):
                self.builder.beside("deleted", " ".join("".join(p.itertext()) for p in deleted.iter("{*}p", "{*}h")))

    def _text(self, element: Any, around: _Look | None = None) -> str:
        """The text of a paragraph, with what hides it marked; `around` is the look of the cell that it stands in."""
        look = self._look("paragraph", attribute(element, "style-name") or "")
        return "".join(self._parts(element, look.inside(around) if around else look, 0))

    def _parts(self, element: Any, look: _Look, depth: int) -> Iterator[str]:
        yield _veiled(element.text or "", look)
        for child in element if depth < _DEEPEST else ():
            name = local(child)
            if name == "s":
                yield " " * min(_times(child, "c"), 100)
            elif name == "tab":
                yield "\t"
            elif name == "line-break":
                yield "\n"
            elif name in _INLINE or name.endswith(_INLINE_ENDS) or name.startswith("sender-"):
                own = self._look("text", attribute(child, "style-name") or "") if name == "span" else _Look()
                if attribute(child, "display") != "none":
                    yield from self._parts(child, own.inside(look), depth + 1)
            elif name in ("hidden-text", "hidden-paragraph"):
                self.builder.beside("not displayed", attribute(child, "string-value") or "".join(child.itertext()))
            yield _veiled(child.tail or "", look)

    def _look(self, family: str, name: str) -> _Look:
        key = (family, name)
        if key not in self._looks:
            ink = paper = None
            gone = tiny = False
            for _ in range(_DEEPEST_STYLE):
                style = self._styles.get((family, name))
                if style is None or style.find("{*}map") is not None:  # a condition may change all of it
                    break
                for properties in style.iterfind("{*}text-properties"):
                    ink = ink or _colour(attribute(properties, "color"))
                    paper = paper or _colour(attribute(properties, "background-color"))
                    gone = gone or attribute(properties, "display") == "none"
                    size = attribute(properties, "font-size") or ""
                    tiny = tiny or (size.endswith("pt") and _number(size[:-2], 10.0) < 2)
                for properties in style.iterfind(f"{{*}}{family}-properties"):
                    paper = paper or _colour(attribute(properties, "background-color"))
                name = attribute(style, "parent-style-name") or ""
            self._looks[key] = _Look(ink, paper, gone, tiny)
        return self._looks[key]


def _veiled(text: str, look: _Look) -> str:
    """A piece of text as XML has it, its white space as one blank, marked where it can't be seen."""
    text = _WHITE.sub(" ", text)
    if not text.strip():
        return text
    if look.gone:
        return marked(text, "not displayed", sure=False)
    if look.tiny:
        return marked(text, "tiny")
    # What is behind a table or a shape is not known: only where a paper is named is it sure.
    return marked(text, "white", sure=bool(look.paper)) if look.ink and near(look.ink, look.paper or WHITE) else text


def _paragraphs(element: Any) -> Iterator[Any]:
    """The paragraphs below an element, without those of comments."""
    for paragraph in element.iter("{*}p", "{*}h"):
        if not any(local(parent) == "annotation" for parent in paragraph.iterancestors()):
            yield paragraph


def _hidden_columns(table: Any) -> set[int]:
    hidden: set[int] = set()
    column = 1
    for element in table.iter("{*}table-column"):
        times = _times(element, "number-columns-repeated")
        if attribute(element, "visibility") in ("collapse", "filter"):
            hidden.update(range(column, column + min(times, 20_000)))
        column += times
    return hidden


def _owner(row: Any) -> Any:
    """The table that a row is of."""
    return next((parent for parent in row.iterancestors() if local(parent) == "table"), None)


def _times(element: Any, name: str) -> int:
    value = attribute(element, name) or "1"
    return max(1, int(value)) if value.isdigit() and len(value) < 10 else 1


def _number(text: str, default: float) -> float:
    try:
        return float(text)
    except ValueError:
        return default


def _colour(value: str | None) -> RGB | None:
    return from_digits(value[1:]) if value and value[0] == "#" else None
