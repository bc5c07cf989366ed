"""What is written to the store, each change in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ingest.curate import Facts, tables
from ingest.embedder import Embedded
from ingest.store import states
from ingest.store.checking import faults_of
from ingest.store.connection import connect, translated
from ingest.store.reading import Reader
from ingest.store.rows import (
    HELD,
    INFO,
    PIECE,
    STANDING,
    now,
    pack_findings,
    pack_labels,
    packed,
    place,
    read_findings,
    sentence_bytes,
)
from ingest.types import Chunk, Document, DocumentState, LedgerEntry, Quarantined, RunKind

_CHUNKS = 'document_id, start, "end", page, place, vector, sentences, findings'
_TABLES = {
    "ledger": "id, at, source, document_id, status, reason, chunks",
    "quarantine": HELD,
    "states": STANDING,
    "runs": "id, kind, began, files, ended, outcome",
}
"""What goes on in a store that takes another's place: the history, not the documents."""
_VERSION = "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'version')"
_STAGED_FINDINGS = "SELECT DISTINCT findings FROM temp.staged WHERE document_id = ? AND findings != ''"


class Store(Reader):
    """One connection to the store, guarded by a lock, so that threads may share it.

    What `add`, `remove` and `record` did is durable when they return. `version` grows with each change of a document.
    """

    _run = 0  # the number of the run that is going on

    def check(self) -> list[str]:
        """Faults in the store itself, as sentences."""
        return faults_of(self)

    def set_meta(self, **values: str) -> None:
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def stage(self, document: Document, chunks: Sequence[Chunk], embedded: Embedded, *, first: bool) -> None:
        """Put chunks of a document aside until `add` takes it in: a huge one needs no room in memory for all its vectors.

        `first` are the first ones of it; what an earlier try has left is forgotten. Nothing of this outlives the process.
        """
        with self._lock:
            try:
                # A temporary table stands in a file of its own, which SQLite takes away with the connection.
                self._db.execute(f"CREATE TEMP TABLE IF NOT EXISTS staged ({_CHUNKS})")
                self._db.execute("BEGIN")
                try:
                    if first:
                        self._db.execute("DELETE FROM temp.staged WHERE document_id = ?", (document.id,))
                    self._insert_chunks("temp.staged", document, chunks, embedded)
                finally:
                    self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise translated(error, self.path) from error

    def add(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        embedded: Embedded,
        released: Quarantined | None = None,
        *,
        staged: int = 0,
        facts: Facts | None = None,
    ) -> LedgerEntry:
        """Put a document in place of what its source had before, in one transaction; `embedded` has a row for each chunk.

        `staged` chunks that were put aside before come first. `released` is what was held back until now: this content may
        come in from here on, under any source.
        """
        own = set(document.findings).difference(*(chunk.findings for chunk in chunks))
        total = staged + len(chunks)
        with self.transaction(change=True) as db:
            if staged:
                own -= {f for row in self.rows(_STAGED_FINDINGS, document.id) for f in read_findings(str(row[0]))}
            replaced = self._drop(document.id)
            db.execute(
                f"INSERT INTO documents ({INFO}, masked, findings, labels, changed) "
                f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {_VERSION})",
                (document.id, document.source, document.title, document.media_type, total, len(document.text),
                 document.sha256, now(), document.masked, pack_findings(own), pack_labels(document.labels)),
            )  # fmt: skip
            db.executemany(
                "INSERT INTO pieces VALUES (?, ?, ?)",
                ((document.id, at // PIECE, document.text[at : at + PIECE]) for at in range(0, len(document.text), PIECE)),
            )
            db.execute("INSERT INTO blocks VALUES (?, ?)", (document.id, packed(document.blocks)))
            if staged:
                db.execute(
                    f"INSERT INTO chunks ({_CHUNKS}) SELECT {_CHUNKS} FROM temp.staged WHERE document_id = ? ORDER BY rowid",
                    (document.id,),
                )
                db.execute("DELETE FROM temp.staged WHERE document_id = ?", (document.id,))
            self._insert_chunks("chunks", document, chunks, embedded)
            if facts:
                tables.put(db, document.id, facts)
            entry = LedgerEntry(
                document.source, document.id, "replaced" if replaced else "added", "; ".join(document.notes) or None, total
            )
            # What was held back of this source waits no longer: it has been replaced, or released.
            db.execute("DELETE FROM quarantine WHERE source = ? AND state != 'released'", (document.source,))
            if released:
                self._put_in_quarantine(db, replace(released, state="released", at=now()))
            self._write_ledger(entry)
        return entry

    def _insert_chunks(self, table: str, document: Document, chunks: Sequence[Chunk], embedded: Embedded) -> None:
        vectors = embedded.passages.astype("<f2")
        self._db.executemany(
            f"INSERT INTO {table} ({_CHUNKS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    document.id,
                    chunk.start,
                    chunk.end,
                    chunk.page,
                    place(chunk),
                    vector.tobytes(),
                    sentence_bytes(sentences),
                    pack_findings(chunk.findings),
                )
                for chunk, vector, sentences in zip(chunks, vectors, embedded.sentences, strict=True)
            ),
        )

    def hold(self, held: Quarantined, entry: LedgerEntry) -> None:
        """Note a version of a document that is held back, in place of what was held of its source before."""
        with self.transaction() as db:
            self._put_in_quarantine(db, held)
            self._write_ledger(entry)

    def forget_held(self, held: Quarantined, entry: LedgerEntry | None, *, drop: bool) -> None:
        """What was held waits no longer; with `drop`, its source stays left out as long as it holds this very content."""
        with self.transaction() as db:
            if drop:
                self._put_in_quarantine(db, replace(held, state="dropped", at=now()))
            else:
                db.execute("DELETE FROM quarantine WHERE source = ? AND sha256 = ?", (held.source, held.sha256))
            if entry:
                self._write_ledger(entry)
            else:
                states.after_removal(db, held.source)

    def _put_in_quarantine(self, db: sqlite3.Connection, held: Quarantined) -> None:
        db.execute("DELETE FROM quarantine WHERE source = ? AND state != 'released'", (held.source,))
        db.execute(
            f"INSERT OR REPLACE INTO quarantine ({HELD}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (held.source, held.document_id, held.sha256, held.reason, pack_findings(held.findings), held.state,
             held.at or now()),
        )  # fmt: skip

    def remove(self, document_id: str) -> LedgerEntry:
        info = self.document(document_id)
        entry = LedgerEntry(info.source, document_id, "removed")
        with self.transaction(change=True):
            self._drop(document_id)
            self._write_ledger(entry)
        return entry

    def record(self, entries: Sequence[LedgerEntry]) -> None:
        """Ledger lines for files that changed nothing in the index. Those that say just that need not outlive a power cut."""
        with self.transaction(durable=any(entry.status != "unchanged" for entry in entries)):
            for entry in entries:
                self._write_ledger(entry)

    def forget_removed(self, ids: Iterable[int]) -> None:
        """These chunks stand in no published file any more."""
        with self.transaction(change=True) as db:
            db.executemany("DELETE FROM removed WHERE chunk_id = ?", ((i,) for i in ids))

    def replace_with(self, other: Path) -> None:
        """Take over all that another store holds, in one transaction; the version goes on rising."""
        source, _ = connect(other, write=True)
        try:
            # The history goes on in the new store; then all of it comes over at once.
            source.execute("BEGIN")
            source.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [("version", str(self.version + 1))])
            for table, columns in _TABLES.items():
                rows = self.rows(f"SELECT {columns} FROM {table} ORDER BY {columns.partition(',')[0]}")
                marks = ", ".join("?" * (columns.count(",") + 1))
                source.execute(f"DELETE FROM {table}")
                source.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
            source.executemany(
                "UPDATE documents SET added_at = ?, labels = ? WHERE id = ?",
                self.rows("SELECT added_at, labels, id FROM documents"),
            )
            source.execute("COMMIT")
            with self._lock:
                source.backup(self._db)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            source.close()

    def put_facts(self, document_id: str, facts: Facts) -> None:
        """Give a document that came in without them its facts."""
        with self.transaction(change=True) as db:
            tables.put(db, document_id, facts)
            db.execute(f"UPDATE documents SET changed = {_VERSION} WHERE id = ?", (document_id,))

    def put_labels(self, document_id: str, labels: Sequence[str]) -> None:
        """Give a document that came in before labels were read those of its file, or note that it has none."""
        with self.transaction(change=bool(labels), durable=bool(labels)) as db:
            db.execute(
                f"UPDATE documents SET labels = ?, changed = {_VERSION} WHERE id = ?", (pack_labels(labels), document_id)
            )

    def _drop(self, document_id: str) -> bool:
        tables.drop(self._db, document_id)
        self._db.execute("INSERT OR IGNORE INTO removed SELECT id FROM chunks WHERE document_id = ?", (document_id,))
        return self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,)).rowcount > 0

    # --- where documents stand

    def begin_run(self, kind: RunKind, sources: Sequence[str]) -> None:
        """All these sources wait to be taken in; what is noted from here on is of this run."""
        with self.transaction() as db:
            self._run = states.begin(db, kind, sources, len(sources))

    def grow_run(self, files: int) -> None:
        """The run is over so many files: archives among them hold others."""
        with self.transaction(durable=False) as db:
            states.grow(db, self._run, files)

    def note(self, state: DocumentState, *sources: tuple[str, int, int]) -> None:
        """These sources are in this state now, each with how many of how many chunks are done."""
        with self.transaction(durable=False) as db:
            states.note(db, self._run, state, sources)

    def end_run(self, outcome: str) -> None:
        """The run is over; what it has not done waits."""
        with self.transaction() as db:
            states.end(db, self._run, outcome)
        self._run = 0

    def forget_standing(self, sources: Sequence[str]) -> None:
        """These sources are gone, and nothing of them is here."""
        with self.transaction() as db:
            for source in sources:
                states.after_removal(db, source)

    def _write_ledger(self, entry: LedgerEntry) -> None:
        self._db.execute(
            "INSERT INTO ledger (at, source, document_id, status, reason, chunks) VALUES (?, ?, ?, ?, ?, ?)",
            (now(), entry.source, entry.document_id, entry.status, entry.reason, entry.chunks),
        )
        states.settle(self._db, self._run, entry)
