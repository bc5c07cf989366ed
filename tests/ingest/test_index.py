"""The index on this machine: the promises of every index, and those of its folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.build import reembed
from ingest.embedder import HashEmbedder
from ingest.errors import EmbedderMismatch, IndexBusy, IndexDamaged, IndexMissing, SourceError, StoreError
from ingest.index import STORE, Index, document_id
from ingest.inspect import Finding
from ingest.settings import IngestSettings
from ingest.store import connection, schema
from tests.contracts.index import IndexContract, Open
from tests.ingest.support import (
    HASH,
    READER,
    TEXTS,
    as_first_schema,
    assert_whole,
    fill,
    found,
    load_embedder,
    made,
    names,
    put,
)

PETS = document_id("/docs/pets.txt")
REPOSITORY = Path(__file__).resolve().parents[2]


class TestLocalIndex(IndexContract):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Open:
        path = tmp_path / "index"
        Index.open(path, settings=HASH, write=True, create=True).close()
        return lambda write: Index.open(path, settings=HASH, write=write)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A published index of the three texts."""
    path = tmp_path / "index"
    with Index.open(path, settings=HASH, write=True, create=True) as index:
        fill(index)
    return path


def files(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


# --- its folder


def test_the_folder_holds_two_generations_at_most(path: Path) -> None:
    with Index.open(path, write=True) as index:
        for n in range(4):
            put(index, "/docs/pets.txt", f"Dogs may come {n} times.")
            index.publish()
            published = {name for name in files(path) if name.startswith(("vectors-", "keywords-"))}
            assert len(published) == 4
    newest = max(published)
    assert newest.startswith("vectors-")
    assert [name for name in files(path) if name.endswith(".new")] == []


def test_nothing_is_published_when_nothing_changed(path: Path) -> None:
    before = files(path)
    with Index.open(path, write=True) as index:
        index.publish()
    assert files(path) == before


def test_a_copied_and_a_moved_folder_work(path: Path, tmp_path: Path) -> None:
    copy, moved = tmp_path / "copy of it", tmp_path / "elsewhere" / "ïndex"
    moved.parent.mkdir()
    shutil.copytree(path, copy)
    path.rename(moved)
    for folder in (copy, moved):
        with Index.open(folder, write=True) as index:
            assert index.notes == []
            assert found(index.search("dogs", 1))[0][0] == "pets.txt"
            put(index, "/docs/new.txt", "Something new.")
            index.publish()
            assert_whole(index)
    assert not path.exists()


def test_a_copy_made_while_it_was_written_to_works(path: Path, tmp_path: Path) -> None:
    with Index.open(path, write=True) as index:
        put(index, "/docs/new.txt", "Something new, not published.")
        shutil.copytree(path, tmp_path / "copy")
    with Index.open(tmp_path / "copy") as copy:
        assert found(copy.search("Something new", 1))[0][0] == "new.txt"
        assert_whole(copy)


def test_the_path_may_be_relative_and_odd(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "what? #1 100% 'quoted' 🦊\n"
    path.rename(odd)
    monkeypatch.chdir(tmp_path)
    with Index.open(Path(odd.name)) as index:
        assert index.path == odd
        monkeypatch.chdir("/")
        assert found(index.search("dogs", 1))[0][0] == "pets.txt"
        assert index.status()["documents"] == 3


def test_status_tells_what_is_there(path: Path) -> None:
    with Index.open(path) as index:
        status = index.status()
    assert status.pop("bytes") == sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) > 0
    assert int(str(status.pop("version"))) >= 3
    assert status.pop("device") in ("cpu", "cuda")
    assert status == {
        "documents": 3,
        "chunks": 4,
        "quarantined": 0,
        "states": {"done": 3},
        "embedder": "hash",
        "dimension": 256,
        "vector_index": "flat",
    }


# --- opening


def test_where_there_is_no_index(tmp_path: Path) -> None:
    for write in (False, True):
        with pytest.raises(IndexMissing, match="no index in") as caught:
            Index.open(tmp_path / "nowhere", settings=HASH, write=write)
        assert f"--index {tmp_path / 'nowhere'}" in caught.value.hint
    assert not (tmp_path / "nowhere").exists()


def test_one_writer_and_many_readers(path: Path) -> None:
    with Index.open(path, write=True), Index.open(path) as one, Index.open(path) as other:
        with pytest.raises(IndexBusy, match=f"process {os.getpid()}"):
            Index.open(path, write=True)
        assert found(one.search("dogs")) == found(other.search("dogs"))
    Index.open(path, write=True).close()


def test_another_embedder_is_refused_with_the_command_that_changes_it(path: Path) -> None:
    for write in (False, True):
        with pytest.raises(EmbedderMismatch, match="made with the embedder 'hash', not 'minilm'") as caught:
            Index.open(path, settings=IngestSettings(embedder="minilm"), write=write)
        assert f"ingest rebuild --embedder minilm --index {path}" in caught.value.hint
    with Index.open(path, settings=IngestSettings()) as index:
        assert index.embedder.name == "hash"


def test_an_embedder_with_other_numbers_is_refused(path: Path) -> None:
    class Other(HashEmbedder):
        fingerprint = "other"

    with pytest.raises(EmbedderMismatch, match="made with the embedder 'hash'"):
        Index.open(path, embedder=Other())


def test_weights_that_changed_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HashEmbedder, "fingerprint", "hash-256-v2")
    with Index.open(path) as index:
        assert found(index.search("dogs", 1, "keyword"))[0][0] == "pets.txt"
        with pytest.raises(EmbedderMismatch, match="other weights of the embedder 'hash'") as caught:
            index.search("dogs")
        assert f"ingest rebuild --embedder hash --index {path}" in caught.value.hint


