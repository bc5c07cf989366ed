"""The conversations' database as a file of JSON lines: read in one snapshot of SQLite or PostgreSQL, written into either.

The first line tells the revision of the tables. Each table follows, in an order in which they may be filled: a line with its
name and columns, and one for each row. Only tables of this program are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ingest.errors import BackupError
from rag_bot.database import REVISIONS
from rag_bot.errors import StateError
from rag_bot.memory import Memory, plain
from rag_bot.tables import metadata

_VERSIONS = ("schema_version", "alembic_version")  # tables that say which revision it is
_AT_ONCE = 500  # rows
_LONGEST_LINE = 1 << 27  # characters


@dataclass(frozen=True, slots=True)
class Copied:
    """What was read from a database: of which kind it is, the revision of its tables, and the rows of each."""

    database: str
    revision: str
    rows: dict[str, int]


def shown(url: str) -> str:
    """A database's address without the password."""
    return str(_address(url))


def occupied(url: str) -> bool:
    """Whether there is something in a database: a file, or rows in a table of this program.

    Raises StateError, also for one in memory, which nothing can be put into to stay.
    """
    file = sqlite_file(url)
    if file is not None:
        return file.exists() and file.stat().st_size > 0
    if _address(url).get_backend_name() == "sqlite":
        raise StateError(f"The database {url} is in memory only.", "Set RAG_BOT_STATE, or --state, to one that lasts.")
    with _snapshot(url) as connection:
        there = sa.inspect(connection).get_table_names()
        return any(
            connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
            for name, table in _tables().items()
            if name in there
        )


