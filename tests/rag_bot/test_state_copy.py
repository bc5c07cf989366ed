"""The conversations' database as a file: all of it, of one moment, from one kind of database into the other."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingest.errors import BackupError
from rag_bot import state_copy
from rag_bot.database import REVISIONS
from rag_bot.errors import StateError
from rag_bot.memory import Memory
from rag_bot.state_copy import Copied, dump, loading, occupied, shown
from rag_bot.tables import metadata
from tests.postgres import Databases
from tests.rag_bot.test_memory import an_answer

ROWS = 603  # in each table: more than are read or written at once


def every_table() -> list[sa.Table]:
    """But those that tell the revision, which every database has anyway."""
    return [table for table in metadata.sorted_tables if table.name != "schema_version"]


def sample(column: sa.Column[Any], n: int) -> Any:
    """The value of a column in row `n`: of its type, and another in each row, but for truth."""
    if column.foreign_keys:
        [key] = column.foreign_keys
        return sample(key.column, n)
    if isinstance(column.type, sa.JSON):
        return {"n": n, "list": [1.5, None, True, "ä🦊"], "deep": {"quote": '"', "line": "a\nb"}}
    if isinstance(column.type, sa.Boolean):
        return n % 2 == 0
    if isinstance(column.type, sa.Integer):
        return n + 1
    if isinstance(column.type, sa.Float):
        return 0.1 + n
    assert isinstance(column.type, sa.String), f"{column} has a type that a copy is not tested with"
    return f"ä🦊\n'{n}'"[: column.type.length]


def fill(url: str, rows: int = ROWS) -> None:
    """Make all tables and put rows into each."""
    memory = Memory(url)
    with memory.transaction() as connection:
        metadata.create_all(connection)
        for table in every_table():
            for nulls in (True, False):
                columns = [column for column in table.columns if not (nulls and column.nullable)]
                some = [n for n in range(rows) if (n % 3 == 0) == nulls]
                connection.execute(sa.insert(table), [{column.name: sample(column, n) for column in columns} for n in some])
    memory.close()


def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        there = sa.inspect(connection).get_table_names()
        found = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]
            for table in every_table()
            if table.name in there
        }
    engine.dispose()
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A second empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'other.sqlite3'}"
    fresh: str = request.getfixturevalue("databases").fresh()
    return fresh


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.jsonl"


def test_all_of_it_comes_into_any_kind_of_database(state_url: str, other_url: str, file: Path) -> None:
    fill(state_url)
    kind = sa.make_url(state_url).get_backend_name()
    copied = dump(state_url, file)
    assert copied == Copied(kind, REVISIONS[-1], {table.name: ROWS for table in every_table()})
    assert not occupied(other_url)
    with loading(other_url, file):
        pass
    assert everything(other_url) == everything(state_url)
    assert occupied(other_url)


def test_numbers_go_on_where_they_were(state_url: str, other_url: str, file: Path) -> None:
    memory = Memory(state_url)
    for n in range(3):
        memory.save("When?", an_answer("c", f"a{n}"))
    memory.close()
    assert dump(state_url, file)
    with loading(other_url, file):
        pass
    restored = Memory(other_url)
    restored.save("When?", an_answer("c", "a3"))
    restored.feedback("a3", 1)
    assert [turn.answer["answer_id"] for turn in restored.conversation("c").turns] == ["a0", "a1", "a2", "a3"]
    with restored.transaction() as connection:
        assert connection.exec_driver_sql("SELECT id FROM turns ORDER BY id").scalars().all() == [1, 2, 3, 4]
    restored.close()


def test_it_is_of_one_moment(state_url: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation that begins while the tables are read is not in it, also not in part."""
    memory = Memory(state_url)
    memory.save("When?", an_answer("before", "a0"))
    whole = state_copy._dump_table
    n = 0

    def beside(*arguments: Any) -> int:
        nonlocal n
        n += 1
        memory.save("When?", an_answer(f"c{n}", f"a{n}"))
        memory.feedback("a0", 1 if n % 2 else -1, reason=str(n))
        return whole(*arguments)

    monkeypatch.setattr(state_copy, "_dump_table", beside)
    copied = dump(state_url, file)
    assert copied
    assert {name: copied.rows[name] for name in ("conversations", "turns", "feedback", "usage")} == {
        "conversations": 1, "turns": 1, "feedback": 0, "usage": 0,
    }  # fmt: skip
    assert n >= 4 and len(memory.conversations()) == n + 1
    memory.close()


def test_where_there_is_nothing_yet(state_url: str, file: Path, tmp_path: Path) -> None:
    assert dump(state_url, file) is None
    assert not occupied(state_url)
    assert not file.exists()
    assert list(tmp_path.glob("*.sqlite3")) == []


def test_tables_of_others_are_left_alone(databases: Databases, file: Path) -> None:
    url = databases.fresh()
    fill(url, 2)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (secret text)")
        connection.exec_driver_sql("INSERT INTO theirs VALUES ('not ours')")
    engine.dispose()
    assert dump(url, file)
    assert "not ours" not in file.read_text() and "theirs" not in file.read_text()
    other = databases.fresh()
    engine = sa.create_engine(other)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (secret text)")
        connection.exec_driver_sql("INSERT INTO theirs VALUES ('not ours')")
    assert not occupied(other)
    with loading(other, file):
        pass
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT secret FROM theirs").scalars().all() == ["not ours"]
    engine.dispose()