def test_a_store_of_another_format_is_refused_and_kept(path: Path) -> None:
    with sqlite3.connect(path / STORE) as db:
        db.execute("PRAGMA user_version = 99")
    before = (path / STORE).read_bytes()
    for write in (False, True):
        with pytest.raises(IndexDamaged, match="has format 99, this program reads format 5"):
            Index.open(path, write=write)
    assert (path / STORE).read_bytes() == before
    with sqlite3.connect(path / STORE) as db:
        db.execute("PRAGMA user_version = 5")
    Index.open(path, write=True).close()


def test_an_index_of_the_first_format_is_read_as_it_is_and_brought_up_to_date_by_its_first_writer(path: Path) -> None:
    as_first_schema(path / STORE)
    before = (path / STORE).read_bytes()
    with Index.open(path) as reader:
        asked = found(reader.search("dogs in the office"))
        assert asked[0][0] == "pets.txt"
        assert (reader.findings(PETS), reader.quarantine(), reader.is_released("0" * 64)) == ((), [], False)
        assert not reader.document(PETS).masked and reader.search("dogs", 1)[0].chunk.findings == ()
        assert reader.parsed(PETS) == made("/docs/pets.txt", TEXTS["/docs/pets.txt"])
        assert_whole(reader)
        assert (path / STORE).read_bytes() == before
        with Index.open(path, write=True) as writer:
            assert_whole(writer)
            put(writer, "/docs/new.txt", "Write to lee.", findings=(Finding("personal", "name", 9, 12),))
            assert found(reader.search("dogs in the office"))[0] == asked[0]
            new = reader.search("write to lee", 1, "keyword")[0]
            assert [finding.kind for finding in new.chunk.findings] == ["name"]
            assert reader.findings(new.document.document_id) == new.chunk.findings
    with sqlite3.connect(path / STORE) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (5,)


def test_bringing_an_index_up_to_date_is_done_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_first_schema(path / STORE)
    broken = {1: f"{schema.MIGRATIONS[1]} INSERT INTO nowhere VALUES (1);"}
    monkeypatch.setattr(connection, "MIGRATIONS", broken)
    with pytest.raises(StoreError):
        Index.open(path, write=True)
    monkeypatch.undo()
    with sqlite3.connect(path / STORE) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    with Index.open(path, write=True) as writer:
        assert_whole(writer)
        assert len(writer.documents()) == 3


