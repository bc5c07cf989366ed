"""The database over the years: made new, brought up to date, taken back, refused; on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from rag_bot import database as module
from rag_bot.accounts.accounts import Accounts
from rag_bot.chat_state import ChatState
from rag_bot.cli import main
from rag_bot.database import REVISIONS, Database
from rag_bot.errors import StateError
from rag_bot.memory import Memory
from rag_bot.tables import metadata
from tests.commands import Outcome, outcome_of

# The tables as the first version made them.
FIRST = """
CREATE TABLE schema_version (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE conversations (id VARCHAR(64) NOT NULL, title TEXT NOT NULL, created_at VARCHAR(32) NOT NULL,
    updated_at VARCHAR(32) NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_conversations_updated_at ON conversations (updated_at);
CREATE TABLE turns (id {serial}, conversation_id VARCHAR(64) NOT NULL, position INTEGER NOT NULL,
    answer_id VARCHAR(64) NOT NULL, asked TEXT NOT NULL, standalone TEXT NOT NULL, answer TEXT NOT NULL,
    abstained BOOLEAN NOT NULL, answer_object JSON NOT NULL, at VARCHAR(32) NOT NULL, PRIMARY KEY (id),
    UNIQUE (conversation_id, position), FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE,
    UNIQUE (answer_id));
CREATE TABLE feedback (answer_id VARCHAR(64) NOT NULL, thumb INTEGER NOT NULL, reason TEXT, right_source TEXT,
    at VARCHAR(32) NOT NULL, PRIMARY KEY (answer_id), FOREIGN KEY(answer_id) REFERENCES turns (answer_id) ON DELETE CASCADE);
CREATE TABLE usage (id {serial}, at VARCHAR(32) NOT NULL, day VARCHAR(10) NOT NULL, model TEXT NOT NULL, key TEXT NOT NULL,
    conversation_id VARCHAR(64) NOT NULL, answer_id VARCHAR(64) NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, cost FLOAT NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_usage_day ON usage (day);
INSERT INTO schema_version VALUES (1);
INSERT INTO conversations VALUES ('c1', 'Leave', '2026-01-01T00:00:00', '2026-01-01T00:00:00');
INSERT INTO turns (conversation_id, position, answer_id, asked, standalone, answer, abstained, answer_object, at)
    VALUES ('c1', 0, 'a1', 'How long is leave?', 'How long is leave?', 'Long.', {false}, '{{"blocked": null, "citations": []}}',
    '2026-01-01T00:00:00');
INSERT INTO feedback VALUES ('a1', 1, NULL, NULL, '2026-01-01T00:00:00')
"""


@pytest.fixture
def url(state_url: str) -> str:
    """Of each kind of database."""
    return state_url


def make_first(url: str) -> None:
    """A database as the first version left it."""
    engine = sa.create_engine(url)
    lite = engine.dialect.name == "sqlite"
    script = FIRST.format(serial="INTEGER NOT NULL" if lite else "SERIAL NOT NULL", false="0" if lite else "false")
    with engine.begin() as connection:
        for statement in script.split(";"):
            connection.exec_driver_sql(statement)
    engine.dispose()


def differences(url: str) -> list[object]:
    """What of the database is not as the program would make it."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        found = [one for one in compare_metadata(context, metadata) if "alembic_version" not in str(one)]
    engine.dispose()
    return found


def numbers(url: str) -> tuple[object, object]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = [connection.exec_driver_sql(f"SELECT * FROM {name}").scalar() for name in ("alembic_version", "schema_version")]
    engine.dispose()
    return found[0], found[1]


def test_a_new_database_is_at_the_newest_revision(url: str) -> None:
    Database(url).open()
    assert differences(url) == []
    assert numbers(url) == (REVISIONS[-1], 2)


@pytest.mark.parametrize("chat", [False, True])
def test_the_first_version_s_database_is_brought_up_to_date_with_all_that_it_holds(url: str, chat: bool) -> None:
    make_first(url)
    if chat:
        engine = sa.create_engine(url)
        metadata.create_all(engine, tables=[table for name, table in metadata.tables.items() if name.startswith("chat_")])
        engine.dispose()

    memory = Memory(url)
    assert memory.turns("c1")[0].question == "How long is leave?"
    assert memory.conversation("c1").turns[0].thumb == 1
    assert memory.conversations(owner="user:ada") == [] and len(memory.conversations()) == 1
    assert Accounts(memory).first_admin("correct horse battery")
    assert ChatState(memory).accept(["e1"], "question", "t", "1", {})
    memory.close()
    assert differences(url) == []
    assert numbers(url) == (REVISIONS[-1], 2)


def test_it_goes_back_and_forth_and_conversations_stay(url: str) -> None:
    make_first(url)
    database = Database(url)
    database.open()
    for _ in range(2):
        database.migrate_to("0001")
        assert numbers(url) == ("0001", 1)
        names = set(sa.inspect(sa.create_engine(url)).get_table_names())
        assert "users" not in names and "turns" in names
        database.migrate_to("0002")
        assert differences(url) == []
    assert Memory(url).turns("c1")[0].answer == "Long."
    with pytest.raises(StateError, match="no revision '0009'"):
        database.migrate_to("0009")


def test_a_program_from_before_refuses_the_new_database(url: str) -> None:
    make_first(url)
    Database(url).open()
    # What it did: `max(versions) != SCHEMA_VERSION`, where that was 1.
    assert numbers(url)[1] != 1


@pytest.mark.parametrize("change", ["UPDATE alembic_version SET version_num = '0099'", "DROP TABLE alembic_version"])
def test_a_database_of_a_newer_program_is_refused(url: str, change: str) -> None:
    memory = Memory(url)
    with memory.transaction() as connection:
        connection.exec_driver_sql(change)
        connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    with pytest.raises(StateError, match="is at revision") as caught:
        Memory(url).conversations()
    assert "RAG_BOT_STATE" in caught.value.hint


def test_by_hand_means_by_hand(url: str) -> None:
    make_first(url)
    careful = Database(url, migrate=False)
    with pytest.raises(StateError, match="at revision 0001") as caught:
        careful.open()
    assert "rag-bot migrate" in caught.value.hint
    assert "users" not in sa.inspect(sa.create_engine(url)).get_table_names()
    Database(url).migrate_to(REVISIONS[-1])
    careful.open()


def test_many_programs_that_start_at_once_bring_it_up_to_date_once(url: str) -> None:
    make_first(url)
    script = f"import sys\nfrom rag_bot.memory import Memory\nprint(len(Memory({url!r}).conversations()))"
    running = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    results = [process.communicate(timeout=60) for process in running]
    assert [out.strip() for out, _ in results] == ["1"] * 4, results
    assert sum("was brought from" in err for _, err in results) == 1
    assert differences(url) == []


def test_an_upgrade_that_is_killed_leaves_the_old_database(url: str) -> None:
    make_first(url)
    script = (
        "import os\nfrom alembic import op\nfrom rag_bot.memory import Memory\n"
        "op_create = op.create_table\n"
        "def dying(name, *rest, **more):\n"
        "    os._exit(9) if name == 'audit' else None\n"
        "    return op_create(name, *rest, **more)\n"
        f"op.create_table = dying\nMemory({url!r}).open()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert done.returncode == 9
    names = set(sa.inspect(sa.create_engine(url)).get_table_names())
    assert "users" not in names and "alembic_version" not in names
    assert Memory(url).turns("c1")[0].answer == "Long."


def test_threads_that_open_a_new_database_at_once_all_find_it(url: str) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            Memory(url).conversations()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_nothing_of_alembic_is_loaded_where_nothing_is_to_be_migrated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    script = f"import sys\nfrom rag_bot.memory import Memory\nMemory({url!r}).open()\nprint('alembic' in sys.modules)"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "False"


def test_every_revision_has_its_number_and_its_file() -> None:
    folder = Path(module.__file__).parent / "migrations" / "versions"
    assert sorted(path.name[:4] for path in folder.glob("0*.py")) == list(REVISIONS) == list(module.SCHEMA_VERSIONS)


def test_the_command_says_where_the_database_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    make_first(url)
    monkeypatch.setenv("RAG_BOT_STATE", url)

    def migrate(*arguments: str) -> Outcome:
        return outcome_of(main, ["migrate", *arguments], capsys)

    old = migrate("--check")
    assert old.code == 1 and "at revision 0001; the newest is 0002" in old.out
    done = migrate()
    assert done.code == 0 and done.out == "The database is at revision 0002, before at 0001.\n"
    assert migrate("--check").code == 0
    assert migrate("--to", "0001").code == 0 and numbers(url) == ("0001", 1)
    wrong = migrate("--to", "7")
    assert wrong.code == 1 and "no revision '7'" in wrong.err