def dump(url: str, target: Path) -> Copied | None:
    """Write the whole of a database, as it is at one moment, to a new file; None, and no file, where there is none yet.

    Raises StateError, or OSError.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return None
    with _snapshot(url) as connection:
        there = sa.inspect(connection).get_table_names()
        revision = _revision(connection, there)
        if not revision:
            return None
        if revision not in REVISIONS:
            raise StateError(
                f"The conversations' database has revision {revision}, which this program does not know.",
                "Use the version of rag-bot that made it.",
            )
        rows: dict[str, int] = {}
        with target.open("x", encoding="ascii") as out:
            _write(out, {"revision": revision})
            for name, known in _tables().items():
                if name in there:
                    rows[name] = _dump_table(connection, known, out)
    return Copied(_address(url).get_backend_name(), revision, rows)


@contextmanager
def loading(url: str, source: Path) -> Iterator[None]:
    """Fill an empty database with what `dump` wrote. It is all there when the block has ended; if that raises, nothing is.

    Raises StateError, or BackupError where the file holds what `dump` does not write.
    """
    target = Memory(url)
    try:
        with target.transaction() as connection, source.open(encoding="ascii") as lines:
            tables = _tables()
            for table, columns, rows in _read(lines, tables):
                for some in _batches(rows):
                    connection.execute(sa.insert(table), [_values(table, columns, row, connection) for row in some])
            for table in tables.values():
                _go_on_counting(connection, table)
            yield
    finally:
        target.close()


# --- reading a database


@contextmanager
def _snapshot(url: str) -> Iterator[sa.Connection]:
    """What is read inside is of one moment, and nobody waits for it."""
    address = _address(url)
    try:
        engine = sa.create_engine(address, poolclass=sa.NullPool)
        try:
            with engine.connect() as connection:
                if address.get_backend_name() == "sqlite":
                    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                    connection.exec_driver_sql("BEGIN")  # Python's driver begins none for a mere SELECT
                else:
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
        raise StateError(
            f"The conversations' database {address} can't be read: {cause}.", "Check that it can be reached."
        ) from error


def _dump_table(connection: sa.Connection, known: sa.Table, out: TextIO) -> int:
    """Write a table as the database has it: an older one may have other columns than those that are known."""
    table = sa.Table(known.name, sa.MetaData(), autoload_with=connection, resolve_fks=False)
    for column in table.columns:
        if column.name in known.columns:
            column.type = known.columns[column.name].type
    _write(out, {"table": table.name, "columns": [column.name for column in table.columns]})
    query = sa.select(table).order_by(*table.primary_key.columns)
    number = 0
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        _write(out, list(row))
        number += 1
    return number


def _revision(connection: sa.Connection, there: Sequence[str]) -> str:
    """Which revision the tables are of; empty where there are none."""
    for name, column in (("alembic_version", "version_num"), ("schema_version", "version")):
        if name in there:
            found = connection.execute(sa.text(f"SELECT max({column}) FROM {name}")).scalar()
            if found is not None:
                return REVISIONS[0] if (name, found) == ("schema_version", 1) else str(found)
    return ""


def _write(out: TextIO, value: object) -> None:
    out.write(json.dumps(value, separators=(",", ":")) + "\n")


# --- filling one


def _read(lines: TextIO, tables: dict[str, sa.Table]) -> Iterator[tuple[sa.Table, list[str], Iterator[list[Any]]]]:
    """Each table of a file, with its columns and its rows, which are to be read before the next one."""
    header = _line(lines)
    if not isinstance(header, dict) or header.get("revision") not in REVISIONS:
        raise _strange("a revision that this program does not know")
    begun = _line(lines)

    def rows() -> Iterator[list[Any]]:
        nonlocal begun
        while isinstance(begun := _line(lines), list):
            yield begun

    while begun is not None:
        name, columns = (begun.get("table"), begun.get("columns")) if isinstance(begun, dict) else (None, None)
        table = tables.get(name) if isinstance(name, str) else None
        if table is None or not isinstance(columns, list):
            raise _strange("a table that this program does not know")
        if not all(isinstance(column, str) and column in table.columns for column in columns):
            raise _strange(f"columns of {table.name} that this program does not know")
        yield table, columns, rows()


def _line(lines: TextIO) -> Any:
    text = lines.readline(_LONGEST_LINE)
    if not text:
        return None
    try:
        if text.endswith("\n"):
            return json.loads(text)
    except (ValueError, RecursionError):
        pass
    raise _strange("a line that is none")


def _values(table: sa.Table, columns: list[str], row: list[Any], connection: sa.Connection) -> dict[str, Any]:
    if len(row) != len(columns):
        raise _strange("a row that is too long or too short")
    values = dict(zip(columns, row, strict=True))
    for name, value in values.items():
        if isinstance(value, str) and connection.dialect.name != "sqlite":
            values[name] = plain(value)
        elif value is None and isinstance(table.columns[name].type, sa.JSON) and table.columns[name].nullable:
            values[name] = sa.null()
    return values


def _batches(rows: Iterable[list[Any]]) -> Iterator[list[list[Any]]]:
    some: list[list[Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _go_on_counting(connection: sa.Connection, table: sa.Table) -> None:
    """PostgreSQL counts a table's rows in a sequence, which knows nothing of numbers that were given."""
    column = table.autoincrement_column
    if column is None or connection.dialect.name != "postgresql":
        return
    last = connection.execute(sa.select(sa.func.max(column))).scalar()
    if last is not None:
        sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
        connection.execute(sa.select(sa.func.setval(sequence, last)))


# --- both


def _tables() -> dict[str, sa.Table]:
    """The tables by name, those first that others refer to, without those that only tell the revision."""
    return {table.name: table for table in metadata.sorted_tables if table.name not in _VERSIONS}


def sqlite_file(url: str) -> Path | None:
    """SQLite's file; None for another database, or one in memory."""
    found = _address(url)
    if found.get_backend_name() != "sqlite" or not found.database or found.database == ":memory:" or found.query.get("uri"):
        return None
    return Path(found.database).absolute()


def _address(url: str) -> sa.URL:
    Memory(url).close()  # says in a sentence why it is none
    return sa.make_url(url)


def _strange(what: str) -> BackupError:
    return BackupError(f"The conversations in the backup hold {what}.", "Use the version of rag-bot that made it.")
