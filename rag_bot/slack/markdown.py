"""Markdown as Slack shows it: `Translator` for messages that take Markdown, `to_mrkdwn` for Slack's own form elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from rag_bot.chat_platform.pieces import FENCE

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_CONTROL = re.compile(r"<(?=[@#!]|https?:|mailto:)", re.IGNORECASE)
_IMAGE = re.compile(r"!(?=\[)")
_JOINER = "\u2060"  # seen by nobody; what stands apart from its < is no mention and no link any more
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_PIPE = re.compile(r"(?<!\\)\|")
_WORD = re.compile(r"\w")
_STEP = 12_000  # characters that are parsed at once: what a hostile text costs grows no faster than the text
_LINKED = ("http://", "https://", "mailto:")
_WIDEST = 60  # of a table's column


class Translator:
    """Markdown for Slack's `markdown_text`, fed piece by piece: joined, the pieces are as the whole would be.

    What looks like Slack's own marks (a mention of everybody, a link under another name) is taken apart, pictures from
    elsewhere become links, and a table becomes text in columns.
    """

    def __init__(self) -> None:
        self._fence, self._at_start, self._opened = "", True, False

    def feed(self, text: str) -> str:
        """The next piece. A table must come whole, on lines of its own."""
        if self._opened and _CONTROL.match(f"<{text}"):
            text = _JOINER + text
        self._opened = text.endswith("<") if text else self._opened
        lines = text.splitlines(keepends=True)
        out: list[str] = []
        at = 0
        while at < len(lines):
            rows = 0 if self._fence or not self._at_start else _table_rows(lines, at)
            if rows:
                end = "\n" if lines[at + rows - 1].endswith("\n") else ""
                out.append(f"```\n{_columns(lines[at : at + rows])}\n```{end}")
                at += rows
            else:
                out.append(self._line(lines[at]))
                at += 1
            self._at_start = out[-1].endswith("\n")
        return "".join(out)

    def _line(self, line: str) -> str:
        match = FENCE.match(line) if self._at_start else None
        if self._fence:
            if match and match[1].startswith(self._fence) and not line.strip().strip(self._fence[0]):
                self._fence = ""
        elif match:
            self._fence = match[1]
        else:
            line = _IMAGE.sub("", line)
        return _CONTROL.sub(f"<{_JOINER}", line)


def escape(text: str) -> str:
    """Text in which Slack sees no marks of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(url: str, label: str) -> str:
    """A link in Slack's form; only the label where the address is none that may be followed."""
    label = escape(" ".join(label.replace("|", "¦").split())) or escape(url)
    if not url.lower().startswith(_LINKED) or any(mark in url for mark in " \n\t"):
        return label
    return f"<{url.replace('&', '&amp;').replace('<', '%3C').replace('>', '%3E').replace('|', '%7C')}|{label}>"


def to_mrkdwn(text: str) -> str:
    """Markdown in Slack's own form, for places that take no Markdown: small print, notifications, forms, the home tab."""
    parts = (text[at : at + _STEP] for at in range(0, len(text), _STEP))
    return "\n".join(filter(None, ("\n".join(_blocks(_parser().parse(part))).strip("\n") for part in parts)))


