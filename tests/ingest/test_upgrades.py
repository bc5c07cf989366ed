"""An index of every older format opens as it is and is brought up to date by its first writer; a newer one is refused.

`schemas` holds the tables of each version as that version of the program made them.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ingest.backup import taken
from ingest.errors import IndexDamaged
from ingest.index import STORE, Index
from ingest.store import SCHEMA_VERSION, Store
from ingest.store.schema import MIGRATIONS
from tests.ingest.support import HASH, assert_whole, fill, found, put

SCHEMAS = {int(path.stem.partition("-")[2]): path for path in (Path(__file__).parent / "schemas").glob("schema-*.sql")}
OLDER = range(1, SCHEMA_VERSION)


def as_schema(path: Path, version: int) -> None:
    """Put a store that has the tables of an older version, and what they can hold, in place of the one in `path`."""
    old = path.with_name("old.sqlite3")
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMAS[version].read_text())
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(f"ATTACH '{path}' AS now")
        for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            columns = ", ".join(f'"{row[1]}"' for row in db.execute(f"PRAGMA main.table_info({table})"))
            db.execute(f"DELETE FROM main.{table}")
            db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
    for left in path.parent.glob(f"{path.name}-*"):
        left.unlink()
    old.replace(path)


def tables(path: Path) -> dict[str, object]:
    """The columns of every table, and every index, whatever the text that made them."""
    with closing(sqlite3.connect(path)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: sorted(row[1:] for row in db.execute(f"SELECT * FROM pragma_table_info('{name}')")) for name in names}
        keys = {name: sorted(db.execute(f"SELECT * FROM pragma_foreign_key_list('{name}')").fetchall()) for name in names}
        indexes = sorted(
            re.sub(r"\s+", " ", row[0]) for row in db.execute("SELECT sql FROM sqlite_master WHERE type = 'index'") if row[0]
        )
    return {"columns": columns, "keys": keys, "indexes": indexes}


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A published index of the three texts."""
    with Index.open(tmp_path / "index", settings=HASH, write=True, create=True) as index:
        fill(index)
    return tmp_path / "index"


def test_the_tables_of_every_older_version_are_kept_here() -> None:
    assert set(OLDER) <= SCHEMAS.keys()
    assert MIGRATIONS.keys() == {*OLDER}


@pytest.mark.parametrize("schema", OLDER)
def test_an_older_index_is_read_as_it_is_and_brought_up_to_date_by_its_first_writer(path: Path, schema: int) -> None:
    fresh = tables(path / STORE)
    with Index.open(path) as index:
        asked = found(index.search("dogs in the office"))
        documents = [(info.document_id, info.sha256, info.added_at) for info in index.documents()]
    as_schema(path / STORE, schema)
    before = (path / STORE).read_bytes()
    with Index.open(path) as reader:
        assert found(reader.search("dogs in the office"))[0] == asked[0]
        assert (reader.quarantine(), reader.superseded(), reader.notes) == ([], {}, [])
        assert_whole(reader)
        assert (path / STORE).read_bytes() == before
        assert version(path / STORE) == schema
        with Index.open(path, write=True) as writer:  # while the reader goes on
            assert_whole(writer)
            assert {one.state for one in writer.standings()} == {"done"}
            put(writer, "/docs/new.txt", "Horses may come, too.")
            assert found(reader.search("horses", 1, "keyword")) == [("new.txt", "Horses may come, too.")]
            writer.remove(writer.documents()[0].document_id)
            writer.publish(force=True)
            assert_whole(writer)
    assert version(path / STORE) == SCHEMA_VERSION
    assert tables(path / STORE) == fresh
    with Index.open(path) as index:
        kept = [(info.document_id, info.sha256, info.added_at) for info in index.documents() if info.title != "new"]
        assert set(kept) < set(documents) and len(kept) == 2


@pytest.mark.parametrize("schema", OLDER)
def test_an_older_store_is_backed_up_as_it_is(path: Path, tmp_path: Path, schema: int) -> None:
    as_schema(path / STORE, schema)
    (tmp_path / "place").mkdir()
    with taken(path, tmp_path / "place") as backup:
        copy = backup.members["index/store.sqlite3"]
        assert (version(copy), version(path / STORE), backup.facts["schema"]) == (schema, schema, schema)
        with closing(Store(copy)) as store:
            assert store.check() == [] and len(store.documents()) == 3


def test_a_newer_index_is_refused_and_left_alone(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path / STORE)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (path / STORE).read_bytes()
    for write in (False, True):
        with pytest.raises(IndexDamaged, match=f"has format {SCHEMA_VERSION + 1}, this program reads format {SCHEMA_VERSION}"):
            Index.open(path, write=write)
    (tmp_path / "place").mkdir()
    with pytest.raises(IndexDamaged, match=f"has format {SCHEMA_VERSION + 1}"), taken(path, tmp_path / "place"):
        pass
    assert (path / STORE).read_bytes() == before
