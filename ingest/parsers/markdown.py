"""Markdown: headings, paragraphs, list items, code and tables as plain text that reads well in a quote."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ingest.parsers.builder import TextBuilder, marked, marked_again, unmarked
from ingest.parsers.encoding import decode
from ingest.parsers.front_matter import front_matter
from ingest.parsers.names import title_of
from ingest.types import Parsed

if TYPE_CHECKING:
    from markdown_it.token import Token

_TAG = re.compile(r"<(/?)([a-z][a-z0-9-]{0,30})\b([^<>]*)>", re.IGNORECASE)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


def parse_markdown(data: bytes, name: str) -> Parsed:
    """A Markdown file (CommonMark with tables)."""
    builder = TextBuilder()
    text = builder.cleaned(decode(data))
    head = front_matter(text)
    builder.label(head.labels or () if head else ())
    add_markdown(builder, head.body if head else text)
    return builder.build(head.title if head else "", "text/markdown", title_of(name))


def add_markdown(builder: TextBuilder, text: str) -> None:
    """Hand a text in Markdown to the builder of a document that it is, or that it is a part of."""
    from markdown_it import MarkdownIt

    walker = _Walker(builder)
    parser = MarkdownIt("commonmark", {"maxNesting": 60}).enable(["table", "strikethrough"])
    environment: dict[str, Any] = {}
    for token in parser.parse(text, environment):
        walker.take(token)
    walker.references(environment)


@dataclass(frozen=True, slots=True)
class _Veil:
    """An element of raw HTML that is open and hides what is in it: how, and how many of its name are open."""

    tag: str
    way: str
    sure: bool
    depth: int = 1


class _Walker:
    """Goes through the parser's flat list of tokens and hands the builder what they open and hold."""

    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self._veil: _Veil | None = None
        self._level = 0  # of the heading that is open
        self._rows: list[list[str]] = []
        self._numbers: list[int | None] = []  # of the lists that are open: the next item's number, None for bullets
        self._marker = ""  # what the next paragraph begins with

    def take(self, token: Token) -> None:
        """One token; those that say nothing about text or structure pass by."""
        kind = token.type
        if kind == "heading_open":
            self._level = int(token.tag[1:])
        elif kind == "tr_open":
            self._rows.append([])
        elif kind == "table_close":
            self.builder.table(self._rows)
            self._rows = []
        elif kind == "inline":
            self._inline(token)
        elif kind in ("fence", "code_block"):
            self._paragraph(self._veiled(token.content))
        elif kind == "html_block":
            self._html(token.content)
        else:
            self._list(token)

    def references(self, environment: dict[str, Any]) -> None:
        """Note what the definitions of links say, which is nowhere to be seen: some write comments as such."""
        named = ((name.lower(), reference) for name, reference in environment.get("references", {}).items())
        again = ((reference.get("label", ""), reference) for reference in environment.get("duplicate_refs", ()))
        for name, reference in (*named, *again):
            target = unquote(reference.get("href", ""))
            self.builder.beside("reference", f"{name} {target if ' ' in target else ''} {reference.get('title', '')}")

    def _html(self, html: str) -> None:
        """A block of raw HTML, one line for each of its own blocks. An element may go on over the Markdown below it."""
        veil = self._veil
        for match in _TAG.finditer(html):
            self._tag(match)
        from ingest.parsers.html import parse_piece

        piece = parse_piece(html)
        for hidden in piece.hidden:
            if hidden.start == hidden.end:
                self.builder.beside(hidden.kind, hidden.beside, sure=hidden.sure)
        text = marked(piece.text, veil.way, sure=veil.sure) if veil else marked_again(piece.text, piece.hidden)
        self._paragraph(text.replace("\n\n", "\n"))

    def _tag(self, match: re.Match[str]) -> None:
        """Note an element of raw HTML that begins to hide what is in it, or ends."""
        closing, name, rest = match[1], match[2].lower(), match[3]
        if self._veil:
            if name == self._veil.tag and not rest.endswith("/"):
                self._veil = replace(self._veil, depth=self._veil.depth + (-1 if closing else 1))
                self._veil = self._veil if self._veil.depth else None
        elif not closing and name not in _VOID and ("=" in rest or "hidden" in rest.lower()):
            from ingest.parsers.html import hides_from

            way, sure = hides_from(match[0])
            self._veil = _Veil(name, way, sure) if way else None

    def _veiled(self, text: str) -> str:
        return marked(text, self._veil.way, sure=self._veil.sure) if self._veil else text

    def _inline(self, token: Token) -> None:
        veil = self._veil
        text = self._plain(token.children or [])
        self._veil = veil  # what a paragraph opens, it closes
        if self._rows:
            self._rows[-1].append(text)
        elif self._level:
            self.builder.heading(self._level, text)
            self._level = 0
        else:
            self._paragraph(text)

    def _plain(self, tokens: list[Token]) -> str:
        """The words of a paragraph without its marks; a picture counts as its description."""
        parts = []
        for token in tokens:
            if title := token.attrGet("title"):
                self.builder.beside("title", str(title))
            if token.type in ("text", "code_inline"):
                parts.append(self._veiled(token.content))
            elif token.type in ("softbreak", "hardbreak"):
                parts.append("\n")
            elif token.type == "image":
                parts.append(marked(unmarked(self._plain(token.children or [])), "alternative text", sure=False))
            elif token.type == "html_inline":
                parts.append(self._inline_html(token.content))
        return "".join(parts)

    def _inline_html(self, html: str) -> str:
        if html.startswith("<!--"):
            self.builder.beside("comment", html[4:].removesuffix("-->"))
        elif match := _TAG.match(html):
            self._tag(match)
        return "\n" if html.lower().startswith("<br") else ""

    def _paragraph(self, text: str) -> None:
        if text.strip():
            self.builder.text(self._marker + text)
            self._marker = ""

    def _list(self, token: Token) -> None:
        kind = token.type
        if kind == "bullet_list_open":
            self._numbers.append(None)
        elif kind == "ordered_list_open":
            self._numbers.append(int(token.attrGet("start") or 1))
        elif kind in ("bullet_list_close", "ordered_list_close"):
            self._numbers.pop()
        elif kind == "list_item_open":
            number = self._numbers[-1]
            self._marker = "" if number is None else f"{number}. "
            if number is not None:
                self._numbers[-1] = number + 1
        elif kind == "list_item_close":
            self._marker = ""