def test_what_fails_on_the_way_leaves_nothing(state_url: str, other_url: str, file: Path) -> None:
    fill(state_url, 3)
    dump(state_url, file)
    with pytest.raises(ZeroDivisionError), loading(other_url, file):
        raise ZeroDivisionError
    assert not any(everything(other_url).values())
    with file.open("a") as lines:
        lines.write("no JSON\n")
    with pytest.raises(BackupError, match="a line that is none"), loading(other_url, file):
        pass
    assert not any(everything(other_url).values())


def test_what_postgresql_does_not_take_is_left_out(databases: Databases, tmp_path: Path, file: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    fill(url, 2)
    with sqlite3.connect(tmp_path / "state.sqlite3") as db:
        db.execute("UPDATE conversations SET title = ?", ("before\0after",))
    db.close()
    dump(url, file)
    other = databases.fresh()
    with loading(other, file):
        pass
    assert {row[1] for row in everything(other)["conversations"]} == {"beforeafter"}


def test_a_column_that_an_older_database_lacks_gets_its_default(tmp_path: Path, file: Path, other_url: str) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    fill(url, 2)
    with sqlite3.connect(tmp_path / "state.sqlite3") as db:
        db.execute("ALTER TABLE users DROP COLUMN epoch")
    db.close()
    dump(url, file)
    with loading(other_url, file):
        pass
    users = next(table for table in every_table() if table.name == "users")
    at = [column.name for column in users.columns].index("epoch")
    assert [row[at] for row in everything(other_url)["users"]] == [0, 0]


def test_a_database_of_another_revision_is_refused(state_url: str, file: Path) -> None:
    memory = Memory(state_url)
    memory.open()
    memory.close()
    engine = sa.create_engine(state_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    engine.dispose()
    with pytest.raises(StateError, match="has revision 0099, which this program does not know"):
        dump(state_url, file)
    assert not file.exists()


def lines(file: Path, *values: object) -> Path:
    file.write_text("".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values))
    return file


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([], "a revision"),
        ([{"revision": "99"}], "a revision"),
        ([["revision", "1"]], "a revision"),
        ([{"revision": "0002"}, {"table": "theirs", "columns": []}], "a table"),
        ([{"revision": "0002"}, {"table": "schema_version", "columns": ["version"]}, [5]], "a table"),
        ([{"revision": "0002"}, {"table": "turns", "columns": ["id", "nothing"]}], "columns of turns"),
        ([{"revision": "0002"}, {"table": "turns", "columns": "id"}], "a table"),
        ([{"revision": "0002"}, {"table": "turns", "columns": [["id"]]}], "columns of turns"),
        ([{"revision": "0002"}, {"table": ["turns"], "columns": []}], "a table"),
        ([{"revision": "0002"}, 5], "a table"),
        ([{"revision": "0002"}, [1]], "a table"),
        ([{"revision": "0002"}, {"table": "chat_posts", "columns": ["post", "answer_id"]}, ["a"]], "a row"),
        ([{"revision": "0002"}, "[" * 100_000], "a line"),
    ],
)
def test_a_file_that_is_made_up_is_refused(tmp_path: Path, file: Path, values: list[object], what: str) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    with pytest.raises(BackupError, match=f"hold {what}"), loading(url, lines(file, *values)):
        pass
    assert not any(everything(url).values())


def test_a_line_without_an_end_is_refused(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_copy, "_LONGEST_LINE", 1_000)
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    too_long = {"revision": "0002"}, {"table": "chat_posts", "columns": ["post", "answer_id"]}, ["a", "b" * 1_000]
    with pytest.raises(BackupError, match="hold a line that is none"), loading(url, lines(file, *too_long)):
        pass


def test_values_of_the_wrong_type_are_an_error_of_the_database(tmp_path: Path, file: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    wrong = {"revision": "0002"}, {"table": "chat_posts", "columns": ["post", "answer_id"]}, ["a", {"b": 1}]
    with pytest.raises(StateError), loading(url, lines(file, *wrong)):
        pass
    assert not any(everything(url).values())


def test_a_password_is_not_shown(file: Path) -> None:
    url = "postgresql+pg8000://me:topsecret@127.0.0.1:9/none"
    assert "topsecret" not in shown(url)
    for ask in (lambda: dump(url, file), lambda: occupied(url)):
        with pytest.raises(StateError) as caught:
            ask()
        assert "topsecret" not in str(caught.value) and "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("url", ["nosuchdialect://x", "not a url"])
def test_what_is_no_database_is_said_to_be_none(url: str, file: Path) -> None:
    with pytest.raises(StateError):
        dump(url, file)


def test_nothing_is_put_into_a_database_that_does_not_last(file: Path) -> None:
    assert dump("sqlite://", file) is None
    with pytest.raises(StateError, match="in memory only"):
        occupied("sqlite://")
