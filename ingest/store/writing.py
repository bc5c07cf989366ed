"""What is written to the store, each change in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ingest.embedder import Embedded
from ingest.store.checking import faults_of
from ingest.store.connection import connect, translated
from ingest.store.reading import Reader
from ingest.store.rows import HELD, INFO, PIECE, now, pack_findings, packed, place, sentence_bytes
from ingest.types import Chunk, Document, LedgerEntry, Quarantined


class Store(Reader):
    """One connection to the store, guarded by a lock, so that threads may share it.

    What `add`, `remove` and `record` did is durable when they return. `version` grows with each change of a document.
    """

    def check(self) -> list[str]:
        """Faults in the store itself, as sentences."""
        return faults_of(self)

    def set_meta(self, **values: str) -> None:
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def add(
        self, document: Document, chunks: Sequence[Chunk], embedded: Embedded, released: Quarantined | None = None
    ) -> LedgerEntry:
        """Put a document in place of what its source had before, in one transaction; `embedded` has a row for each chunk.

        `released` is what was held back until now: this content may come in from here on, under any source.
        """
        vectors = embedded.passages.astype("<f2")
        own = set(document.findings).difference(*(chunk.findings for chunk in chunks))
        with self.transaction(change=True) as db:
            replaced = self._drop(document.id)
            db.execute(
                f"INSERT INTO documents ({INFO}, masked, findings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (document.id, document.source, document.title, document.media_type, len(chunks), len(document.text),
                 document.sha256, now(), document.masked, pack_findings(own)),
            )  # fmt: skip
            db.executemany(
                "INSERT INTO pieces VALUES (?, ?, ?)",
                ((document.id, at // PIECE, document.text[at : at + PIECE]) for at in range(0, len(document.text), PIECE)),
            )
            db.execute("INSERT INTO blocks VALUES (?, ?)", (document.id, packed(document.blocks)))
            db.executemany(
                'INSERT INTO chunks (document_id, start, "end", page, place, vector, sentences, findings) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
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
            entry = LedgerEntry(document.source, document.id, "replaced" if replaced else "added", None, len(chunks))
            self._write_ledger(entry)
            # What was held back of this source waits no longer: it has been replaced, or released.
            db.execute("DELETE FROM quarantine WHERE source = ? AND state != 'released'", (document.source,))
            if released:
                self._put_in_quarantine(db, replace(released, state="released", at=now()))
        return entry

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

    def record(self, entries: Iterable[LedgerEntry]) -> None:
        """Ledger lines for files that changed nothing in the index."""
        with self.transaction():
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
            source.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [("version", str(self.version + 1))])
            source.execute("DELETE FROM ledger")
            history = self.rows("SELECT at, source, document_id, status, reason, chunks FROM ledger ORDER BY id")
            source.executemany(
                "INSERT INTO ledger (at, source, document_id, status, reason, chunks) VALUES (?, ?, ?, ?, ?, ?)", history
            )
            source.executemany(
                "UPDATE documents SET added_at = ? WHERE id = ?", self.rows("SELECT added_at, id FROM documents")
            )
            source.execute("DELETE FROM quarantine")
            source.executemany(
                f"INSERT INTO quarantine ({HELD}) VALUES (?, ?, ?, ?, ?, ?, ?)", self.rows(f"SELECT {HELD} FROM quarantine")
            )
            with self._lock:
                source.backup(self._db)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            source.close()

    def _drop(self, document_id: str) -> bool:
        self._db.execute("INSERT OR IGNORE INTO removed SELECT id FROM chunks WHERE document_id = ?", (document_id,))
        return self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,)).rowcount > 0

    def _write_ledger(self, entry: LedgerEntry) -> None:
        self._db.execute(
            "INSERT INTO ledger (at, source, document_id, status, reason, chunks) VALUES (?, ?, ?, ?, ?, ?)",
            (now(), entry.source, entry.document_id, entry.status, entry.reason, entry.chunks),
        )
