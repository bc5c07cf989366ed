"""Markdown: headings, paragraphs, list items, code and tables as plain text that reads well in a quote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ingest.parsers.builder import TextBuilder, clean
from ingest.parsers.encoding import decode
from ingest.parsers.names import title_of
from ingest.types import Parsed

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A(?:---[ \t]*\n(.*?)\n(?:---|\.\.\.)|\+\+\+[ \t]*\n(.*?)\n\+\+\+)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_LINE = re.compile(r"\s*(?:#.*)?$|[\w\"'-]+\s*[:=]|[-\s]")
_FRONT_TITLE = re.compile(r"^title\s*[:=]\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)


def parse_markdown(data: bytes, name: str) -> Parsed:
    """A Markdown file (CommonMark with tables)."""
    from markdown_it import MarkdownIt

    text, title = _without_front_matter(clean(decode(data)))
    parser = MarkdownIt("commonmark", {"maxNesting": 60}).enable(["table", "strikethrough"])
    walker = _Walker()
    for token in parser.parse(text):
        walker.take(token)
    return walker.builder.build(title, "text/markdown", title_of(name))


class _Walker:
    """Goes through the parser's flat list of tokens and hands the builder what they open and hold."""

    def __init__(self) -> None:
        self.builder = TextBuilder()
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
            self._paragraph(token.content)
        elif kind == "html_block":
            self._paragraph(_without_tags(token.content))
        else:
            self._list(token)

    def _inline(self, token: Token) -> None:
        text = _plain(token.children or [])
        if self._rows:
            self._rows[-1].append(text)
        elif self._level:
            self.builder.heading(self._level, text)
            self._level = 0
        else:
            self._paragraph(text)

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


def _plain(tokens: list[Token]) -> str:
    """The words of a paragraph without its marks; a picture counts as its description."""
    parts = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif token.type == "image":
            parts.append(_plain(token.children or []))
        elif token.type == "html_inline" and token.content.lower().startswith("<br"):
            parts.append("\n")
    return "".join(parts)


def _without_tags(html: str) -> str:
    """The text of a raw HTML block, one line for each of its own blocks."""
    from ingest.parsers.html import plain_text

    return plain_text(html)


def _without_front_matter(text: str) -> tuple[str, str]:
    """The text below the front matter, and the title in it. Two rules with prose between them are no front matter."""
    match = _FRONT_MATTER.match(text)
    matter = (match[1] or match[2] or "") if match else ""
    if not match or not all(_FRONT_LINE.match(line) for line in matter.split("\n")):
        return text, ""
    title = _FRONT_TITLE.search(matter)
    return text[match.end() :], _unquoted(title[1]) if title else ""


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
