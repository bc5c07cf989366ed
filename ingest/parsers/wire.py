"""How the parser's child process and its parent talk: a length, a JSON header, and bytes; nothing that could run code."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

from ingest import errors
from ingest.errors import DocumentError, TooLarge
from ingest.labels import labels_of
from ingest.places import pack_places, read_places
from ingest.types import Block, Hidden, Member, PagePlaces, Parsed, Unpacked, Wanted

LENGTHS = struct.Struct(">QQ")
_ERRORS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, DocumentError)}
_MIB = 1024 * 1024
_BLOCK_KINDS = ("heading", "text", "table")

Header = dict[str, Any]


def message(header: Header, body: bytes = b"") -> list[bytes]:
    """One message, in parts to be written one after another."""
    encoded = json.dumps(header, separators=(",", ":")).encode("ascii")
    return [LENGTHS.pack(len(encoded), len(body)), encoded, body]


def send(stream: BinaryIO, header: Header, body: bytes = b"") -> None:
    """Write one message."""
    for part in message(header, body):
        stream.write(part)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Header, bytes]:
    """Read one message; EOFError where the other side is gone, ValueError where it talks nonsense."""
    header_length, body_length = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
    return header_of(_exactly(stream, header_length)), _exactly(stream, body_length)


def header_of(encoded: bytes) -> Header:
    """The header of a message; ValueError where it is none."""
    try:
        header = json.loads(encoded)
    except RecursionError as error:
        raise ValueError("a header that nests too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("a message without a header")
    return header


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
        "notes": parsed.notes, "labels": parsed.labels,
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
    labels = labels_of(map(str, header["labels"]))
    return Parsed(str(header["title"]), text, str(header["media_type"]), tuple(blocks), tuple(hidden), notes, labels)


def pack_wanted(wanted: Sequence[Wanted]) -> list[list[object]]:
    """What is to be found on pages, as part of a request."""
    return [[one.page, one.text, one.start, one.end] for one in wanted]


def unpack_wanted(wanted: list[Any]) -> list[Wanted]:
    """What a request wants to be found."""
    return [Wanted(*one) for one in wanted]


def pack_pages(places: Sequence[PagePlaces]) -> Header:
    """Places on pages as a message."""
    return {"places": [[one.page, one.width, one.height, one.boxes] for one in places]}


def unpack_pages(header: Header, _: bytes = b"") -> list[PagePlaces]:
    """The places in a message; ValueError, KeyError or TypeError where they are none."""
    places = []
    for page, width, height, boxes in header["places"]:
        numbers = tuple((float(left), float(top), float(right), float(bottom)) for left, top, right, bottom in boxes)
        if not all(math.isfinite(number) for number in (width, height, *(side for box in numbers for side in box))):
            raise ValueError("a place that is nowhere")
        places.append(PagePlaces(int(page), float(width), float(height), numbers))
    return places


def pack_unpacked(unpacked: Unpacked | None) -> tuple[Header, bytes]:
    """What an archive holds as a message: the members' bytes one after another, their names and lengths before them."""
    if unpacked is None:
        return {"members": None}, b""
    members = [[one.name, None if one.data is None else len(one.data), one.error] for one in unpacked.members]
    header = {"members": members, "following": unpacked.following, "document": unpacked.is_document}
    return header, b"".join(one.data for one in unpacked.members if one.data is not None)


def unpack_unpacked(header: Header, body: bytes) -> Unpacked | None:
    """The members in a message; ValueError, KeyError or TypeError where it is none."""
    if header["members"] is None:
        return None
    members, reached = [], 0
    for name, length, error in header["members"]:
        if length is None:
            members.append(Member(str(name), None, str(error)))
            continue
        if not 0 <= length <= len(body) - reached:
            raise ValueError(f"a member of {length} bytes in an answer of {len(body)}")
        members.append(Member(str(name), body[reached : reached + length]))
        reached += length
    following = header["following"]
    return Unpacked(tuple(members), None if following is None else int(following), bool(header["document"]))


def pack_error(error: DocumentError) -> Header:
    """A refusal as a message."""
    return {"error": type(error).__name__, "message": str(error), "hint": error.hint}


def unpack_error(header: Header) -> DocumentError:
    """The refusal in a message."""
    return _ERRORS.get(str(header["error"]), DocumentError)(str(header["message"]), str(header.get("hint", "")))


def too_much(size: int, limit_mb: int) -> TooLarge:
    """The refusal of a file that makes an answer of `size` bytes."""
    message = f"makes {size // _MIB:,} MB of text, more than the {limit_mb:,} MB that are allowed"
    return TooLarge(message, hint="Raise RAG_BOT_PARSE_OUTPUT_MB, or split the file.")