def cut(text: str, longest: int) -> str:
    """A text on one line, cut at a word, with dots where something is left out."""
    words = " ".join(text.split())
    if len(words) <= longest:
        return words
    at = words.rfind(" ", longest // 2, longest)
    return words[: at if at > 0 else longest - 1] + "…"


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


# --- blocks


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """A line or more for each block. Lists are indented, quotes marked on each line."""
    lists: list[int | None] = []  # of each list around: the next number, or None for bullets
    quotes, heading = 0, False
    item = ""
    table: list[list[str]] = []
    for token in tokens:
        kind = token.type
        if kind in ("bullet_list_open", "ordered_list_open"):
            lists.append(int(token.attrGet("start") or 1) if kind[0] == "o" else None)
        elif kind in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
        elif kind == "list_item_open":
            number = lists[-1]
            lists[-1] = None if number is None else number + 1
            item = "    " * (len(lists) - 1) + ("• " if number is None else f"{number}. ")
        elif kind in ("blockquote_open", "blockquote_close"):
            quotes += 1 if kind.endswith("open") else -1
        elif kind in ("heading_open", "heading_close"):
            heading = kind.endswith("open")
        elif kind in ("th_open", "td_open", "tr_open"):
            table.append([]) if kind == "tr_open" else table[-1].append("")
        elif kind == "table_close":
            yield f"```\n{escape(_aligned(table))}\n```"
            table = []
        elif kind == "inline" and table:
            table[-1][-1] = _plain(token.children or [])
        elif kind in ("inline", "fence", "code_block", "hr", "html_block"):
            body = _body(token, bold=heading)
            lines = body.split("\n")
            lead = item or "    " * len(lists)
            lines = [lead + lines[0], *("    " * len(lists) + line for line in lines[1:])]
            yield "\n".join(("> " if quotes else "") + line for line in lines)
            item = ""


def _body(token: Token, *, bold: bool) -> str:
    if token.type in ("fence", "code_block"):
        return f"```\n{escape(token.content).rstrip()}\n```"
    if token.type == "hr":
        return "———"
    if token.type == "html_block":
        return escape(token.content.rstrip())
    text = _inline(token.children or [])
    return f"*{text}*" if bold and text and "*" not in text else text


# --- what stands in a line


def _inline(tokens: Sequence[Token]) -> str:
    marks = {"strong": "*", "em": "_", "s": "~"}
    out: list[str] = []
    url, label = "", ""
    depth = 0
    for at, token in enumerate(tokens):
        name = token.type.removesuffix("_open").removesuffix("_close")
        if token.type == "link_open":
            url, label, depth = str(token.attrGet("href") or ""), "", depth + 1
        elif token.type == "link_close":
            depth -= 1
            out.append(link(url, label))
        elif depth:
            label += " " if token.type in ("softbreak", "hardbreak") else token.content
        elif name in marks:
            out.append(_marked(marks[name], tokens, at))
        elif token.type == "code_inline":
            out.append(f"`{escape(token.content)}`")
        elif token.type == "image":
            out.append(link(str(token.attrGet("src") or ""), token.content or "picture"))
        elif token.type in ("softbreak", "hardbreak"):
            out.append("\n")
        else:
            out.append(escape(token.content))
    return "".join(out)


def _marked(mark: str, tokens: Sequence[Token], at: int) -> str:
    """A mark as Slack sees it only beside white space or punctuation: elsewhere a space of no width stands between."""
    if tokens[at].type.endswith("_open"):
        before = tokens[at - 1].content[-1:] if at else ""
        return f"\u200b{mark}" if _WORD.match(before) else mark
    following = tokens[at + 1].content[:1] if at + 1 < len(tokens) else ""
    return f"{mark}\u200b" if _WORD.match(following) else mark


def _plain(tokens: Sequence[Token]) -> str:
    return "".join(" " if token.type in ("softbreak", "hardbreak") else token.content for token in tokens)


# --- tables


def _table_rows(lines: Sequence[str], at: int) -> int:
    """How many lines from `at` on are a table; 0 if none begins there."""
    if at + 1 >= len(lines) or "|" not in lines[at] or "-" not in lines[at + 1] or "|" not in lines[at + 1]:
        return 0
    if not _RULE.fullmatch(lines[at + 1].rstrip("\n")):
        return 0
    rows = 2
    while at + rows < len(lines) and "|" in lines[at + rows]:
        rows += 1
    return rows


def _columns(lines: Sequence[str]) -> str:
    """The rows of a table in Markdown as text in columns."""
    rows = [_cells(line) for number, line in enumerate(lines) if number != 1]
    return _CONTROL.sub(f"<{_JOINER}", _aligned(rows)).replace("```", "'''")


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.strip().replace("\\|", "|") for cell in _PIPE.split(inner)]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    count = max((len(row) for row in rows), default=0)
    wide = [max((_width(row[n]) for row in rows if n < len(row)), default=0) for n in range(count)]
    wide = [min(width, _WIDEST) for width in wide]
    lines = []
    for row in rows:
        cells = [cell + " " * (wide[n] - _width(cell)) for n, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    return len(text) + sum(east_asian_width(char) in "WF" for char in text)
