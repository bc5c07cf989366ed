"""Vectors of texts kept between runs, text by text: what is cut otherwise, or stopped half-way, embeds only what is new."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from ingest.embedder import Embedded, Embedder, Vectors
from ingest.types import Span

FOLDER = Path(os.environ.get("RAG_BOT_BENCH_CACHE", ".cache/benchmarks"))
_STEP = 1024  # texts embedded and kept at a time: enough to sort by length

Row = tuple[bytes, bytes]


def embed(texts: Sequence[str], spans: Sequence[Sequence[Span]], embedder: Embedder, name: str) -> Embedded:
    """As `Embedder.embed_passages`, from the cache where the same was embedded before; in float16, as an index stores it."""
    keys = [_key(embedder, text, some) for text, some in zip(texts, spans, strict=True)]
    with closing(_open()) as db:
        known = _known(db, keys)
        missing = list({key: at for at, key in enumerate(keys) if key not in known}.values())
        for at in range(0, len(missing), _STEP):
            some = missing[at : at + _STEP]
            made = embedder.embed_passages([texts[i] for i in some], [spans[i] for i in some])
            rows = {keys[i]: (_bytes(made.passages[n]), _bytes(made.sentences[n])) for n, i in enumerate(some)}
            with db:
                db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", ((key, *row) for key, row in rows.items()))
            known |= rows
            print(f"\r{name}: {at + len(some):,} of {len(missing):,} texts embedded", end="", file=sys.stderr, flush=True)
        if missing:
            print(file=sys.stderr)
    passages = [_vectors(known[key][0], embedder.dimension)[0] for key in keys]
    return Embedded(np.stack(passages), tuple(_vectors(known[key][1], embedder.dimension) for key in keys))


def embed_questions(questions: Sequence[str], embedder: Embedder, name: str) -> Vectors:
    """The questions' vectors, from the cache where the same questions were embedded before."""
    path = FOLDER / f"{name}-{hashlib.sha256(chr(0).join([embedder.fingerprint, *questions]).encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, embedder.embed_queries(questions))
    vectors: Vectors = np.load(path)
    return vectors


def _open() -> sqlite3.Connection:
    FOLDER.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(FOLDER / "vectors.sqlite3", timeout=60)
    db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, passage BLOB, sentences BLOB) WITHOUT ROWID")
    return db


def _known(db: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Row]:
    found: dict[bytes, Row] = {}
    for at in range(0, len(keys), 500):
        some = keys[at : at + 500]
        marks = ",".join("?" * len(some))
        rows = db.execute(f"SELECT key, passage, sentences FROM vectors WHERE key IN ({marks})", some)
        found.update((key, (passage, sentences)) for key, passage, sentences in rows)
    return found


def _key(embedder: Embedder, text: str, spans: Sequence[Span]) -> bytes:
    places = [list(span) for span in spans]
    return hashlib.sha256(f"{embedder.fingerprint}\0{places}\0{text}".encode()).digest()[:16]


def _bytes(vectors: Vectors) -> bytes:
    return vectors.astype("<f2").tobytes()


def _vectors(data: bytes, dimension: int) -> Vectors:
    return np.frombuffer(data, dtype="<f2").astype(np.float32).reshape(-1, dimension)