def test_an_index_that_was_only_begun_is_empty_not_broken(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.mkdir()
    (path / STORE).touch()
    with pytest.raises(IndexMissing, match="is empty"):
        Index.open(path)
    with Index.open(path, settings=HASH, write=True) as index:
        fill(index)
    with Index.open(path) as index:
        assert_whole(index)


# --- between processes


def test_another_process_sees_each_change_and_each_publication(path: Path) -> None:
    command = [sys.executable, "-c", READER, str(path)]
    with (
        subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader,
        Index.open(path, write=True) as writer,
    ):
        assert reader.stdin and reader.stdout

        def ask() -> list[str]:
            assert reader.stdin and reader.stdout
            reader.stdin.write("office\n")
            reader.stdin.flush()
            version, *answer = reader.stdout.readline().split()
            assert int(version) == writer.version
            return [name for name in answer if name != "leave.md" and name != "rates.csv"]

        assert ask() == ["pets.txt"]
        for n in range(3):
            put(writer, f"/docs/{n}.txt", f"The office is closed on day {n}.")
            assert f"{n}.txt" in ask()
            writer.publish()
            writer.publish(force=True)  # the generation that the reader has open is gone now
            assert ask() == [*(f"{m}.txt" for m in range(n + 1)), "pets.txt"]
            writer.remove(PETS) if n == 2 else None
        assert ask() == ["0.txt", "1.txt", "2.txt"]
        reader.stdin.close()


WRITER = """
import sys
from pathlib import Path
from ingest.index import Index
from tests.ingest.support import put
with Index.open(Path(sys.argv[1]), write=True) as index:
    for n in range(20):
        put(index, f"/docs/{n % 5}.txt", f"The office is closed {n} times.")
        index.publish(force=True)
        print(n, flush=True)
"""


def test_readers_open_and_search_while_another_process_publishes(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout and writer.stdout.readline() == "0\n"
        with Index.open(path) as old:
            while writer.poll() is None:
                with Index.open(path) as index:
                    assert index.notes == []
                    for reader in (index, old):
                        assert {"pets.txt", "0.txt"} <= {name for name, _ in found(reader.search("office", 10, "keyword"))}
                        assert len(reader.search("office", 20, "dense")) >= 5
            assert old.search("19 times", 1, "keyword")[0].chunk.text == "The office is closed 19 times."
    assert writer.returncode == 0


def test_new_documents_score_as_if_they_had_been_there_always(path: Path) -> None:
    with Index.open(path, write=True) as index:
        for n in range(30):
            put(index, f"/docs/{n}.txt", f"The office is closed {n} times a year.")
        index.publish()
        put(index, "/docs/new.txt", "The wombat is in the office.")
        put(index, "/docs/newer.txt", "The wombat may stay.")
        before = {hit.document.source: hit.keyword for hit in index.search("wombat office", 40, "keyword")}
        index.publish()
        after = {hit.document.source: hit.keyword for hit in index.search("wombat office", 40, "keyword")}
    assert before == pytest.approx(after, rel=0.2)  # lengths are compared among the new ones alone: that remains
    assert set(list(after)[:2]) == {"/docs/new.txt", "/docs/newer.txt"}


# --- originals


def test_the_original_is_the_file_as_long_as_it_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "pets.txt"
    file.write_text("Dogs may come.")
    with Index.open(tmp_path / "index", settings=HASH, write=True, create=True) as index:
        entry = put(index, str(file), "Dogs may come.")
        assert entry.document_id and index.original(entry.document_id) == file
        file.write_text("Cats may come.")
        with pytest.raises(SourceError, match=r"pets\.txt is gone or has changed"):
            index.original(entry.document_id)
        index.keep_original(index.parsed(entry.document_id), b"Dogs may come.")
        assert index.original(entry.document_id).read_bytes() == b"Dogs may come."
        index.remove(entry.document_id)
        assert list((index.path / "files").iterdir()) == []


# --- embedding everything anew


def test_everything_is_embedded_anew_while_readers_are_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.index._load_embedder", load_embedder)
    with Index.open(path) as reader:
        version = reader.version
        first = found(reader.search("dogs in the office", 1))
        report = reembed(IngestSettings(index=path), "words")
        assert (report.count("added"), report.failed) == (3, False)
        assert found(reader.search("dogs in the office", 1)) == first
        assert (reader.dimension, reader.embedder.name, reader.version > version) == (128, "words", True)
        assert_whole(reader)
    with Index.open(path, settings=IngestSettings(embedder="words"), write=True) as writer:
        assert writer.notes == []
        assert found(writer.search("dogs in the office", 1)) == first
        put(writer, "/docs/new.txt", "Something new.")
        writer.publish()
        assert_whole(writer)
    assert "reembedded" not in files(path)


def test_embedding_anew_that_fails_leaves_the_index_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.index._load_embedder", load_embedder)
    with Index.open(path) as reader:
        before = found(reader.search("dogs in the office"))
        with pytest.raises(MemoryError):
            reembed(IngestSettings(index=path), "broken")
        assert found(reader.search("dogs in the office")) == before
        assert reader.status()["embedder"] == "hash"
    assert "reembedded" not in files(path)
    assert names(Index.open(path)) == [Path(source).name for source in TEXTS]


def test_words_spread_over_two_chunks_find_the_two_of_them(tmp_path: Path) -> None:
    with Index.open(tmp_path, write=True, create=True, embedder=HashEmbedder()) as index:
        first = "The warehouse keeps spare parts. " * 30
        second = "They are sent out within a fortnight. " * 30
        put(index, "/docs/spare.txt", f"{first}\n\n{second}\n\nNothing else is said about it.")
        put(index, "/docs/other.txt", "Letters are sent out within a day. " * 30)
        hits = index.search("warehouse fortnight", 2, "keyword")
        assert [hit.document.title for hit in hits] == ["spare", "spare"]
        assert ["warehouse" in hit.chunk.text for hit in hits] != ["fortnight" in hit.chunk.text for hit in hits]
