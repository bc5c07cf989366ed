"""One connection to the store's file: opened for reading or writing, guarded by a lock, its errors made ours."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.curate import tables
from ingest.errors import IndexBusy, IndexDamaged, IndexMissing, IndexReadOnly, StorageFull, StoreError
from ingest.store.schema import MIGRATIONS, QUARANTINE, SCHEMA, SCHEMA_VERSION, STATES

_DISK_FULL = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE")
_PRAGMAS = "PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;"
# KiB. What a reader reads often (chunks' places) fits; a writer adds at the end, and its memory is not to grow with the store.
_READERS_CACHE, _WRITERS_CACHE = 65_536, 16_384
_COPIED_AT_ONCE = 4_096  # pages, between which a signal is heeded


class Connection:
    """The store's file, open. Threads may share it. `schema` is the version of its tables."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self.writable = write
        self._lock = threading.RLock()
        self._signature = signature_of(path)
        self._db, self._frozen = connect(path, write=write)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise translated(error, path) from error

    def _prepare(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version == 0 and self.writable:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(
                f"BEGIN; {SCHEMA} {QUARANTINE} {STATES} {tables.SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        elif version == 0:
            raise IndexMissing(f"The index {self.path.parent} is empty.", "Fill it with: ingest add PATH")
        elif version in MIGRATIONS:
            # One that only reads takes the store as it is.
            for step in range(version, SCHEMA_VERSION) if self.writable else ():
                self._db.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[step]} PRAGMA user_version = {step + 1}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise IndexDamaged(
                f"The store {self.path} has format {version}, this program reads format {SCHEMA_VERSION}.",
                "Use the version of rag-bot that made it, or ingest the documents again into a new folder.",
            )
        self.schema = SCHEMA_VERSION if self.writable else version

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _look_again(self) -> None:
        """SQLite reads a store whose folder can't be written to as if nobody ever changed it: after a change, anew."""
        if not self._frozen:
            return
        with self._lock:
            if self._db.in_transaction or signature_of(self.path) == self._signature:
                return
            self._signature = signature_of(self.path)
            former = self._db
            self._db, self._frozen = connect(self.path, write=False)
            former.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read inside is of one moment, whatever another process writes meanwhile."""
        with self._lock:
            if self.writable or self._db.in_transaction:
                yield
                return
            self._look_again()
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")

    def copy_to(self, target: Path) -> None:
        """Write the store as this connection sees it to a new file; in a `snapshot`, writers go on meanwhile and it is of one
        moment."""
        with self._lock:
            try:
                copy = sqlite3.connect(target, isolation_level=None)
                try:
                    copy.execute("PRAGMA synchronous = OFF")
                    self._db.backup(copy, pages=_COPIED_AT_ONCE, sleep=0)
                finally:
                    copy.close()
            except sqlite3.Error as error:
                raise translated(error, target) from error

    def meta(self, key: str) -> str | None:
        row = self.row("SELECT value FROM meta WHERE key = ?", key)
        return str(row[0]) if row else None

    @property
    def version(self) -> int:
        self._look_again()
        if self.schema < SCHEMA_VERSION:  # until a writer has brought it up to date
            row = self.row("PRAGMA user_version")
            self.schema = int(row[0]) if row else self.schema
        return int(self.meta("version") or 0)

    @contextmanager
    def transaction(self, *, change: bool = False, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; with `change`, the version grows. What is not `durable` outlives this process, but maybe not
        a power cut: that saves waiting for the disk."""
        with self._lock:
            try:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
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
                raise translated(error, self.path) from error

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise translated(error, self.path) from error

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        rows = self.rows(sql, *values)
        return rows[0] if rows else None


def signature_of(path: Path) -> tuple[tuple[int, int], ...]:
    """What differs once a store was changed: time and size of its files."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists())


def connect(path: Path, *, write: bool) -> tuple[sqlite3.Connection, bool]:
    """Open for writing; or for reading, also where the folder itself can't be written to (then the second is True)."""
    modes = ["mode=rwc"] if write else ["mode=ro", "immutable=1"]
    uri = path.absolute().as_uri()
    for mode in modes:
        db = sqlite3.connect(f"{uri}?{mode}", uri=True, isolation_level=None, check_same_thread=False)
        try:
            db.executescript(f"{_PRAGMAS} PRAGMA cache_size = -{_WRITERS_CACHE if write else _READERS_CACHE};")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            db.close()
            # Only where the folder can't be written to; and what stands in a write-ahead log would be passed over.
            name = getattr(error, "sqlite_errorname", "") or ""
            log = path.with_name(f"{path.name}-wal")
            frozen = name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) and not (log.exists() and log.stat().st_size)
            if mode == modes[-1] or not frozen:
                raise translated(error, path) from error
        else:
            return db, mode == "immutable=1"
    raise AssertionError("unreachable")


def translated(error: sqlite3.Error, path: Path) -> StoreError:
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
