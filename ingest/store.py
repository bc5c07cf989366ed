"""SQLite: documents, their text, chunks, vectors and the ledger; the source of truth from which the rest is derived."""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ingest.curate import Facts, tables
from ingest.embedder import Embedded, Vectors
from ingest.errors import DocumentNotFound, IndexBusy, IndexDamaged, IndexMissing, IndexReadOnly, StorageFull, StoreError
from ingest.inspect import Finding
from ingest.types import Block, Chunk, Document, DocumentInfo, LedgerEntry, Quarantined, QuarantineState

SCHEMA_VERSION = 4
PIECE = 65_536  # characters; a text is kept in pieces, so that a passage of a huge document is read without the rest

_DISK_FULL = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE")
_SCALE = 127.0  # sentences' vectors only order sentences: a byte a number will do

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id TEXT PRIMARY KEY, source TEXT NOT NULL UNIQUE, title TEXT NOT NULL, media_type TEXT NOT NULL,
    chunks INTEGER NOT NULL, characters INTEGER NOT NULL, sha256 TEXT NOT NULL, added_at TEXT NOT NULL,
    masked INTEGER NOT NULL DEFAULT 0, findings TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE pieces (
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, ordinal INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (document_id, ordinal)
) WITHOUT ROWID;
CREATE TABLE blocks (
    document_id TEXT PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE, data BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER, place TEXT NOT NULL, vector BLOB NOT NULL,
    sentences BLOB NOT NULL, findings TEXT NOT NULL DEFAULT ''
);
CREATE INDEX chunks_of_document ON chunks(document_id);
CREATE TABLE removed (chunk_id INTEGER PRIMARY KEY);
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, source TEXT NOT NULL, document_id TEXT, status TEXT NOT NULL,
    reason TEXT, chunks INTEGER NOT NULL
);
"""
_QUARANTINE = """
CREATE TABLE quarantine (
    source TEXT NOT NULL, sha256 TEXT NOT NULL, document_id TEXT NOT NULL, reason TEXT NOT NULL, findings TEXT NOT NULL,
    state TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (source, sha256)
) WITHOUT ROWID;
CREATE INDEX quarantine_by_content ON quarantine(sha256);
"""
# From the schema of each version to the next: what there was before has no findings and no facts, and nothing is held back.
_MIGRATIONS = {
    1: """
