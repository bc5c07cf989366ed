"""`rag-bot backup` and `rag-bot restore`, as a person and as a script use them."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingest import bundle
from ingest.cli import main as ingest_main
from ingest.index import Index
from ingest.store import SCHEMA_VERSION
from rag_bot import state_copy
from rag_bot.cli import main
from rag_bot.errors import StateError
from rag_bot.memory import Memory
from tests.commands import Outcome, outcome_of
from tests.ingest.support import assert_whole
from tests.postgres import Databases
from tests.rag_bot.test_memory import an_answer

RagBot = Callable[..., Outcome]


@pytest.fixture
def rag_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RagBot:
    """Runs `rag-bot …` in a folder that has an index of one document and two conversations."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_BOT_EMBEDDER", "hash")
    (tmp_path / "pets.txt").write_text("Dogs may come to the office on Fridays.")
    with pytest.raises(SystemExit):
        ingest_main(["add", "pets.txt"])
    memory = Memory(f"sqlite:///{tmp_path / 'index' / 'state.sqlite3'}")
    memory.save("When?", an_answer("c1", "a1"))
    memory.save("Who?", an_answer("c2", "a2"))
    memory.feedback("a2", 1)
    memory.close()
    return lambda *arguments: outcome_of(main, arguments, capsys)


def conversations(url: str) -> list[str]:
    memory = Memory(url)
    try:
        return sorted(one.title for one in memory.conversations())
    finally:
        memory.close()


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_goes_into_one_file_and_comes_back_with_one_command(rag_bot: RagBot, tmp_path: Path) -> None:
    made = rag_bot("backup", "all.tar")
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith("all.tar: 1 document, 1 chunk, 2 conversations (rag-bot ")
    assert (tmp_path / "all.tar").stat().st_mode & 0o777 == 0o600
    assert left(tmp_path) == {"all.tar", "pets.txt", "index"}
    back = rag_bot("restore", "all.tar", "--index", "other")
    assert (back.code, back.err) == (0, "")
    assert back.out.startswith("Restored into other and sqlite:///") and "1 document, 1 chunk, 2 conversations" in back.out
    with Index.open(tmp_path / "other") as index:
        assert_whole(index)
        assert index.notes == []
    assert conversations(f"sqlite:///{tmp_path / 'other' / 'state.sqlite3'}") == ["When?", "Who?"]
    assert rag_bot("ask", "When may dogs come?", "--index", "other").out.startswith("Dogs may come")


def test_programs_get_json(rag_bot: RagBot, tmp_path: Path) -> None:
    told = rag_bot("backup", "all.tar", "--json").json
    assert told["bytes"] == (tmp_path / "all.tar").stat().st_size
    rows = {name: told["rows"][name] for name in ("conversations", "turns", "feedback")}
    assert rows == {"conversations": 2, "turns": 2, "feedback": 1}
    expected = {"file": "all.tar", "documents": 1, "chunks": 1, "conversations": 2, "format": 1, "schema": SCHEMA_VERSION,
                "embedder": "hash", "database": "sqlite", "derived": False, "faults": [], "notes": []}  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    checked = rag_bot("restore", "--check", "all.tar", "--json").json
    assert checked["whole"] is True
    assert all(checked[name] == told[name] for name in ("documents", "rows", "made_at", "program"))
    back = rag_bot("restore", "all.tar", "--index", "other", "--json").json
    assert (back["whole"], back["faults"], back["index"], back["documents"]) == (True, [], "other", 1)


