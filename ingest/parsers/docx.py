"""Word documents: headings by style, paragraphs, lists, tables and footnotes in the order of the document."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ingest.errors import EmptyDocument
from ingest.parsers.builder import TextBuilder, clean, marked
from ingest.parsers.css import RGB, WHITE, from_digits, near
from ingest.parsers.formulas import add_chart, formula
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.names import title_of
from ingest.parsers.tree import read_xml
from ingest.parsers.zipped import opened
from ingest.types import Parsed

if TYPE_CHECKING:
    from docx.document import Document

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# The strict flavour of the format differs in the names of its namespaces only, but python-docx doesn't know them.
_STRICT = b"http://purl.oclc.org/ooxml/"
_STRICT_NAMES = (
    (_STRICT + b"officeDocument/relationships", b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"),
    (_STRICT + b"wordprocessingml/main", b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"),
)
# Wrappers whose content stands in the text; what tracked changes took out (w:del, w:moveFrom) does not.
_WRAPPERS = frozenset(
    _W + tag for tag in ("sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml", "hyperlink", "fldSimple")
)
_DELETED = frozenset((_W + "del", _W + "moveFrom", _W + "pPr", _FALLBACK))
_FORMULA = "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMath"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_DESCRIBED = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"
_DEEPEST_STYLE = 12  # styles may be based on one another; this also ends circles
_TINY = 4  # half points
_COLOUR, _SIZE, _SHADE, _MARKER, _VANISH = (_W + tag for tag in ("color", "sz", "shd", "highlight", "vanish"))
_VALUE = _W + "val"
_HIGHLIGHT: RGB = (211, 211, 211)  # stands for all of them: white is seen on each
_NO_TITLE = re.compile(r"(?:word |microsoft word )?(?:document|dokument)\d*|untitled|title|[\W\d_]*", re.IGNORECASE)


def parse_docx(data: bytes, name: str) -> Parsed:
    """A Word document of Word 2007 or later."""
    with opened(data, "Word document") as archive:
        if _STRICT in archive.read("_rels/.rels"):
            data = _as_transitional(archive)
    from docx import Document as open_document

    document = open_document(io.BytesIO(data))
    reader = _Reader(_Looks(document), _levels(document))
    reader.footnotes = _footnotes(document, reader.looks)
    reader.charts = _charts(document)
    reader.read(document.element.body)
    reader.beside(document)
    if reader.builder.empty:
        raise EmptyDocument("holds no text")
    return reader.builder.build(_title(document), MEDIA_TYPE, title_of(name))


def _as_transitional(archive: zipfile.ZipFile) -> bytes:
    """The same document with the names that python-docx knows."""
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as copy:
        for entry in archive.infolist():
            content = archive.read(entry)
            if entry.filename.endswith((".xml", ".rels")):
                for strict, usual in _STRICT_NAMES:
                    content = content.replace(strict, usual)
            copy.writestr(entry.filename, content)
    return result.getvalue()


class _Reader:
    """Walks the document's XML itself: python-docx's own objects leave content controls out and are slow on large files."""

    def __init__(self, looks: _Looks, levels: dict[str, int]) -> None:
        self.builder = TextBuilder()
        self.looks = looks
        self.footnotes: dict[str, list[str]] = {}
        self.charts: dict[str, Any] = {}
        self._levels = levels

    def read(self, parent: Any) -> None:
        """The paragraphs and tables below `parent`."""
        for element in parent:
            if element.tag == _W + "p":
                self._paragraph(element)
            elif element.tag == _W + "tbl":
                self._table(element)
            elif element.tag in _WRAPPERS:
                self.read(element)

    def beside(self, document: Document) -> None:
        """Note what stands in the file and not in the text: hidden and deleted text, descriptions of pictures, comments."""
        for element in document.element.body.iter(_W + "vanish", _W + "delText", _DESCRIBED):
            if element.tag == _DESCRIBED:
                self.builder.beside("alternative text", f"{element.get('title') or ''} {element.get('descr') or ''}")
            elif element.tag == _W + "delText":
                self.builder.beside("deleted", element.text or "")
            elif _is_on(element) and (run := element.getparent().getparent()) is not None and run.tag == _W + "r":
                self.builder.beside("not displayed", "".join(text.text or "" for text in run.iter(_W + "t")))
        with suppress(SyntaxError):  # comments that can't be read are no reason to refuse the text
            for comment in _part(document, "comments", "comment"):
                self.builder.beside("comment", " ".join(text.text or "" for text in comment.iter(_W + "t")))

    def _paragraph(self, element: Any) -> None:
        if len(element) == 0:
            return
        text = _text(element, self.looks)
        level = self._level(element)
        if level is None:
            self.builder.text(text.strip(" "))
        else:
            self.builder.heading(level, text)
        # Text boxes hang on the paragraph that they are anchored to.
        for box in element.iter(_W + "txbxContent"):
            if not any(parent.tag in (_FALLBACK, _W + "txbxContent") for parent in box.iterancestors()):
                self.read(box)
        for chart in element.iter(_CHART):
            part = self.charts.get(next((value for key, value in chart.attrib.items() if key.endswith("}id")), ""))
            if part is not None:
                add_chart(self.builder, part)
        for mark in element.iter(_W + "footnoteReference"):
            for note in self.footnotes.pop(mark.get(_W + "id"), ()):
                self.builder.text(note)

    def _level(self, element: Any) -> int | None:
        properties = element.find(_W + "pPr")
        if properties is None:
            return None
        outline = properties.find(_W + "outlineLvl")
        if outline is not None and (outline.get(_W + "val") or "9") in "012345678":
            return int(outline.get(_W + "val")) + 1
        style = properties.find(_W + "pStyle")
        return self._levels.get(style.get(_W + "val")) if style is not None else None

    def _table(self, table: Any) -> None:
        rows = []
        above: dict[int, str] = {}  # column -> the text that merged cells below it go on with
        wrapped = list(_rows(table))
        if all(len(row) <= 1 for row in wrapped):  # a frame around text
            for row in wrapped:
                for cell in row:
                    self.read(cell)
            return
        for row in wrapped:
            cells: list[Cell] = []
            column = 0
            for element in row:
                span = element.find(f"{_W}tcPr/{_W}gridSpan")
                merge = element.find(f"{_W}tcPr/{_W}vMerge")
                text = self._cell_text(element)
                if merge is not None and merge.get(_W + "val") != "restart" and not text:
                    text = above.get(column, "")
                above[column] = text
                across = int(span.get(_W + "val") or 1) if span is not None else 1
                cells.append(Cell(text, across))
                column += across
            rows.append(cells)
        add_table(self.builder, rows)

    def _cell_text(self, cell: Any) -> str:
        """The text of a cell, with that of the tables in it."""
        paragraphs = (_text(element, self.looks) for element in cell.iter(_W + "p") if not _in_box(element))
        return "\n".join(text for text in paragraphs if text.strip())


def _rows(table: Any) -> Iterator[list[Any]]:
    """The cells of each row; rows and cells may be wrapped in content controls."""
    for row in _children(table, _W + "tr"):
        yield list(_children(row, _W + "tc"))


def _children(parent: Any, tag: str) -> Iterator[Any]:
    for element in parent:
        if element.tag == tag:
            yield element
        elif element.tag in _WRAPPERS:
            yield from _children(element, tag)


def _in_box(element: Any) -> bool:
    return any(parent.tag == _W + "txbxContent" for parent in element.iterancestors())


@dataclass(frozen=True, slots=True)
class _Look:
    """What is said of a text's looks: its colour, its size in half points, and the colour behind it; None where nothing is."""

    ink: RGB | None = None
    size: int | None = None
    paper: RGB | None = None
    vanished: bool = False

    def over(self, below: _Look) -> _Look:
        """This look where it says something, else the one below."""
        if self is _NOTHING or below is _NOTHING:
            return below if self is _NOTHING else self
        size = below.size if self.size is None else self.size
        return _Look(self.ink or below.ink, size, self.paper or below.paper, self.vanished or below.vanished)


