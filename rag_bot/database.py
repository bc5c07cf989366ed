"""The database of conversations, chat platforms and accounts: SQLite by default, PostgreSQL for several machines.

A new database is made as it is to be; an older one is brought up to date at its first use (`rag_bot/migrations`), by one of the
programs that share it while the others wait. One that is newer than this program is refused.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from rag_bot import chat_tables
from rag_bot.accounts import tables as account_tables
from rag_bot.errors import StateError
from rag_bot.tables import metadata, version

REVISIONS = ("0001", "0002")
"""Every revision that there was, oldest first; the last one is what this program works with."""
SCHEMA_VERSIONS = {"0001": 1, "0002": 2}
"""What programs from before there were migrations find in `schema_version`: they take 1 alone."""
BUSY_SECONDS = 10

_TABLES = (chat_tables.jobs, account_tables.users)  # (named, so that all tables are in `metadata`)
_revision = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
_LOCK = 7_262_611  # of PostgreSQL's advisory locks
_log = logging.getLogger(__name__)


class Database:
    """A database, opened at its first use. Safe to call from several threads. Whatever goes wrong is a StateError.

    With `migrate` off, one that is not up to date is refused and left as it is.
    """

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        self._lock, self._ready, self._migrate = threading.Lock(), False, migrate
        try:
            self._url = sa.make_url(url)
            self._engine = _engine(self._url)
            self._writer = threading.Lock() if self._url.get_backend_name() == "sqlite" else nullcontext()
        except ArgumentError as error:
            shown = url if "@" not in url else f"{url.partition('://')[0]}://…"  # it may hold a password
            raise StateError(
                f"RAG_BOT_STATE is {shown!r}, which is not a database's URL.",
                "Write it like sqlite:////var/lib/rag-bot/state.sqlite3 or postgresql+pg8000://user@host/name.",
            ) from error
        except ImportError as error:
            raise StateError(
                f"The driver of RAG_BOT_STATE is not installed: {error.name}.", f"pip install {error.name}"
            ) from error

    def open(self) -> None:
        """Connect, and make the tables or bring them up to date; does nothing when that has been done."""
        with self._lock:
            if self._ready:
                return
            self._check_folder()
            with self.translated():
                with self._engine.connect() as connection:
                    current = self._found(connection) == REVISIONS[-1]
                if not current:
                    with self._locked() as connection:
                        self._prepare(connection)
            self._ready = True

    def revision(self) -> str | None:
        """The revision that the database is at; None where there is nothing in it."""
        self._check_folder()
        with self.translated(), self._engine.connect() as connection:
            return self._found(connection)

    def migrate_to(self, revision: str) -> None:
        """Bring the database to a revision, forwards or back, in one transaction. Raises StateError for one that is unknown."""
        if revision not in REVISIONS:
            raise StateError(f"There is no revision {revision!r}.", f"There are {', '.join(REVISIONS)}.")
        self._check_folder()
        with self.translated(), self._locked() as connection:
            found = self._found(connection)
            if found is None:
                self._make(connection)
                found = REVISIONS[-1]
            self._run(connection, found, revision)
        self._ready = False

    def close(self) -> None:
        """Let go of the database; a later call opens it again."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, translate: bool = True, often: bool = False) -> Iterator[sa.Connection]:
        """One transaction. Without `translate` an IntegrityError comes as it is; all else is a StateError.

        What is written `often`, for every question, stands in line: SQLite takes one writer at a time, and whoever finds
        another at it sleeps and tries again, while others pass by.
        """
        self.open()
        line = self._writer if often else nullcontext()
        with self.translated(keep=() if translate else (IntegrityError,)), line, self._engine.begin() as connection:
            yield connection

    @contextmanager
    def translated(self, keep: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Makes the library's errors a StateError, but for those to `keep`."""
        try:
            yield
        except keep:
            raise
        except (SQLAlchemyError, OSError) as error:  # a driver may let those of its connection through as they are
            cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            raise StateError(
                f"The conversations' database {self._url} can't be used: {cause}.",
                "Check that it can be reached and written to, or set RAG_BOT_STATE to another place.",
            ) from error

    def _check_folder(self) -> None:
        folder = _folder(self._url)
        if folder is not None and not folder.is_dir():
            raise StateError(
                f"The conversations can't be kept in {self._url.database}: there is no folder {folder}.",
                "Make the folder, or set RAG_BOT_STATE to another place.",
            )

    @contextmanager
    def _locked(self) -> Iterator[sa.Connection]:
        """One transaction while no other program is in here."""
        with self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    def _prepare(self, connection: sa.Connection) -> None:
        found = self._found(connection)
        if found is None:
            self._make(connection)
        elif found != REVISIONS[-1]:
            if not self._migrate:
                raise StateError(
                    f"The database {self._url} is at revision {found}; this program needs {REVISIONS[-1]}.",
                    "Bring it up to date with: rag-bot migrate",
                )
            self._run(connection, found, REVISIONS[-1])
            _log.warning("The database %s was brought from revision %s to %s.", self._url, found, REVISIONS[-1])

    def _found(self, connection: sa.Connection) -> str | None:
        """The revision; of a database from before there were migrations, the first one."""
        tables = sa.inspect(connection).get_table_names()  # at one moment: another program may be making them
        if _revision.name in tables:
            found = connection.execute(sa.select(_revision.c.version_num)).scalar()
        elif version.name in tables:
            versions: Sequence[int] = connection.execute(sa.select(version.c.version)).scalars().all()
            old = max(versions, default=1)
            found = REVISIONS[0] if old == 1 else f"(schema {old})"
        else:
            return None
        if found not in REVISIONS:
            raise StateError(
                f"The database {self._url} is at revision {found}; this program knows up to {REVISIONS[-1]}.",
                "Use a version of rag-bot that is as new, or set RAG_BOT_STATE to another database.",
            )
        return str(found)

    @staticmethod
    def _make(connection: sa.Connection) -> None:
        metadata.create_all(connection)
        _revision.create(connection)
        connection.execute(sa.insert(_revision).values(version_num=REVISIONS[-1]))
        connection.execute(sa.insert(version).values(version=SCHEMA_VERSIONS[REVISIONS[-1]]))

    @staticmethod
    def _run(connection: sa.Connection, found: str, wanted: str) -> None:
        from rag_bot.migrations import run  # takes a moment to import, and is seldom needed

        run(connection, found, wanted)
        connection.execute(sa.delete(version))
        connection.execute(sa.insert(version).values(version=SCHEMA_VERSIONS[wanted]))


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    connect = {"check_same_thread": False, "timeout": BUSY_SECONDS}
    if _folder(url) is None:
        # In memory every connection would be a database of its own: there is one, lent to one thread at a time.
        engine = sa.create_engine(url, poolclass=sa.QueuePool, pool_size=1, max_overflow=0, connect_args=connect)
    else:
        engine = sa.create_engine(url, connect_args=connect)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    # SQLite doesn't wait (its `timeout`) where two programs turn a new file's journal at once: the later one fails at once.
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except Exception as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(0.01)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _folder(url: sa.URL) -> Path | None:
    """The folder that SQLite's file stands in; None for another database, or one in memory."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:" or url.query.get("uri"):
        return None
    return Path(url.database).absolute().parent
