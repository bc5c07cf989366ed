"""HTML: what a reader of the page sees, block by block; what stands around the content, scripts and what is hidden left out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.parsers.builder import TextBuilder, marked
from ingest.parsers.css import Look, Sheet, declarations
from ingest.parsers.encoding import decode
from ingest.parsers.furniture import furniture
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.names import title_of
from ingest.types import Parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from selectolax.lexbor import LexborNode

_DROPPED = frozenset(
    "head title script style noscript template nav svg iframe canvas audio video select datalist annotation".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer "
    "form header hgroup hr legend li main menu ol p pre search section summary table tbody td tfoot th thead tr ul".split()
)
_CELLS = frozenset(("td", "th"))
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_WHITE = re.compile(r"[ \t\n\r\f]+")
_META_CHARSET = re.compile(rb"""<meta[^>]{0,512}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{2,40})""", re.IGNORECASE)


def parse_html(data: bytes, name: str) -> Parsed:
    """A web page."""
    builder = TextBuilder()
    title = add_page(builder, data, all_of_it=False)
    return builder.build(title, "text/html", title_of(name))


def add_page(builder: TextBuilder, data: bytes, *, all_of_it: bool = True) -> str:
    """Hand a page to the builder of a document that it is, or that it is a part of; its title comes back.

    `all_of_it`: also what looks like menus and footers, which a page of a book has none of. Else the page is the whole
    document, and has the labels that it names.
    """
    from selectolax.lexbor import LexborHTMLParser

    # A NUL would be turned into a replacement character by HTML's rules; here it only stands in the way.
    tree = LexborHTMLParser(decode(data, _declared(data)).replace("\0", ""))
    title = tree.css_first("head title")
    if not all_of_it:
        builder.label(_labels(tree.css("meta")))
    if tree.root is not None:
        _Reader(builder).read(tree.root, frozenset() if all_of_it else furniture(tree.root))
    return title.text() if title else ""


def _labels(metas: Iterable[LexborNode]) -> Iterator[str]:
    """What `<meta name="labels" content="hr, board">` says, wherever it stands."""
    for meta in metas:
        if (meta.attributes.get("name") or "").strip().lower() == "labels":
            yield meta.attributes.get("content") or ""


def parse_piece(html: str) -> Parsed:
    """A piece of HTML that stands in a document of another kind."""
    from selectolax.lexbor import LexborHTMLParser

    reader = _Reader()
    root = LexborHTMLParser(html).root
    if root is not None:
        reader.read(root)
    return reader.builder.build("", "text/html")


def hides_from(tag: str) -> tuple[str, bool]:
    """The way in which an element hides what is in it, by its opening tag alone ('': it does not), and whether that is sure."""
    from selectolax.lexbor import LexborHTMLParser

    node = LexborHTMLParser(tag).css_first("body > *")
    if node is None:
        return "", False
    if "hidden" in node.attributes and node.attributes["hidden"] != "until-found":
        return "not displayed", False
    look = _look(Look(), node.tag or "", node.attributes, Sheet())
    return look.kind if look else ("", False)


def _declared(data: bytes) -> str:
    match = _META_CHARSET.search(data[:4096]) or _XML_ENCODING.search(data[:512])
    return match[1].decode("ascii") if match else ""


def _look(above: Look, tag: str, attributes: Mapping[str, str | None], sheet: Sheet) -> Look | None:
    """How the text of an element looks inside one that looks like `above`; None where nothing is said of it."""
    inline = declarations(attributes.get("style") or "")
    if paper := attributes.get("bgcolor"):
        inline.setdefault("background-color", paper.lower())
    if ink := attributes.get("color") if tag == "font" else attributes.get("text") if tag == "body" else None:
        inline.setdefault("color", ink.lower())
    if attributes.get("background"):
        inline.setdefault("background", "url(")
    ruled = sheet.declared(tag, attributes)
    look = above.inside(inline, ruled, sheet) if inline or ruled else above
    if attributes.get("aria-hidden") == "true" and not look.kind[0]:
        look = replace(look, lost=look.lost if look.lost[0] else ("aria-hidden", False))
        look = replace(look, kind=look.lost)
    return None if look is above else look


def _walk(
    root: LexborNode,
    skip: frozenset[str],
    left_out: Callable[[str, LexborNode], None] | None = None,
    around: frozenset[int] = frozenset(),
) -> Iterator[tuple[bool, str, LexborNode]]:
    """(opens?, tag, node) for every element and text below `root` in reading order, without recursion: pages nest deeply.

    `left_out` is told what is passed over, but not of the nodes whose ids are in `around`.
    """
    node: LexborNode | None = root
    depth = 0
    while node is not None:
        tag = node.tag or ""
        child = None
        if around and node.mem_id in around:
            pass
        elif tag == "-text" or (not tag.startswith("-") and tag not in skip and not _is_hidden(node)):
            yield True, tag, node
            child = node.first_child
            if child is None:
                yield False, tag, node
        elif left_out:
            left_out(tag, node)
        if child is not None:
            node, depth = child, depth + 1
            continue
        while node is not None and depth and node.next is None:
            node, depth = node.parent, depth - 1
            if node is not None:
                yield False, node.tag or "", node
        node = node.next if node is not None and depth else None


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    if not attributes:
        return False
    if attributes.get("role") == "navigation":
        return True
    if "hidden" in attributes and attributes["hidden"] != "until-found":
        return True
    style = attributes.get("style")
    return bool(style and _HIDDEN_STYLE.search(style))


class _Table:
    """A table being read. One that holds headings or other tables is there for the layout: its cells are just blocks."""

    def __init__(self, is_layout: bool) -> None:
        self.is_layout = is_layout
        self.rows: list[list[Cell]] = []
        self.cell: list[str] | None = None


class _Reader:
    """Gathers inline text until a block begins or ends, then hands it to the builder."""

    def __init__(self, builder: TextBuilder | None = None) -> None:
        self.builder = builder or TextBuilder()
        self._inline: list[str] = []
        self._pre = 0  # how many <pre> are open
        self._heading = 0  # the level of the heading that is open
        self._marker = ""
        self._numbers: list[int | None] = []
        self._tables: list[_Table] = []
        self._layout: set[int] = set()
        self._sheet = Sheet()
        self._looks = [Look()]  # of the elements that are open, the innermost last

    def read(self, root: LexborNode, around: frozenset[int] = frozenset()) -> None:
        """The whole page below `root`, but for the nodes `around` its content."""
        self._layout = _layout_tables(root) if root.css_first("table") else set()
        self._styles(root)
        self._comments_around(root)
        for opens, tag, node in _walk(root, _DROPPED, self._left_out, around):
            if tag == "-text":
                if opens:
                    self._text(node.text_content or "")
            elif opens:
                self._dress(tag, node)
                self._open(tag, node)
            else:
                self._close(tag, node)
                self._looks.pop()
        self._flush()

    def _styles(self, root: LexborNode) -> None:
        for style in root.css("style"):
            self._sheet.read(style.text() or "")
        if root.css_first("link[rel~=stylesheet]"):
            self._sheet.complete = False
        self._sheet.still = root.css_first("script") is None

    def _comments_around(self, root: LexborNode) -> None:
        """Comments before and behind the page itself."""
        node = root
        while node.prev is not None:
            node = node.prev
        while node is not None:
            if node.tag == "-comment":
                self._left_out("-comment", node)
            node = node.next  # type: ignore[assignment]  # None is the end

    def _left_out(self, tag: str, node: LexborNode) -> None:
        """Note what is passed over and yet says something."""
        if tag == "-comment":
            self.builder.beside("comment", node.comment_content or "")
        elif tag in ("noscript", "template"):
            self.builder.beside(tag, _TAG.sub(" ", node.html or ""))
        elif tag not in _DROPPED and not tag.startswith("-") and node.attributes.get("role") != "navigation":
            self.builder.beside("not displayed", node.text(separator=" ") or "")

    def _dress(self, tag: str, node: LexborNode) -> None:
        """Put the look of an element that opens on the pile."""
        look = self._looks[-1]
        attributes = node.attributes
        if attributes or tag in self._sheet.by_name:
            look = _look(look, tag, attributes, self._sheet) or look
            if title := attributes.get("title"):
                self.builder.beside("title", title)
        self._looks.append(look)

    def _text(self, text: str) -> None:
        text = text if self._pre else _WHITE.sub(" ", text)
        way, sure = self._looks[-1].kind
        self._inline.append(marked(text, way, sure=sure) if way and text.strip() else text)

    def _open(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self._inline.append("\n")
        elif tag == "img":
            description = _WHITE.sub(" ", node.attributes.get("alt") or "")
            way, sure = self._looks[-1].kind
            if description.strip():
                self._inline.append(marked(description, way or "alternative text", sure=sure))
        elif self._in_cell and tag in _BLOCKS and tag not in ("td", "th", "tr", "table"):
            self._inline.append("\n")
        elif tag in _HEADINGS:
            self._flush()
            self._heading = _HEADINGS[tag]
        elif tag == "dd" and self._inline:  # a term and what it means are one block
            self._inline.append("\n")
        elif tag in _BLOCKS:
            self._flush()
            self._open_block(tag, node)

    def _open_block(self, tag: str, node: LexborNode) -> None:
        if tag == "pre":
            self._pre += 1
        elif tag in ("ul", "menu", "dir"):
            self._numbers.append(None)
        elif tag == "ol":
            self._numbers.append(_whole(node.attributes.get("start"), 1))
        elif tag == "li" and self._numbers and self._numbers[-1] is not None:
            number = _whole(node.attributes.get("value"), self._numbers[-1])
            self._marker = f"{number}. "
            self._numbers[-1] = number + 1
        elif tag == "table":
            self._tables.append(_Table(node.mem_id in self._layout))
        elif self._tables and not self._tables[-1].is_layout:
            table = self._tables[-1]
            if tag == "tr" or (tag in _CELLS and not table.rows):
                table.rows.append([])
            if tag in _CELLS:
                table.cell = []

    def _close(self, tag: str, node: LexborNode) -> None:
        if tag in _CELLS and self._in_cell:
            table = self._tables[-1]
            attributes = node.attributes
            text = _tidy("".join(self._inline)).replace("\n", " ")
            across, down = _whole(attributes.get("colspan"), 1), _whole(attributes.get("rowspan"), 1)
            table.rows[-1].append(Cell(text, across, down, heads=tag == "th"))
            self._inline, table.cell = [], None
        elif self._in_cell and tag != "table":
            if tag in _BLOCKS or tag in _HEADINGS:
                self._inline.append("\n")
        elif tag in _HEADINGS:
            self._flush()
            self._heading = 0
        elif tag in _BLOCKS and tag not in ("dt", "tr"):
            self._flush()
            self._close_block(tag)

    def _close_block(self, tag: str) -> None:
        if tag == "pre":
            self._pre -= 1
        elif tag == "li":
            self._marker = ""
        elif tag in ("ul", "ol", "menu", "dir"):
            self._numbers.pop()
        elif tag == "table":
            table = self._tables.pop()
            if not table.is_layout:
                add_table(self.builder, table.rows)

    @property
    def _in_cell(self) -> bool:
        return bool(self._tables) and self._tables[-1].cell is not None

    def _flush(self) -> None:
        text = "".join(self._inline)
        self._inline = []
        if not self._pre:
            text = _tidy(text)
        if not text.strip():
            return
        if self._heading:
            self.builder.heading(self._heading, text)
        else:
            self.builder.text(self._marker + text)
            self._marker = ""


def _layout_tables(root: LexborNode) -> set[int]:
    """The tables that hold headings or tables, by their nodes' ids."""
    layout: set[int] = set()
    open_tables: list[int] = []
    for opens, tag, node in _walk(root, _DROPPED):
        if tag == "table" and not opens:
            open_tables.pop()
        elif opens and open_tables and (tag == "table" or tag in _HEADINGS):
            layout.add(open_tables[-1])
        if tag == "table" and opens:
            open_tables.append(node.mem_id)
    return layout


def _tidy(text: str) -> str:
    """One space between words, none around line breaks."""
    lines = (re.sub(" {2,}", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _whole(value: str | None, default: int) -> int:
    """The whole number that an attribute gives, within reason."""
    match = re.match(r"\s*(\d{1,9})", value or "")
    return int(match[1]) if match else default