_NOTHING = _Look()


class _Looks:
    """How runs look, by their own properties, their styles, and what is behind them."""

    def __init__(self, document: Document) -> None:
        self._styles: dict[str, Any] = {
            style.get(_W + "styleId"): style for style in document.styles.element.iter(_W + "style")
        }
        self._found: dict[str | None, _Look] = {None: _NOTHING}
        background = document.element.find(_W + "background")
        self._page = (_colour(background, "color") if background is not None else None) or WHITE

    def hidden(self, run: Any, paragraph: _Look) -> tuple[str, bool]:
        """The way in which a run's text is hidden, '' if it is not, and whether that is sure.

        What the run itself says is not there (`vanished`) is no part of the text at all.
        """
        look, properties = paragraph, run.find(_W + "rPr")
        if properties is not None:
            style = properties.find(_W + "rStyle")
            named = self.style(style.get(_W + "val")) if style is not None else _NOTHING
            own = _own(properties)
            if own.vanished:
                return "vanished", True
            look = own.over(named).over(paragraph)
        if look.vanished:
            return "not displayed", False
        if look.size is not None and look.size < _TINY:
            return "tiny", True
        if look.ink is None:
            return "", False
        paper, sure = (look.paper, True) if look.paper else self._behind(run)
        return ("white", sure) if near(look.ink, paper) else ("", False)

    def paragraph(self, paragraph: Any) -> _Look:
        """What a paragraph says of the runs in it."""
        properties = paragraph.find(_W + "pPr")
        if properties is None:
            return self._found[None]
        style = properties.find(_W + "pStyle")
        look = self.style(style.get(_W + "val")) if style is not None else _NOTHING
        paper = _shade(properties)
        return replace(look, paper=paper) if paper else look

    def style(self, name: str | None) -> _Look:
        """The look of a style, with those that it is based on."""
        look, above = self._found.get(name), name
        if look is None:
            look = _NOTHING
            for _ in range(_DEEPEST_STYLE):
                style = self._styles.get(above or "")
                if style is None:
                    break
                for properties in (style.find(_W + "rPr"), style.find(_W + "pPr")):
                    look = look.over(_own(properties)) if properties is not None else look
                base = style.find(_W + "basedOn")
                above = base.get(_W + "val") if base is not None else None
            self._found[name] = look
        return look

    def _behind(self, run: Any) -> tuple[RGB, bool]:
        """The colour behind a run whose paragraph has none of its own, and whether that is sure."""
        for parent in run.iterancestors():
            if parent.tag == _W + "txbxContent":
                return WHITE, False
            if parent.tag == _W + "tc":
                properties = parent.find(_W + "tcPr")
                if properties is not None and (shade := _shade(properties)):
                    return shade, True
            if parent.tag == _W + "tbl":
                properties = parent.find(_W + "tblPr")
                if properties is not None and (shade := _shade(properties)):
                    return shade, True
                if properties is not None and properties.find(_W + "tblStyle") is not None:
                    return WHITE, False  # the table's style may colour its rows
        return self._page, True


