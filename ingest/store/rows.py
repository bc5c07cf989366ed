"""How things stand in the store's rows: what is packed into a column, and what is read from one."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from ingest.embedder import Vectors
from ingest.inspect import Finding
from ingest.places import pack_places, read_places
from ingest.types import Block, Chunk, DocumentInfo, Quarantined, QuarantineState

PIECE = 65_536  # characters; a text is kept in pieces, so that a passage of a huge document is read without the rest
SCALE = 127.0  # sentences' vectors only order sentences: a byte a number will do
INFO = "id, source, title, media_type, chunks, characters, sha256, added_at"
STANDING = "source, state, reason, at, run, chunks_done, chunks_total"
HELD = "source, document_id, sha256, reason, findings, state, at"


def sentence_bytes(vectors: Vectors) -> bytes:
    return np.round(vectors * SCALE).astype(np.int8).tobytes()


def place(chunk: Chunk) -> str:
    place = [chunk.heading, chunk.pages, chunk.header, *([pack_places(chunk.places)] if chunk.places else [])]
    return json.dumps(place, ensure_ascii=False, separators=(",", ":"))


def info_of(row: Sequence[Any]) -> DocumentInfo:
    return DocumentInfo(*(*row[:8], bool(row[8]), *row[9:13], read_labels(row[13])))


def pack_labels(labels: Sequence[str]) -> str:
    return "\n".join(labels)  # none has a line break in it


@lru_cache(4096)
def read_labels(packed: str | None) -> tuple[str, ...]:
    return tuple(packed.split("\n")) if packed else ()


def quarantined_of(row: Sequence[Any]) -> Quarantined:
    source, document_id, sha256, reason, findings, state, at = row
    if state not in get_args(QuarantineState):
        raise ValueError(f"{state!r} is no state of the quarantine")
    return Quarantined(source, document_id, sha256, reason, read_findings(findings), state, at)


def pack_findings(findings: Iterable[Finding]) -> str:
    rows = [[f.group, f.kind, f.start, f.end, round(f.score, 3), f.note] for f in findings]
    return json.dumps(sorted(rows), ensure_ascii=False, separators=(",", ":")) if rows else ""


def read_findings(packed: str) -> tuple[Finding, ...]:
    rows = json.loads(packed) if packed else []
    return tuple(sorted((Finding(*row) for row in rows), key=lambda f: (f.start, f.end)))


def packed(blocks: Sequence[Block]) -> bytes:
    rows = [
        [b.kind, b.start, b.end, b.page, b.heading, b.header, *([pack_places(b.places)] if b.places else [])] for b in blocks
    ]
    return zlib.compress(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode(), 1)


def unpacked(data: bytes) -> tuple[Block, ...]:
    rows = json.loads(zlib.decompress(data))
    return tuple(
        Block(
            kind,
            start,
            end,
            page,
            tuple(heading),
            (header[0], header[1]) if header else None,
            read_places(*places) if places else (),
        )
        for kind, start, end, page, heading, header, *places in rows
    )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
