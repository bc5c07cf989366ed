"""reStructuredText: sections, paragraphs, lists, code and tables, as docutils reads them; nothing is included or run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ingest.parsers.builder import TextBuilder, marked_again
from ingest.parsers.encoding import decode
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.html import parse_piece
from ingest.parsers.names import title_of
from ingest.types import Parsed

if TYPE_CHECKING:
    from docutils.nodes import Element, Node, document

_SETTINGS = {
    "file_insertion_enabled": False,  # no file of this machine is drawn in
    "raw_enabled": False,
    "_disable_config": True,
    "halt_level": 5,
    "report_level": 5,
    "warning_stream": False,
    "traceback": True,  # errors are raised, not said on the way out
    "smart_quotes": False,
    "doctitle_xform": False,
    "line_length_limit": 100_000,
    "syntax_highlight": "none",
    "embed_stylesheet": False,
}
_ROLE = re.compile(r":[\w:+.-]+:`([^`]*)`|`([^`]*)`:[\w:+.-]+:")
_TARGET = re.compile(r"\s*<[^<>]*>$")
_DIRECTIVE = re.compile(r"\.\. +(?:\S+ +)?([\w:.+-]+)::[ \t]*(.*)")
_OPTION = re.compile(r"\s*:[\w-]+:(?:\s|$)")
_SILENT = frozenset(
    ("toctree", "contents", "index", "highlight", "currentmodule", "default-domain", "literalinclude", "include")
)
_BEFORE_THE_HEAD = ("title", "subtitle", "comment", "target", "substitution_definition", "meta", "pending")
_DEEPEST = 40


def parse_rst(data: bytes, name: str) -> Parsed:
    """A reStructuredText file, also one that uses Sphinx's own words."""
    builder = TextBuilder()
    tree = _tree(builder.cleaned(decode(data)))
    builder.label(_labels_taken_out(tree))
    _Writer(builder).read(tree, 0)
    return builder.build("", "text/x-rst", title_of(name))


def _tree(text: str) -> document:
    from docutils.core import publish_doctree

    return publish_doctree(text, settings_overrides=_SETTINGS)


def _labels_taken_out(tree: Element) -> list[str]:
    """What the field `labels` says in the list at the head, above or below the title; it is no text any more."""
    parent: Any = tree
    while parent is not None:
        first: Any = next((child for child in parent.children if child.__class__.__name__ not in _BEFORE_THE_HEAD), None)
        kind = first.__class__.__name__
        if kind in ("field_list", "docinfo"):
            fields = [one for one in first.children if one.__class__.__name__ == "field"]
            named = [one for one in fields if one.children[0].astext().strip().lower() == "labels"]
            for field in named:
                first.remove(field)
            return [field.children[-1].astext() for field in named]
        parent = first if kind == "section" else None
    return []


