"""How the parser's child process and its parent talk: a length, a JSON header, and bytes; nothing that could run code."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

from ingest import errors
from ingest.errors import DocumentError
from ingest.places import pack_places, read_places
from ingest.types import Block, Hidden, PagePlaces, Parsed, Wanted

_LENGTHS = struct.Struct(">QQ")
_ERRORS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, DocumentError)}
_BLOCK_KINDS = ("heading", "text", "table")

Header = dict[str, Any]


def send(stream: BinaryIO, header: Header, body: bytes = b"") -> None:
    """Write one message."""
    encoded = json.dumps(header, separators=(",", ":")).encode("ascii")
    stream.write(_LENGTHS.pack(len(encoded), len(body)))
    stream.write(encoded)
    stream.write(body)
    stream.flush()


def receive(stream: BinaryIO, limit: int | None = None) -> tuple[Header, bytes]:
    """Read one message; EOFError where the other side is gone, ValueError where it talks nonsense or past `limit` bytes."""
    header_length, body_length = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if limit is not None and header_length + body_length > limit:
        raise ValueError(f"a message of {header_length + body_length} bytes, more than {limit}")
    header = json.loads(_exactly(stream, header_length))
    if not isinstance(header, dict):
        raise ValueError("a message without a header")
    return header, _exactly(stream, body_length)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def pack_parsed(parsed: Parsed) -> tuple[Header, bytes]:
    """A parsed document as a message; the paths of headings, which blocks share, are sent once each."""
    paths: dict[tuple[str, ...], int] = {}
    blocks = [
        [
            _BLOCK_KINDS.index(b.kind),
            b.start,
            b.end,
            b.page,
            paths.setdefault(b.heading, len(paths)),
            b.header,
            pack_places(b.places),
        ]
        for b in parsed.blocks
    ]
    hidden = [[h.kind, h.start, h.end, h.sure, h.page, h.beside] for h in parsed.hidden]
    header = {
        "title": parsed.title, "media_type": parsed.media_type, "paths": list(paths), "blocks": blocks, "hidden": hidden,
        "notes": parsed.notes,
    }  # fmt: skip
    return header, parsed.text.encode()


def unpack_parsed(header: Header, body: bytes) -> Parsed:
    """The parsed document in a message; ValueError, KeyError or TypeError where it is not one."""
    text = body.decode()
    paths = [tuple(str(words) for words in path) for path in header["paths"]]
    blocks = []
    reached = 0
    for kind, start, end, page, path, span, places in header["blocks"]:
        if not reached <= start < end <= len(text):
            raise ValueError(f"a block from {start} to {end} in a text of {len(text)}")
        reached = end
        top = None if span is None else (span[0], span[1])
        blocks.append(Block(_BLOCK_KINDS[kind], start, end, page, paths[path], top, read_places(places)))  # type: ignore[arg-type]
    hidden = []
    for way, start, end, sure, page, beside in header["hidden"]:
        if not 0 <= start <= end <= len(text):
            raise ValueError(f"something hidden from {start} to {end} in a text of {len(text)}")
        hidden.append(Hidden(str(way), start, end, bool(sure), page, str(beside)))
    notes = tuple(str(note) for note in header["notes"])
    return Parsed(str(header["title"]), text, str(header["media_type"]), tuple(blocks), tuple(hidden), notes)


def pack_wanted(wanted: Sequence[Wanted]) -> Header:
    """What is to be found on pages, as part of a request."""
    return {"wanted": [[one.page, one.text, one.start, one.end] for one in wanted]}


def unpack_wanted(header: Header) -> list[Wanted]:
    """What a request wants to be found."""
    return [Wanted(*one) for one in header["wanted"]]


def pack_pages(places: Sequence[PagePlaces]) -> Header:
    """Places on pages as a message."""
    return {"places": [[one.page, one.width, one.height, one.boxes] for one in places]}


def unpack_pages(header: Header) -> list[PagePlaces]:
    """The places in a message; ValueError, KeyError or TypeError where they are none."""
    return [
        PagePlaces(
            int(page), float(width), float(height), tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in boxes)
        )
        for page, width, height, boxes in header["places"]
    ]


def pack_error(error: DocumentError) -> Header:
    """A refusal as a message."""
    return {"error": type(error).__name__, "message": str(error), "hint": error.hint}


def unpack_error(header: Header) -> DocumentError:
    """The refusal in a message."""
    return _ERRORS.get(str(header["error"]), DocumentError)(str(header["message"]), str(header.get("hint", "")))