ALTER TABLE documents ADD COLUMN masked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN findings TEXT NOT NULL DEFAULT '';
ALTER TABLE chunks ADD COLUMN findings TEXT NOT NULL DEFAULT '';
"""
    + _QUARANTINE,
    2: "",
    3: tables.SCHEMA,
}
_INFO = "id, source, title, media_type, chunks, characters, sha256, added_at"
_HELD = "source, document_id, sha256, reason, findings, state, at"
# The page cache outside a transaction is small; what is read often (chunks' places) fits.
_PRAGMAS = "PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000; PRAGMA cache_size = -65536;"


class Store:
    """One connection to the store, guarded by a lock, so that threads may share it.

    What `add`, `remove` and `record` did is durable when they return. `version` grows with each change of a document.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self.writable = write
        self._lock = threading.RLock()
        self._signature = _signature(path)
        self._db, self._frozen = _connect(path, write=write)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise _translated(error, path) from error

    def _prepare(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version == 0 and self.writable:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(
                f"BEGIN; {_SCHEMA} {_QUARANTINE} {tables.SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        elif version == 0:
            raise IndexMissing(f"The index {self.path.parent} is empty.", "Fill it with: ingest add PATH")
        elif version in _MIGRATIONS:
            # One that only reads takes the store as it is.
            for step in range(version, SCHEMA_VERSION) if self.writable else ():
                self._db.executescript(f"BEGIN IMMEDIATE; {_MIGRATIONS[step]} PRAGMA user_version = {step + 1}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise IndexDamaged(
                f"The store {self.path} has format {version}, this program reads format {SCHEMA_VERSION}.",
                "Use the version of rag-bot that made it, or ingest the documents again into a new folder.",
            )
        self._schema = SCHEMA_VERSION if self.writable else version
        if self.writable:
            self._db.execute("PRAGMA synchronous = FULL")  # a document reported as added survives a power cut

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _reconnect(self) -> None:
        """SQLite reads a store whose folder can't be written to as if nobody ever changed it: after a change, anew."""
        with self._lock:
            self._signature = _signature(self.path)
            former = self._db
            self._db, self._frozen = _connect(self.path, write=False)
            former.close()

    # --- reading

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read inside is of one moment, whatever another process writes meanwhile."""
        with self._lock:
            if self.writable or self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")

    def meta(self, key: str) -> str | None:
        row = self._row("SELECT value FROM meta WHERE key = ?", key)
        return str(row[0]) if row else None

    @property
    def version(self) -> int:
        if self._frozen and _signature(self.path) != self._signature:
            self._reconnect()
        if self._schema < SCHEMA_VERSION:  # until a writer has brought it up to date
            row = self._row("PRAGMA user_version")
            self._schema = int(row[0]) if row else self._schema
        return int(self.meta("version") or 0)

    @property
    def _findings(self) -> str:
        """The column of the findings; a store of the first schema has none."""
        return "findings" if self._schema > 1 else "''"

    @property
    def _infos(self) -> str:
        """What gives the rows of `_info`, of a store of any schema."""
        masked = "masked" if self._schema > 1 else "0"
        if self._schema < 4:
            return f"SELECT {_INFO}, {masked}, '', NULL, '', '' FROM documents"
        return f"SELECT {_INFO}, {masked}, {tables.COLUMNS} FROM documents LEFT JOIN curation ON document_id = id"

    @property
    def curation(self) -> tables.Curation:
        """What is known about documents and chunks beside what they say."""
        return tables.Curation(self._rows, self._schema > 3)

    def documents(self) -> list[DocumentInfo]:
        return [_info(row) for row in self._rows(f"{self._infos} ORDER BY source")]

    def document(self, document_id: str) -> DocumentInfo:
        row = self._row(f"{self._infos} WHERE id = ?", document_id)
        if row is None:
            raise DocumentNotFound(f"There is no document {document_id!r} in the index.", "`ingest list` shows what there is.")
        return _info(row)

    def find(self, source: str) -> DocumentInfo | None:
        row = self._row(f"{self._infos} WHERE source = ?", source)
        return _info(row) if row else None

    def findings(self, document_id: str) -> tuple[Finding, ...]:
        """All that inspection found in a document, in order of place."""
        own = self._rows(f"SELECT {self._findings} FROM documents WHERE id = ?", document_id)
        shared = self._rows(f"SELECT {self._findings} FROM chunks WHERE document_id = ?", document_id)
        found = {finding for row in (*own, *shared) for finding in _read_findings(str(row[0]))}
        return tuple(sorted(found, key=lambda f: (f.start, f.end, f.group, f.kind)))

    def quarantine(self, source: str | None = None) -> list[Quarantined]:
        """What was ever held back (from one source), whatever became of it, in order of source."""
        if self._schema < 2:
            return []
        where, values = ("WHERE source = ?", (source,)) if source is not None else ("", ())
        return [_quarantined(row) for row in self._rows(f"SELECT {_HELD} FROM quarantine {where} ORDER BY source, at", *values)]

    def is_released(self, sha256: str) -> bool:
        """Whether a person has said of this very content, under any source, that it may come in."""
        if self._schema < 2:
            return False
        return self._row("SELECT 1 FROM quarantine WHERE sha256 = ? AND state = 'released'", sha256) is not None

    def text(self, document_id: str, start: int = 0, end: int | None = None) -> str:
        """The characters from `start` to `end` of a document's text."""
        info = self.document(document_id)
        end = info.characters if end is None else min(end, info.characters)
        if start >= end:
            return ""
        first, last = start // PIECE, (end - 1) // PIECE
        rows = self._rows(
            "SELECT text FROM pieces WHERE document_id = ? AND ordinal BETWEEN ? AND ? ORDER BY ordinal",
            document_id, first, last,
        )  # fmt: skip
        return "".join(str(row[0]) for row in rows)[start - first * PIECE : end - first * PIECE]

    def chunks(self, ids: Sequence[int]) -> dict[int, tuple[str, Chunk]]:
        """Document id and chunk (with its text) of those of `ids` that are there."""
        found: dict[int, tuple[str, Chunk]] = {}
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            marks = ",".join("?" * len(some))
            for row in self._rows(
                f'SELECT id, document_id, start, "end", page, place, {self._findings} FROM chunks WHERE id IN ({marks})', *some
            ):
                found[int(row[0])] = str(row[1]), self._chunk(row)
        return found

    def owners(self) -> list[tuple[int, str]]:
        """(chunk id, document id) of every chunk, in order of chunk id."""
        return [(int(row[0]), str(row[1])) for row in self._rows("SELECT id, document_id FROM chunks ORDER BY id")]

    def chunks_of(self, document_id: str) -> list[Chunk]:
        """All chunks of a document, in reading order."""
        rows = self._rows(
            f'SELECT id, document_id, start, "end", page, place, {self._findings} FROM chunks '
            "WHERE document_id = ? ORDER BY start",
            document_id,
        )
        return [self._chunk(row) for row in rows]

    def parsed(self, document_id: str) -> Document:
        """The document as it was parsed, to be chunked and embedded anew."""
        info = self.document(document_id)
        row = self._row("SELECT data FROM blocks WHERE document_id = ?", document_id)
        blocks = _unpacked(bytes(row[0])) if row else ()
        text = self.text(document_id)
        findings = self.findings(document_id)
        return Document(
            info.document_id, info.source, info.title, info.media_type, info.sha256, text, blocks, findings, info.masked
        )

    def counts(self) -> tuple[int, int, int]:
        """How many documents and chunks there are, and the largest id a chunk ever had."""
        documents = self._row("SELECT count(*) FROM documents")
        chunks = self._row("SELECT count(*) FROM chunks")
        last = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")
        return int(documents[0]) if documents else 0, int(chunks[0]) if chunks else 0, int(last[0]) if last else 0

    def removed(self) -> set[int]:
        """Ids of chunks that are gone but may still stand in a published file."""
        return {int(row[0]) for row in self._rows("SELECT chunk_id FROM removed")}

    def vectors(self, after: int = 0, dimension: int = 0, batch: int = 16_384) -> Iterator[tuple[list[int], Vectors]]:
        """Ids and vectors of the chunks whose id is above `after`, in order of id, by batches."""
        while True:
            rows = self._rows("SELECT id, vector FROM chunks WHERE id > ? ORDER BY id LIMIT ?", after, batch)
            if not rows:
                return
            ids = [int(row[0]) for row in rows]
            flat = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f2").astype(np.float32)
            vectors = flat.reshape(len(ids), dimension or -1)
            yield ids, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            after = ids[-1]

    def sentence_vectors(self, ids: Sequence[int], dimension: int) -> dict[int, Vectors]:
        """The unit vectors of the sentences of some chunks, shape (sentences, dimension) each; to two digits."""
        marks = ",".join("?" * len(ids))
        rows = self._rows(f"SELECT id, sentences FROM chunks WHERE id IN ({marks})", *ids)
        return {
            int(row[0]): np.frombuffer(row[1], dtype=np.int8).astype(np.float32).reshape(-1, dimension) / _SCALE for row in rows
        }

    def looked_at(self, ids: Sequence[int], dimension: int) -> dict[int, tuple[Vectors, Vectors, int]]:
        """Of each chunk that is there: its vector, those of its sentences (to two digits), and its characters."""
        found: dict[int, tuple[Vectors, Vectors, int]] = {}
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            marks = ",".join("?" * len(some))
            for i, vector, sentences, characters in self._rows(
                f'SELECT id, vector, sentences, "end" - start FROM chunks WHERE id IN ({marks})', *some
            ):
                rows = np.frombuffer(sentences, dtype=np.int8).astype(np.float32).reshape(-1, dimension) / _SCALE
                found[int(i)] = np.frombuffer(vector, dtype="<f2").astype(np.float32), rows, int(characters)
        return found

    def keyword_rows(self, after: int = 0, batch: int = 2_000) -> Iterator[tuple[int, str, str, Chunk]]:
        """Id, document title, document id and chunk of the chunks whose id is above `after`, in order of id."""
        while True:
            rows = self._rows(
                'SELECT c.id, c.document_id, c.start, c."end", c.page, c.place, \'\', d.title FROM chunks c '
                "JOIN documents d ON d.id = c.document_id WHERE c.id > ? ORDER BY c.id LIMIT ?",
                after, batch,
            )  # fmt: skip
            if not rows:
                return
            for row in rows:
                yield int(row[0]), str(row[7]), str(row[1]), self._chunk(row)
            after = int(rows[-1][0])

    def ledger(self, limit: int = 1000) -> list[LedgerEntry]:
        """The latest ledger lines, newest first."""
        rows = self._rows("SELECT source, document_id, status, reason, chunks FROM ledger ORDER BY id DESC LIMIT ?", limit)
        return [LedgerEntry(*row) for row in rows]

    def check(self) -> list[str]:
        """Faults in the store itself: damaged pages, broken links between tables, chunks off their place."""
        faults = [f"The store: {row[0]}." for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        faults += [f"The store: a row of {row[0]} belongs to no {row[2]}." for row in self._rows("PRAGMA foreign_key_check")]
        query = (
            'SELECT d.id, d.chunks, d.characters, count(c.id), coalesce(max(c."end"), 0), '
            "(SELECT coalesce(sum(length(text)), 0) FROM pieces p WHERE p.document_id = d.id) "
            "FROM documents d LEFT JOIN chunks c ON c.document_id = d.id GROUP BY d.id"
        )
        for document_id, chunks, characters, found, last, length in self._rows(query):
            if chunks != found:
                faults.append(f"Document {document_id} has {found} chunks of {chunks}.")
            if characters != length or last > characters:
                faults.append(f"Document {document_id} has {length} characters of {characters}.")
        return faults + self._faulty_findings() + self._faulty_quarantine()

    def _faulty_findings(self) -> list[str]:
        """Findings that can't be read, or stand where the document has no text."""
        if self._schema < 2:
            return []
        faults = []
        rows = self._rows(
            "SELECT id, characters, findings FROM documents WHERE findings != '' UNION ALL "
            "SELECT d.id, d.characters, c.findings FROM chunks c JOIN documents d ON d.id = c.document_id "
            "WHERE c.findings != ''"
        )
        for document_id, characters, packed in rows:
            try:
                whole = all(0 <= f.start <= f.end <= characters for f in _read_findings(packed))
            except (ValueError, TypeError):
                whole = False
            if not whole:
                faults.append(f"Document {document_id} has findings that are damaged.")
        return list(dict.fromkeys(faults))

    def _faulty_quarantine(self) -> list[str]:
        try:
            self.quarantine()
        except (ValueError, TypeError):
            return ["The quarantine is damaged."]
        return []

    # --- writing

    def set_meta(self, **values: str) -> None:
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def add(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        embedded: Embedded,
        released: Quarantined | None = None,
        facts: Facts | None = None,
    ) -> LedgerEntry:
        """Put a document in place of what its source had before, in one transaction; `embedded` has a row for each chunk.

        `released` is what was held back until now: this content may come in from here on, under any source.
        """
        vectors = embedded.passages.astype("<f2")
        own = set(document.findings).difference(*(chunk.findings for chunk in chunks))
        with self._transaction(change=True) as db:
            replaced = self._drop(document.id)
            db.execute(
                f"INSERT INTO documents ({_INFO}, masked, findings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (document.id, document.source, document.title, document.media_type, len(chunks), len(document.text),
                 document.sha256, _now(), document.masked, _pack_findings(own)),
            )  # fmt: skip
            db.executemany(
                "INSERT INTO pieces VALUES (?, ?, ?)",
                ((document.id, at // PIECE, document.text[at : at + PIECE]) for at in range(0, len(document.text), PIECE)),
            )
            db.execute("INSERT INTO blocks VALUES (?, ?)", (document.id, _packed(document.blocks)))
            db.executemany(
                'INSERT INTO chunks (document_id, start, "end", page, place, vector, sentences, findings) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        document.id,
                        chunk.start,
                        chunk.end,
                        chunk.page,
                        _place(chunk),
                        vector.tobytes(),
                        _bytes(sentences),
                        _pack_findings(chunk.findings),
                    )
                    for chunk, vector, sentences in zip(chunks, vectors, embedded.sentences, strict=True)
                ),
            )
            if facts:
                tables.put(db, document.id, facts)
            entry = LedgerEntry(document.source, document.id, "replaced" if replaced else "added", None, len(chunks))
            self._write_ledger(entry)
            # What was held back of this source waits no longer: it has been replaced, or released.
            db.execute("DELETE FROM quarantine WHERE source = ? AND state != 'released'", (document.source,))
            if released:
                self._put_in_quarantine(db, replace(released, state="released", at=_now()))
        return entry

    def put_facts(self, document_id: str, facts: Facts) -> None:
        """Give a document that came in without them its facts."""
        with self._transaction(change=True) as db:
            tables.put(db, document_id, facts)

    def hold(self, held: Quarantined, entry: LedgerEntry) -> None:
        """Note a version of a document that is held back, in place of what was held of its source before."""
        with self._transaction() as db:
            self._put_in_quarantine(db, held)
            self._write_ledger(entry)

    def forget_held(self, held: Quarantined, entry: LedgerEntry | None, *, drop: bool) -> None:
        """What was held waits no longer; with `drop`, its source stays left out as long as it holds this very content."""
        with self._transaction() as db:
            if drop:
                self._put_in_quarantine(db, replace(held, state="dropped", at=_now()))
            else:
                db.execute("DELETE FROM quarantine WHERE source = ? AND sha256 = ?", (held.source, held.sha256))
            if entry:
                self._write_ledger(entry)

    def _put_in_quarantine(self, db: sqlite3.Connection, held: Quarantined) -> None:
        db.execute("DELETE FROM quarantine WHERE source = ? AND state != 'released'", (held.source,))
        db.execute(
            f"INSERT OR REPLACE INTO quarantine ({_HELD}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (held.source, held.document_id, held.sha256, held.reason, _pack_findings(held.findings), held.state,
             held.at or _now()),
        )  # fmt: skip

    def remove(self, document_id: str) -> LedgerEntry:
        info = self.document(document_id)
        entry = LedgerEntry(info.source, document_id, "removed")
        with self._transaction(change=True):
            self._drop(document_id)
            self._write_ledger(entry)
        return entry

    def record(self, entries: Iterable[LedgerEntry]) -> None:
        """Ledger lines for files that changed nothing in the index."""
        with self._transaction():
            for entry in entries:
                self._write_ledger(entry)

    def forget_removed(self, ids: Iterable[int]) -> None:
        """These chunks stand in no published file any more."""
        with self._transaction(change=True) as db:
            db.executemany("DELETE FROM removed WHERE chunk_id = ?", ((i,) for i in ids))

    def replace_with(self, other: Path) -> None:
        """Take over all that another store holds, in one transaction; the version goes on rising."""
        source, _ = _connect(other, write=True)
        try:
            # The history goes on in the new store; then all of it comes over at once.
            source.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [("version", str(self.version + 1))])
            source.execute("DELETE FROM ledger")
            history = self._rows("SELECT at, source, document_id, status, reason, chunks FROM ledger ORDER BY id")
            source.executemany(
                "INSERT INTO ledger (at, source, document_id, status, reason, chunks) VALUES (?, ?, ?, ?, ?, ?)", history
            )
            source.executemany(
                "UPDATE documents SET added_at = ? WHERE id = ?", self._rows("SELECT added_at, id FROM documents")
            )
            source.execute("DELETE FROM quarantine")
            source.executemany(
                f"INSERT INTO quarantine ({_HELD}) VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows(f"SELECT {_HELD} FROM quarantine")
            )
            with self._lock:
                source.backup(self._db)
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error
        finally:
            source.close()

    def _drop(self, document_id: str) -> bool:
        tables.drop(self._db, document_id)
        self._db.execute("INSERT OR IGNORE INTO removed SELECT id FROM chunks WHERE document_id = ?", (document_id,))
        return self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,)).rowcount > 0

    def _write_ledger(self, entry: LedgerEntry) -> None:
        self._db.execute(
            "INSERT INTO ledger (at, source, document_id, status, reason, chunks) VALUES (?, ?, ?, ?, ?, ?)",
            (_now(), entry.source, entry.document_id, entry.status, entry.reason, entry.chunks),
        )

    @contextmanager
    def _transaction(self, *, change: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    if change:
                        self._db.execute(
                            "INSERT INTO meta VALUES ('version', '1') "
                            "ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
                        )
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error

    def _chunk(self, row: Sequence[object]) -> Chunk:
        chunk_id, document_id, start, end, page, place, findings = row[:7]
        heading, pages, header = json.loads(str(place))
        return Chunk(
            start=int(str(start)),
            end=int(str(end)),
            text=self.text(str(document_id), int(str(start)), int(str(end))),
            heading=tuple(heading),
            page=None if page is None else int(str(page)),
            pages=tuple((offset, number) for offset, number in pages),
            kind="table" if header else "text",
            header=(header[0], header[1]) if header else None,
            id=int(str(chunk_id)),
            findings=_read_findings(str(findings)),
        )

    def _rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error

    def _row(self, sql: str, *values: object) -> sqlite3.Row | None:
        rows = self._rows(sql, *values)
        return rows[0] if rows else None


def _bytes(vectors: Vectors) -> bytes:
    return np.round(vectors * _SCALE).astype(np.int8).tobytes()


def _place(chunk: Chunk) -> str:
    return json.dumps([chunk.heading, chunk.pages, chunk.header], ensure_ascii=False, separators=(",", ":"))


def _info(row: Sequence[Any]) -> DocumentInfo:
    return replace(DocumentInfo(*row), masked=bool(row[8]))


def _quarantined(row: Sequence[Any]) -> Quarantined:
    source, document_id, sha256, reason, findings, state, at = row
    if state not in get_args(QuarantineState):
        raise ValueError(f"{state!r} is no state of the quarantine")
    return Quarantined(source, document_id, sha256, reason, _read_findings(findings), state, at)


def _pack_findings(findings: Iterable[Finding]) -> str:
    rows = [[f.group, f.kind, f.start, f.end, round(f.score, 3), f.note] for f in findings]
    return json.dumps(sorted(rows), ensure_ascii=False, separators=(",", ":")) if rows else ""


def _read_findings(packed: str) -> tuple[Finding, ...]:
    rows = json.loads(packed) if packed else []
    return tuple(sorted((Finding(*row) for row in rows), key=lambda f: (f.start, f.end)))


def _packed(blocks: Sequence[Block]) -> bytes:
    rows = [[b.kind, b.start, b.end, b.page, b.heading, b.header] for b in blocks]
    return zlib.compress(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode(), 1)


def _unpacked(data: bytes) -> tuple[Block, ...]:
    rows = json.loads(zlib.decompress(data))
    return tuple(
        Block(kind, start, end, page, tuple(heading), (header[0], header[1]) if header else None)
        for kind, start, end, page, heading, header in rows
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _signature(path: Path) -> tuple[tuple[int, int], ...]:
    """What differs once a store was changed: time and size of its files."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists())


def _connect(path: Path, *, write: bool) -> tuple[sqlite3.Connection, bool]:
    """Open for writing; or for reading, also where the folder itself can't be written to (then the second is True)."""
    modes = ["mode=rwc"] if write else ["mode=ro", "immutable=1"]
    uri = path.absolute().as_uri()
    for mode in modes:
        db = sqlite3.connect(f"{uri}?{mode}", uri=True, isolation_level=None, check_same_thread=False)
        try:
            db.executescript(_PRAGMAS)
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            db.close()
            # Only where the folder can't be written to; and what stands in a write-ahead log would be passed over.
            name = getattr(error, "sqlite_errorname", "") or ""
            log = path.with_name(f"{path.name}-wal")
            frozen = name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) and not (log.exists() and log.stat().st_size)
            if mode == modes[-1] or not frozen:
                raise _translated(error, path) from error
        else:
            return db, mode == "immutable=1"
    raise AssertionError("unreachable")


def _translated(error: sqlite3.Error, path: Path) -> StoreError:
    """SQLite's error as one of ours, by its code."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        return IndexBusy(f"The store {path} is being written to.", "Try again in a moment.")
    if name == "SQLITE_FULL" or name in _DISK_FULL:
        return StorageFull(f"The disk is full: {path} could not be written.", "Free some space and run the same command again.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return IndexReadOnly(f"The store {path} can't be opened for this: {error}.", "Check the folder's permissions.")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return IndexDamaged(
            f"The store {path} is damaged: {error}.",
            "Restore the whole folder from a copy, or ingest the documents again into a new one.",
        )
    return StoreError(f"The store {path} can't be used: {error}.", "Try again; if it stays so, check the disk.")
