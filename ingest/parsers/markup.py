"""XML of any vocabulary: records as tables, titles as headings, paragraphs as they read; places are lines of the file."""

from __future__ import annotations

import html.entities
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ingest.errors import BrokenDocument
from ingest.parsers.builder import TextBuilder, marked_again
from ingest.parsers.html import parse_piece
from ingest.parsers.names import title_of
from ingest.parsers.tree import local, read_xml
from ingest.types import Parsed

_TITLES = frozenset(("title", "head", "heading", "name", "label", "caption"))
_LONGEST_CELL = 500  # characters; records with longer ones are no rows of a table
_LONGEST_TITLE = 200
_WHITE = re.compile(r"\s+")
_HTML = re.compile(r"<(?:p|br|div|a|ul|li|b|i|em|strong|span|img|table|h[1-6])\b[^<>]*>", re.IGNORECASE)
_NO_WORDS = re.compile(r"(?:.*}(?:schemaLocation|noNamespaceSchemaLocation|lang|space|base|id)|xmlns.*)$")


def parse_xml(data: bytes, name: str) -> Parsed:
    """An XML file; entities are not followed, but for those that HTML has, and what is commented out is noted."""
    from lxml import etree

    try:
        root = read_xml(data)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BrokenDocument(f"is not well-formed XML: {' '.join(str(error).split())[:200]}") from error
    writer = _Writer()
    around = (*root.itersiblings(etree.Comment, preceding=True), *root.itersiblings(etree.Comment))
    for comment in (*around, *root.iter(etree.Comment)):
        writer.builder.beside("comment", comment.text or "")
    # What stands behind a comment is text of the element around it, and so is a letter that HTML has a name for.
    for entity in root.iter(etree.Entity):
        entity.tail = html.entities.html5.get(entity.text[1:], "") + (entity.tail or "")
    etree.strip_elements(root, etree.Comment, etree.ProcessingInstruction, etree.Entity, with_tail=False)
    writer.element(root, 1)
    return writer.builder.build("", "application/xml", title_of(name))


class _Writer:
    """Goes through the elements; libxml2 lets none nest deeper than 256."""

    def __init__(self) -> None:
        self.builder = TextBuilder()
        self.builder.unit = "line"
        self._beside: set[str] = set()

    def element(self, element: Any, level: int) -> None:
        """An element and all below it."""
        children = [child for child in element if local(child)]
        if not children or _is_mixed(element, children):
            self._put(self._line(element), element.sourceline)
            return
        title = next((child for child in children if local(child) in _TITLES and len(child) == 0 and _words(child)), None)
        if title is not None and len(_words(title)) <= _LONGEST_TITLE:
            self.builder.heading(min(level, 6), _words(title), title.sourceline)
            level += 1
            children.remove(title)
        self._attributes(element)
        if _are_rows(children):
            self._table(children)
            return
        together: list[tuple[str, int]] = []
        for child in children:
            below = [one for one in child if local(one)]
            line = self._line(child) if not below or _is_mixed(child, below) else ""
            if line and len(line) <= _LONGEST_CELL and "\n" not in line:
                together.append((line, child.sourceline or 1))
                continue
            self._lines(together)
            together = []
            self.element(child, level)
        self._lines(together)

    def _lines(self, lines: Sequence[tuple[str, int]]) -> None:
        """Short things that stand one below the other, as one paragraph."""
        if lines:
            self.builder.text("\n".join(line for line, _ in lines), [number for _, number in lines])

    def _line(self, element: Any) -> str:
        """What an element says that holds no records: `name: text (attributes)`."""
        text = _words(element)
        text = self._seen(text)
        name = local(element)
        said = [
            f"{local_name(key)}: {value}" for key, value in element.attrib.items() if value.strip() and not _NO_WORDS.match(key)
        ]
        line = text if len(text) > _LONGEST_CELL or len(element) else f"{name}: {text}" if text else ""
        if not text and said:
            line = f"{name} {', '.join(said)}"
        elif said and line:
            line = f"{line} ({', '.join(said)})"
        return line

    def _seen(self, text: str) -> str:
        """A text; where it is HTML, what a reader sees of it, with what is hidden marked."""
        if not _HTML.search(text):
            return text
        piece = parse_piece(text)
        for one in piece.hidden:
            if one.beside and one.beside not in self._beside:
                self._beside.add(one.beside)
                self.builder.beside(one.kind, one.beside, sure=one.sure)
        return marked_again(piece.text, piece.hidden)

    def _attributes(self, element: Any) -> None:
        said = [
            f"{local_name(key)}: {value}" for key, value in element.attrib.items() if value.strip() and not _NO_WORDS.match(key)
        ]
        if said:
            self._put(f"{local(element)} {', '.join(said)}", element.sourceline)

    def _put(self, text: str, line: int | None) -> None:
        """A paragraph, all of which stands at a line of the file."""
        self.builder.unit, self.builder.place = "", f"line {line}" if line else ""
        self.builder.text(text)
        self.builder.unit, self.builder.place = "line", ""

    def _table(self, records: Sequence[Any]) -> None:
        columns = list(dict.fromkeys(key for record in records for key in _record(record)))
        rows = [[self._seen(values.get(column, "")) for column in columns] for values in map(_record, records)]
        lines = [record.sourceline or 1 for record in records]
        self.builder.table([[local_name(column) for column in columns], *rows], numbers=[lines[0], *lines])


def local_name(key: str) -> str:
    """A name without its namespace."""
    return key.rpartition("}")[2]


def _words(element: Any) -> str:
    """All the text in an element, with the blanks that a reader sees."""
    return _WHITE.sub(" ", "".join(element.itertext(tag="*"))).strip()


def _is_mixed(element: Any, children: Sequence[Any]) -> bool:
    """Whether the text of an element goes through its children: a paragraph with something emphasised."""
    return bool((element.text or "").strip() or any((child.tail or "").strip() for child in children))


def _record(element: Any) -> dict[str, str]:
    """What a record says, by attribute and by the name of the element it stands in."""
    values = {key: value for key, value in element.attrib.items() if not _NO_WORDS.match(key)}
    several: Counter[str] = Counter()
    for child in element:
        if name := local(child):
            several[name] += 1
            values[name] = f"{values[name]}, {_words(child)}" if several[name] > 1 else _words(child)
    return values


def _are_rows(children: Sequence[Any]) -> bool:
    """Whether the children are records that are alike, flat and short."""
    if len(children) < 2 or len({child.tag for child in children}) > 1:
        return False
    records = []
    for child in children:
        below = [one for one in child if local(one)]
        if any(len(one) for one in below) or _is_mixed(child, below):
            return False
        records.append(_record(child))
    columns = {key for record in records for key in record}
    held = sum(map(len, records))
    alike = 2 <= len(columns) <= 60 and held * 2 >= len(columns) * len(records)
    return alike and all(len(value) <= _LONGEST_CELL for record in records for value in record.values())