def test_a_folder_gets_a_file_with_the_time_in_its_name(rag_bot: RagBot, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    name = Path(rag_bot("backup", "backups", "--json").json["file"]).name
    assert name.startswith("rag-bot-2") and name.endswith("Z.tar")
    assert left(tmp_path / "backups") == {name}


def test_a_file_that_is_there_is_not_replaced_unless_it_is_forced(rag_bot: RagBot, tmp_path: Path) -> None:
    (tmp_path / "all.tar").write_text("Mine.")
    refused = rag_bot("backup", "all.tar")
    assert (refused.code, "There is a file" in refused.err, "--force" in refused.err) == (1, True, True)
    assert (tmp_path / "all.tar").read_text() == "Mine."
    assert rag_bot("backup", "all.tar", "--force").code == 0
    assert rag_bot("restore", "--check", "all.tar").code == 0


def test_a_file_that_comes_meanwhile_is_not_replaced(rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bundle.write

    def beside(*arguments: object) -> object:
        (tmp_path / "all.tar").write_text("Mine.")
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bundle, "write", beside)
    refused = rag_bot("backup", "all.tar")
    assert (refused.code, "There is a file" in refused.err) == (1, True)
    assert left(tmp_path) == {"all.tar", "pets.txt", "index"}
    assert (tmp_path / "all.tar").read_text() == "Mine."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("backup", "nowhere/all.tar"), "There is no folder"),
        (("backup", "all.tar", "--index", "nowhere"), "There is no index in"),
        (("restore", "nowhere.tar", "--index", "other"), "can't be read: No such file"),
        (("restore", "pets.txt", "--index", "other"), "This is no backup"),
        (("restore", "index", "--index", "other"), "can't be read: Is a directory"),
        (("restore", "all.tar"), "is not empty: it holds"),
        (("restore", "all.tar", "--index", "pets.txt"), "Nothing can be restored into pets.txt"),
        (("restore", "all.tar", "--index", "other", "--state", "sqlite:///nowhere/s.sqlite3"), "There is no folder"),
        (("restore", "all.tar", "--index", "other", "--state", "sqlite:///index/state.sqlite3"), "is not empty"),
        (("restore", "all.tar", "--index", "other", "--state", "sqlite://"), "in memory only"),
        (("restore", "all.tar", "--index", "other", "--state", "no url"), "not a database's URL"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_sentence(
    rag_bot: RagBot, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    if arguments[0] == "restore":
        assert rag_bot("backup", "all.tar").code == 0
    before = left(tmp_path / "index")
    outcome = rag_bot(*arguments)
    assert outcome.code == 1
    assert said in outcome.err and "Traceback" not in outcome.err
    assert left(tmp_path / "index") | {"store.sqlite3-shm", "store.sqlite3-wal", "lock"} >= before
    assert not (tmp_path / "other" / "store.sqlite3").exists()
    assert left(tmp_path) <= {"all.tar", "pets.txt", "index", "other"}


def test_a_backup_goes_through_a_pipe(rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out, isatty=lambda: False))
    with pytest.raises(SystemExit) as end:
        main(["backup", "-"])
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert not end.value.code
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(out.getvalue())))
    assert rag_bot("restore", "-", "--index", "other").code == 0
    assert conversations(f"sqlite:///{tmp_path / 'other' / 'state.sqlite3'}") == ["When?", "Who?"]
    assert left(tmp_path) == {"pets.txt", "index", "other"}