def _own(properties: Any) -> _Look:
    """What the properties of a run, or of a paragraph, say themselves."""
    ink, size, shade, marker, vanished = None, None, None, None, False
    for element in properties:
        tag = element.tag
        if tag == _COLOUR:
            ink = _colour(element, "val")
        elif tag == _SIZE:
            half_points = element.get(_VALUE) or ""
            size = int(half_points) if half_points.isascii() and half_points.isdigit() and len(half_points) < 6 else None
        elif tag == _SHADE:
            shade = _colour(element, "fill")
        elif tag == _MARKER:
            marker = None if element.get(_VALUE) in (None, "none", "white") else _HIGHLIGHT
        elif tag == _VANISH:
            vanished = _is_on(element)
    return (
        _NOTHING
        if not (ink or shade or marker or vanished or size is not None)
        else _Look(ink, size, marker or shade, vanished)
    )


def _shade(properties: Any) -> RGB | None:
    """The colour that is laid behind a cell or a table."""
    shade = properties.find(_SHADE)
    return _colour(shade, "fill") if shade is not None else None


def _colour(element: Any, name: str) -> RGB | None:
    return from_digits(element.get(_W + name) or "")


def _text(paragraph: Any, looks: _Looks) -> str:
    """The paragraph's own text as it is seen when all changes are accepted, without that of text boxes in it."""
    parts: list[str] = []
    stack = [iter(paragraph)]
    above = looks.paragraph(paragraph)
    hidden = ("", False)
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag == _W + "t":
            text = element.text or ""
            parts.append(marked(text, hidden[0], sure=hidden[1]) if hidden[0] else text)
        elif element.tag == _FORMULA:
            parts.append(formula(element))
        elif element.tag == _W + "tab":
            parts.append("\t")
        elif element.tag in (_W + "br", _W + "cr"):
            parts.append("\n")
        elif element.tag == _W + "noBreakHyphen":
            parts.append("-")
        elif element.tag == _W + "r":
            hidden = looks.hidden(element, above)
            if hidden[0] != "vanished":
                stack.append(iter(element))
        elif element.tag not in _DELETED and element.tag != _W + "txbxContent":
            stack.append(iter(element))
    return "".join(parts)


