"""Where every document stands, kept in the store: what the tables of states and runs are told, in whoever's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ingest.store.rows import now
from ingest.types import DocumentState, LedgerEntry

_PUT = (
    "INSERT INTO states (source, state, reason, at, run, chunks_done, chunks_total) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (source) DO UPDATE SET state = excluded.state, reason = excluded.reason, at = excluded.at, "
    "run = excluded.run, chunks_done = excluded.chunks_done, chunks_total = excluded.chunks_total"
)
_WAIT_AGAIN = "UPDATE states SET state = 'queued', chunks_done = 0, chunks_total = 0 WHERE state IN ('parsing', 'embedding')"
_OUTCOMES: dict[str, DocumentState] = {
    "added": "done",
    "replaced": "done",
    "unchanged": "done",
    "failed": "failed",
    "quarantined": "quarantined",
}


def begin(db: sqlite3.Connection, kind: str, sources: Iterable[str], files: int) -> int:
    """A run begins: all its sources wait, and what a run that died has left. Returns its number."""
    db.execute("UPDATE runs SET ended = ?, outcome = 'stopped' WHERE ended IS NULL", (now(),))
    db.execute(_WAIT_AGAIN)
    run = db.execute("INSERT INTO runs (kind, began, files) VALUES (?, ?, ?)", (kind, now(), files)).lastrowid or 0
    at = now()
    db.executemany(_PUT, ((source, "queued", None, at, run, 0, 0) for source in sources))
    return run


def grow(db: sqlite3.Connection, run: int, files: int) -> None:
    """A run is over so many files, now that some have turned out to hold others."""
    db.execute("UPDATE runs SET files = ? WHERE id = ?", (files, run))


def note(db: sqlite3.Connection, run: int, state: DocumentState, sources: Iterable[tuple[str, int, int]]) -> None:
    """These sources are in this state, each with how many of how many chunks are done; `at` stays while the state does."""
    at = now()
    db.executemany(
        _PUT.replace("at = excluded.at", "at = CASE WHEN states.state = excluded.state THEN states.at ELSE excluded.at END"),
        ((source, state, None, at, run, done, total) for source, done, total in sources),
    )


def settle(db: sqlite3.Connection, run: int, entry: LedgerEntry) -> None:
    """What a ledger line says of where its source stands now."""
    if entry.status == "removed":
        return after_removal(db, entry.source)
    state = _OUTCOMES[entry.status]
    db.execute(_PUT, (entry.source, state, entry.reason, now(), run, entry.chunks, entry.chunks))


def after_removal(db: sqlite3.Connection, source: str) -> None:
    """Something of a source is gone: it stands where the rest of it says, or nowhere."""
    held = db.execute("SELECT reason FROM quarantine WHERE source = ? AND state = 'held'", (source,)).fetchone()
    if held:
        db.execute(_PUT, (source, "quarantined", held[0], now(), 0, 0, 0))
    elif (known := db.execute("SELECT chunks FROM documents WHERE source = ?", (source,)).fetchone()) is not None:
        db.execute(_PUT, (source, "done", None, now(), 0, known[0], known[0]))
    else:
        db.execute("DELETE FROM states WHERE source = ?", (source,))


def end(db: sqlite3.Connection, run: int, outcome: str) -> None:
    """A run ends; what it had begun and not done waits again."""
    db.execute("UPDATE runs SET ended = ?, outcome = ? WHERE id = ?", (now(), outcome, run))
    db.execute(_WAIT_AGAIN)
