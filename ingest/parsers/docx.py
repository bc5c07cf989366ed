"""Word documents: headings by style, paragraphs, lists, tables and footnotes in the order of the document."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ingest.errors import BrokenDocument, EmptyDocument, Encrypted, TooLarge
from ingest.parsers.builder import TextBuilder, clean
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.names import title_of
from ingest.types import Parsed

if TYPE_CHECKING:
    from docx.document import Document

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MIB = 1024 * 1024
_MOST_ENTRIES = 10_000
_MOST_BYTES = 200 * _MIB  # unpacked
_HIGHEST_RATIO = 200  # unpacked to packed; text in XML packs to about a twentieth
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_PART = re.compile(r"word/document\d*\.xml")
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
_NO_TITLE = re.compile(r"(?:word |microsoft word )?(?:document|dokument)\d*|untitled|title|[\W\d_]*", re.IGNORECASE)


def is_docx(archive: zipfile.ZipFile) -> bool:
    """Whether a zip archive is a Word document."""
    return any(_PART.fullmatch(name) for name in archive.namelist())


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse what would unpack to more than a document can be, before anything is unpacked."""
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise TooLarge(f"holds {len(entries):,} parts, more than {_MOST_ENTRIES:,}")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Encrypted("needs a password")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _MOST_BYTES:
        raise TooLarge(f"unpacks to {unpacked // _MIB:,} MB, more than {_MOST_BYTES // _MIB} MB")
    for entry in entries:
        if entry.file_size > _MIB and entry.file_size > _HIGHEST_RATIO * entry.compress_size:
            times = f"{entry.file_size // max(1, entry.compress_size):,} times its size, more than {_HIGHEST_RATIO}"
            raise TooLarge(f"holds a part that unpacks to {times}: it may be a zip bomb")


def parse_docx(data: bytes, name: str) -> Parsed:
    """A Word document of Word 2007 or later."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_archive(archive)
            if _STRICT in archive.read("_rels/.rels"):
                data = _as_transitional(archive)
    except KeyError as error:
        raise BrokenDocument("is a broken Word document: parts of it are missing") from error
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BrokenDocument("is a broken Word document: its archive is cut short or damaged") from error
    from docx import Document as open_document

    document = open_document(io.BytesIO(data))
    reader = _Reader(_levels(document), _footnotes(document))
    reader.read(document.element.body)
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

    def __init__(self, levels: dict[str, int], footnotes: dict[str, list[str]]) -> None:
        self.builder = TextBuilder()
        self._levels = levels
        self._footnotes = footnotes

    def read(self, parent: Any) -> None:
        """The paragraphs and tables below `parent`."""
        for element in parent:
            if element.tag == _W + "p":
                self._paragraph(element)
            elif element.tag == _W + "tbl":
                self._table(element)
            elif element.tag in _WRAPPERS:
                self.read(element)

    def _paragraph(self, element: Any) -> None:
        if len(element) == 0:
            return
        text = _text(element)
        level = self._level(element)
        if level is None:
            self.builder.text(text.strip(" "))
        else:
            self.builder.heading(level, text)
        # Text boxes hang on the paragraph that they are anchored to.
        for box in element.iter(_W + "txbxContent"):
            if not any(parent.tag in (_FALLBACK, _W + "txbxContent") for parent in box.iterancestors()):
                self.read(box)
        for mark in element.iter(_W + "footnoteReference"):
            for note in self._footnotes.pop(mark.get(_W + "id"), ()):
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
        paragraphs = (_text(element) for element in cell.iter(_W + "p") if not _in_box(element))
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


def _text(paragraph: Any) -> str:
    """The paragraph's own text as it is seen when all changes are accepted, without that of text boxes in it."""
    parts: list[str] = []
    stack = [iter(paragraph)]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag == _W + "t":
            parts.append(element.text or "")
        elif element.tag == _W + "tab":
            parts.append("\t")
        elif element.tag in (_W + "br", _W + "cr"):
            parts.append("\n")
        elif element.tag == _W + "noBreakHyphen":
            parts.append("-")
        elif element.tag not in _DELETED and element.tag != _W + "txbxContent" and not _is_hidden(element):
            stack.append(iter(element))
    return "".join(parts)


def _is_hidden(element: Any) -> bool:
    if element.tag != _W + "r":
        return False
    vanish = element.find(f"{_W}rPr/{_W}vanish")
    return vanish is not None and vanish.get(_W + "val") not in ("0", "false")


def _levels(document: Document) -> dict[str, int]:
    """Style id -> the level of heading that paragraphs in that style are; the document's title stands above them all."""
    styles: dict[str, Any] = {style.get(_W + "styleId"): style for style in document.styles.element.iter(_W + "style")}
    levels: dict[str, int] = {}
    for identifier in styles:
        name: str | None = identifier
        for _ in range(12):  # as deep as styles may be based on one another; also ends circles
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


def _footnotes(document: Document) -> dict[str, list[str]]:
    """Footnote id -> its paragraphs."""
    from lxml import etree

    notes: dict[str, list[str]] = {}
    for relation in document.part.rels.values():
        if relation.reltype.endswith("/footnotes") and not relation.is_external:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            for note in etree.fromstring(relation.target_part.blob, parser).iter(_W + "footnote"):
                if note.get(_W + "type") in (None, "normal"):
                    texts = [_text(paragraph).strip() for paragraph in note.iter(_W + "p")]
                    notes[note.get(_W + "id")] = [text for text in texts if text]
    return notes


def _title(document: Document) -> str:
    """The title in the file's properties, if a person put it there."""
    title = " ".join(clean(document.core_properties.title or "").split())
    return "" if _NO_TITLE.fullmatch(title) else title