def _is_on(switch: Any) -> bool:
    return switch.get(_W + "val") not in ("0", "false", "off")


def _levels(document: Document) -> dict[str, int]:
    """Style id -> the level of heading that paragraphs in that style are; the document's title stands above them all."""
    styles: dict[str, Any] = {style.get(_W + "styleId"): style for style in document.styles.element.iter(_W + "style")}
    levels: dict[str, int] = {}
    for identifier in styles:
        name: str | None = identifier
        for _ in range(_DEEPEST_STYLE):
            style = styles.get(name or "")
            if style is None:
                break
            level = _own_level(style)
            if level is not None:
                levels[identifier] = level
                break
            base = style.find(_W + "basedOn")
            name = base.get(_W + "val") if base is not None else None
    return levels


def _own_level(style: Any) -> int | None:
    element = style.find(_W + "name")
    name = (element.get(_W + "val") or "").lower() if element is not None else ""
    if name == "title":
        return 0
    match = re.fullmatch(r"heading ([1-9])", name)
    if match:
        return int(match[1])
    outline = style.find(f"{_W}pPr/{_W}outlineLvl")
    value = outline.get(_W + "val") if outline is not None else None
    return int(value) + 1 if value and value in "012345678" else None


def _footnotes(document: Document, looks: _Looks) -> dict[str, list[str]]:
    """Footnote id -> its paragraphs."""
    notes: dict[str, list[str]] = {}
    for note in _part(document, "footnotes", "footnote"):
        if note.get(_W + "type") in (None, "normal"):
            texts = [_text(paragraph, looks).strip() for paragraph in note.iter(_W + "p")]
            notes[note.get(_W + "id")] = [text for text in texts if text]
    return notes


def _charts(document: Document) -> dict[str, Any]:
    """The charts that paragraphs refer to by their relation."""
    charts = {}
    for name, relation in document.part.rels.items():
        if relation.reltype.endswith("/chart") and not relation.is_external:
            with suppress(SyntaxError):  # a chart that can't be read is no reason to refuse the text
                charts[name] = read_xml(relation.target_part.blob)
    return charts


def _part(document: Document, name: str, tag: str) -> Iterator[Any]:
    """The elements of another part of the document: its footnotes, its comments."""
    from lxml import etree

    for relation in document.part.rels.values():
        if relation.reltype.endswith(f"/{name}") and not relation.is_external:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            yield from etree.fromstring(relation.target_part.blob, parser).iter(_W + tag)


def _title(document: Document) -> str:
    """The title in the file's properties, if a person put it there."""
    title = " ".join(clean(document.core_properties.title or "").split())
    return "" if _NO_TITLE.fullmatch(title) else title
