"""Text cut into pieces that a message holds: at sentences, with blocks of code left whole wherever they fit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest import sentences

FENCE = re.compile(r" {0,3}(`{3,16}(?!`)(?=[^`]*\Z)|~{3,16}(?!~))")
"""What a line that opens or closes a block of code begins with."""

_MARKS = re.compile(r"(?:\[\d{1,3}\][ \t]*)*\n?")


def split(text: str, limit: int) -> list[str]:
    """Pieces of at most `limit` characters (64 at least); together they have every character but white space.

    A block of code that is longer than a piece is cut at its lines, and each part is fenced as the whole was.
    """
    pieces: list[str] = []
    piece = ""
    for token in _tokens(text):
        if len(piece) + len(token.rstrip()) <= limit:
            piece += token
            continue
        if piece.strip():
            pieces.append(piece.strip("\n").rstrip())
        piece = token
        if len(token.rstrip()) > limit:
            *full, piece = _cut(token, limit)
            pieces += full
    if piece.strip():
        pieces.append(piece.strip("\n").rstrip())
    return pieces


def _tokens(text: str) -> Iterator[str]:
    """Blocks of code, and sentences with the white space after them; joined they are the text (a fence left open is closed)."""
    plain: list[str] = []
    code: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        match = FENCE.match(line)
        if fence:
            code.append(line)
            if match and match[1].startswith(fence) and not line.strip().strip(fence[0]):
                yield "".join(code)
                code, fence = [], ""
        elif match:
            yield from _sentences("".join(plain))
            plain, code, fence = [], [line], match[1]
        else:
            plain.append(line)
    if fence:
        yield "".join(code).rstrip("\n") + f"\n{fence}\n"
    yield from _sentences("".join(plain))


def _sentences(text: str) -> Iterator[str]:
    begins = [start for start, _ in sentences.split(text)]
    if not begins:
        if text:
            yield text
        return
    # A mark after a full stop, like [1], belongs to the sentence before it.
    begins = [0, *(_MARKS.match(text, at).end() for at in begins[1:])]  # type: ignore[union-attr]
    for start, end in zip(begins, [*begins[1:], len(text)], strict=True):
        yield text[start:end]


def _cut(token: str, limit: int) -> list[str]:
    first, _, rest = token.partition("\n")
    match = FENCE.match(first)
    if match and rest.rstrip().endswith(match[1]):
        first = first if len(first) <= limit // 3 else match[1]
        body = rest.rstrip()[: -len(match[1])].rstrip("\n")
        return [f"{first}\n{part}\n{match[1]}" for part in _lines(body, limit - len(first) - len(match[1]) - 2)]
    return list(_words(token, limit))


def _lines(body: str, limit: int) -> Iterator[str]:
    part: list[str] = []
    size = 0
    for line in body.split("\n"):
        while len(line) > limit:  # a line that is too long is cut anywhere
            if part:
                yield "\n".join(part)
                part, size = [], 0
            yield line[:limit]
            line = line[limit:]
        if part and size + len(line) + 1 > limit:
            yield "\n".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line) + (1 if len(part) > 1 else 0)
    yield "\n".join(part)


def _words(text: str, limit: int) -> Iterator[str]:
    text = text.strip("\n").rstrip()
    while len(text) > limit:
        at = max(text.rfind(" ", 1, limit + 1), text.rfind("\n", 1, limit + 1))
        at = at if at > limit // 2 else limit
        yield text[:at].rstrip()
        text = text[at:].lstrip()
    yield text