class _Writer:
    """Walks docutils' tree and hands the builder what a reader of the page would see."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._marker = ""

    def read(self, parent: Element, level: int, depth: int = 0) -> None:
        """What stands below a node, in sections of `level`."""
        for node in parent.children if depth < _DEEPEST else ():
            self._node(node, level, depth + 1)

    def _node(self, node: Any, level: int, depth: int) -> None:
        kind = node.__class__.__name__
        if kind == "section":
            self.read(node, level + 1, depth)
        elif kind in ("title", "subtitle", "rubric"):
            self._builder.heading(max(1, level) + (kind == "rubric"), _words(node))
        elif kind == "comment":
            self._builder.beside("comment", node.astext())
        elif kind == "system_message":
            self._unknown(node, level, depth)
        elif kind == "table":
            self._table(node)
        elif kind in ("bullet_list", "enumerated_list"):
            self._list(node, level, depth)
        elif kind in ("definition_list_item", "field", "option_list_item"):
            self._pair(node, level, depth)
        elif kind in ("paragraph", "literal_block", "doctest_block", "math_block", "line_block", "attribution", "caption"):
            text = node.astext() if kind == "line_block" else _words(node)
            if text.strip():
                self._builder.text(self._marker + text)
                self._marker = ""
        elif kind == "image":
            self._builder.beside("alternative text", node.get("alt") or "")
        elif kind not in ("substitution_definition", "target", "pending", "raw", "meta", "Text", "docinfo"):
            self.read(node, level, depth)
        elif kind == "docinfo":
            self._builder.text("\n".join(f"{field.__class__.__name__}: {_words(field)}" for field in node.children))

    def _list(self, node: Any, level: int, depth: int) -> None:
        for number, item in enumerate(node.children, int(node.get("start") or 1)):
            self._marker = f"{number}. " if node.__class__.__name__ == "enumerated_list" else ""
            self.read(item, level, depth)
            self._marker = ""

    def _pair(self, node: Any, level: int, depth: int) -> None:
        """A term and what it means are one block where that is short."""
        *terms, meaning = node.children
        name = " ".join(_words(term) for term in terms)
        paragraphs = [child for child in meaning.children if child.__class__.__name__ == "paragraph"]
        if len(paragraphs) == len(meaning.children) == 1:
            self._builder.text(f"{name}\n{_words(paragraphs[0])}")
            return
        self._builder.text(name)
        self.read(meaning, level, depth)

    def _table(self, node: Any) -> None:
        for title in node.findall(lambda child: child.__class__.__name__ == "title"):
            self._builder.text(_words(title))
        rows = []
        for row in node.findall(lambda child: child.__class__.__name__ == "row"):
            heads = row.parent.__class__.__name__ == "thead"
            rows.append(
                [Cell(_words(e), int(e.get("morecols") or 0) + 1, int(e.get("morerows") or 0) + 1, heads) for e in row.children]
            )
        if rows:
            add_table(self._builder, rows)

    def _unknown(self, message: Any, level: int, depth: int) -> None:
        """What docutils could not make sense of, such as a directive of Sphinx: its words, without its commands."""
        for block in message.children:
            if block.__class__.__name__ != "literal_block":
                continue
            first, _, rest = block.astext().partition("\n")
            directive = _DIRECTIVE.match(first)
            if not directive:
                self._builder.text(block.astext())
                continue
            if directive[1].rpartition(":")[2] in _SILENT:
                continue
            lines = rest.split("\n")
            while lines and _OPTION.match(lines[0]):
                lines.pop(0)
            if directive[1] == "raw":
                self._raw(directive[2].strip(), _dedented(lines))
                continue
            if directive[1] in ("code-block", "sourcecode", "prompt", "productionlist"):
                self._builder.text(_dedented(lines))
                continue
            if directive[2].strip() and directive[1] != "only":
                named = f"{directive[1]}: " if directive[1] in ("versionadded", "versionchanged", "deprecated") else ""
                self._builder.text(named + _plain(directive[2].strip()))
            if depth < _DEEPEST and any(line.strip() for line in lines):
                self.read(_tree(_dedented(lines)), level, depth + 5)

    def _raw(self, language: str, text: str) -> None:
        """What stands there in another language: of HTML its words, of the rest nothing that a reader would see."""
        if "html" in language.split():
            piece = parse_piece(text)
            for hidden in piece.hidden:
                if hidden.start == hidden.end:
                    self._builder.beside(hidden.kind, hidden.beside, sure=hidden.sure)
            self._builder.text(marked_again(piece.text, piece.hidden))
        else:
            self._builder.beside("comment", text)


def _words(node: Node) -> str:
    """The text of a node, with roles that docutils does not know as their words."""
    return _plain(node.astext())


def _plain(text: str) -> str:
    if "`" not in text:
        return text
    return _ROLE.sub(lambda match: _TARGET.sub("", match[1] or match[2] or "").lstrip("~!"), text)


def _dedented(lines: list[str]) -> str:
    import textwrap

    return textwrap.dedent("\n".join(lines)).strip("\n")