def test_a_terminal_gets_no_backup(rag_bot: RagBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    refused = rag_bot("backup", "-")
    assert (refused.code, "not written to a terminal" in refused.err) == (1, True)


def test_an_index_without_conversations(rag_bot: RagBot, tmp_path: Path) -> None:
    for path in (tmp_path / "index").glob("state.sqlite3*"):
        path.unlink()
    told = rag_bot("backup", "all.tar", "--json").json
    assert (told["database"], told["conversations"], told["rows"]) == (None, 0, {})
    assert rag_bot("restore", "all.tar", "--index", "other").code == 0
    assert not (tmp_path / "other" / "state.sqlite3").exists()


def test_conversations_may_stand_elsewhere(rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    assert rag_bot("backup", "all.tar").code == 0
    place = f"sqlite:///{tmp_path / 'elsewhere' / 's.sqlite3'}"
    monkeypatch.setenv("RAG_BOT_STATE", place)
    assert rag_bot("restore", "all.tar", "--index", "other").code == 0
    assert left(tmp_path / "elsewhere") == {"s.sqlite3"}
    assert not (tmp_path / "other" / "state.sqlite3").exists()
    assert conversations(place) == ["When?", "Who?"]
    assert rag_bot("backup", "again.tar", "--index", "other", "--json").json["conversations"] == 2


def test_they_move_to_postgresql_and_back(rag_bot: RagBot, tmp_path: Path, databases: Databases) -> None:
    url = databases.fresh()
    assert rag_bot("backup", "all.tar").code == 0
    assert rag_bot("restore", "all.tar", "--index", "other", "--state", url).code == 0
    assert conversations(url) == ["When?", "Who?"]
    told = rag_bot("backup", "again.tar", "--index", "other", "--state", url, "--json").json
    assert (told["database"], told["conversations"]) == ("postgresql", 2)
    refused = rag_bot("restore", "again.tar", "--index", "third", "--state", url)
    assert (refused.code, "is not empty" in refused.err, "tests@" in refused.err) == (1, True, True)
    assert rag_bot("restore", "again.tar", "--index", "third").code == 0
    assert conversations(f"sqlite:///{tmp_path / 'third' / 'state.sqlite3'}") == ["When?", "Who?"]


def test_a_database_that_fails_at_the_end_leaves_no_index(
    rag_bot: RagBot, tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.fresh()
    assert rag_bot("backup", "all.tar").code == 0

    def fails(connection: object, table: object) -> None:
        raise StateError("The database went away.")

    monkeypatch.setattr(state_copy, "_go_on_counting", fails)
    refused = rag_bot("restore", "all.tar", "--index", "other", "--state", url)
    assert (refused.code, "went away" in refused.err) == (1, True)
    assert left(tmp_path / "other") == {"lock"}
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert conversations(url) == []
    assert rag_bot("restore", "all.tar", "--index", "other", "--state", url).code == 0


def rewritten(path: Path, change: Callable[[dict[str, object], dict[str, Path]], None], place: Path) -> None:
    """Another backup in place of one, sound, of what a program from elsewhere may have put into it."""
    place.mkdir()
    files: dict[str, Path] = {}
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            if member.name != bundle.MANIFEST:
                files[member.name] = place / str(len(files))
                data = tar.extractfile(member)
                assert data
                files[member.name].write_bytes(data.read())
        manifest = tar.extractfile(bundle.MANIFEST)
        assert manifest
        facts = json.load(manifest)["facts"]
    change(facts, files)
    with path.open("wb") as file:
        bundle.write(file, "9.9", facts, files)


@pytest.mark.parametrize("check", [True, False])
def test_what_a_newer_program_made_is_refused(rag_bot: RagBot, tmp_path: Path, check: bool) -> None:
    assert rag_bot("backup", "all.tar").code == 0
    original = (tmp_path / "all.tar").read_bytes()
    newer_index = {"schema": SCHEMA_VERSION + 1}
    changes: dict[str, Callable[[dict[str, object], dict[str, Path]], None]] = {
        f"an index of format {SCHEMA_VERSION + 1}": lambda facts, files: facts.update(index=newer_index),
        "conversations of revision 99": lambda facts, files: facts.update(state={"revision": "99", "rows": {}}),
        "it is not clear what it has of conversations": lambda facts, files: facts.update(state=None),
        "not clear what it has": lambda facts, files: facts.update(state={"revision": "1", "rows": 5}),
        "The backup holds no index": lambda facts, files: facts.update(index=None),
        "holds index/other, which belongs to none": lambda facts, files: files.update({"index/other": tmp_path / "pets.txt"}),
    }
    for number, (said, change) in enumerate(changes.items()):
        (tmp_path / "all.tar").write_bytes(original)
        rewritten(tmp_path / "all.tar", change, tmp_path / f"files{number}")
        refused = rag_bot("restore", "all.tar", "--index", "other", *(["--check"] if check else []))
        assert (refused.code, said in refused.err) == (1, True), (said, refused.err)
        assert check or left(tmp_path / "other") == {"lock"}


def test_a_store_that_says_less_than_it_is_is_refused(rag_bot: RagBot, tmp_path: Path) -> None:
    """A manifest may say anything: the store itself is looked at, too."""
    assert rag_bot("backup", "all.tar").code == 0

    def change(facts: dict[str, object], files: dict[str, Path]) -> None:
        data = bytearray(files["index/store.sqlite3"].read_bytes())
        data[60:64] = (99).to_bytes(4, "big")  # where SQLite keeps the version of the tables
        files["index/store.sqlite3"].write_bytes(data)

    rewritten(tmp_path / "all.tar", change, tmp_path / "files")
    refused = rag_bot("restore", "all.tar", "--index", "other")
    assert (refused.code, "has format 99" in refused.err) == (1, True)
    assert left(tmp_path / "other") == {"lock"}


def test_faults_that_the_index_had_are_told_and_it_is_restored(rag_bot: RagBot, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "index" / "store.sqlite3") as db:
        db.execute("UPDATE documents SET characters = 5000")
    db.close()
    made = rag_bot("backup", "all.tar")
    assert (made.code, "has a fault: Document" in made.err, made.out.startswith("all.tar: 1 document")) == (1, True, True)
    back = rag_bot("restore", "all.tar", "--index", "other")
    assert (back.code, "it had a fault when it was backed up" in back.err, "1 document" in back.out) == (1, True, True)


def test_one_byte_that_is_not_right_is_enough(rag_bot: RagBot, tmp_path: Path) -> None:
    assert rag_bot("backup", "all.tar").code == 0
    whole = (tmp_path / "all.tar").read_bytes()
    with tarfile.open(tmp_path / "all.tar") as tar:
        places = {member.name: member.offset_data + member.size // 2 for member in tar.getmembers()}
    for name, place in places.items():
        (tmp_path / "all.tar").write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        for arguments in (["--check"], ["--index", "other"]):
            refused = rag_bot("restore", "all.tar", *arguments)
            assert (refused.code, name in refused.err or "manifest is damaged" in refused.err) == (1, True), refused.err
        assert left(tmp_path / "other") == {"lock"}


def test_a_disk_without_room_is_not_filled(rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rag_bot("backup", "all.tar").code == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000))
    refused = rag_bot("restore", "all.tar", "--index", "other")
    assert (refused.code, "has room for 1,000" in refused.err) == (1, True)


def test_a_file_system_without_links_gets_its_file_too(
    rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert rag_bot("backup", "all.tar").code == 0
    assert rag_bot("backup", "all.tar").code == 1
    assert rag_bot("restore", "--check", "all.tar").code == 0


def test_a_stop_is_said_and_leaves_nothing(rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "write", stop)
    stopped = rag_bot("backup", "all.tar")
    assert (stopped.code, "Stopped; no backup was made." in stopped.err) == (130, True)
    assert left(tmp_path) == {"pets.txt", "index"}
