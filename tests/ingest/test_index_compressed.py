"""An index of more chunks than are searched exactly: published compressed, with its promises kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ingest.index import Index
from ingest.manifest import Manifest
from ingest.settings import IngestSettings
from ingest.types import DocumentInfo
from tests.ingest.support import put

SMALL = IngestSettings(embedder="hash", exact_vectors=100)
COUNT = 400
PLACES = "lobby garden kitchen library cellar attic workshop bakery harbour mill".split()
THINGS = "lamp ladder kettle atlas barrel trunk hammer oven anchor sieve".split()


def text(n: int) -> str:
    return f"The {THINGS[n % 10]} number {n} stands in the {PLACES[n // 10 % 10]} of house {n // 100}."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "index"
    with Index.open(path, settings=SMALL, write=True, create=True) as index:
        for n in range(COUNT):
            put(index, f"/docs/{n}.txt", text(n))
        index.publish()
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "index"))


def best(index: Index, n: int, k: int = 1) -> list[str]:
    return [hit.document.source for hit in index.search(text(n), k, "dense")]


def test_what_was_chosen_stands_in_the_manifest_and_in_the_status(path: Path) -> None:
    manifest = Manifest.read(path)
    assert manifest and set(manifest.vectors.settings) == {"nlist", "nprobe", "refined", "recall"}
    assert 0.9 <= manifest.vectors.settings["recall"] <= 1
    with Index.open(path) as index:
        status = index.status()
        assert (status["vector_index"], index.verify(), index.notes) == ("ivf", [], [])
        assert json.loads(json.dumps(status))["device"] in ("cpu", "cuda")
        assert sum(best(index, n) == [f"/docs/{n}.txt"] for n in range(0, COUNT, 10)) >= 38
    assert not list(path.glob("*.spool"))


def test_what_is_added_and_removed_shows_at_once_without_publishing(path: Path) -> None:
    before = Manifest.read(path)
    with Index.open(path, settings=SMALL, write=True) as index, Index.open(path) as reader:
        put(index, "/docs/new.txt", "The zeppelin hangs over the pasture.")
        assert [hit.document.source for hit in reader.search("zeppelin over the pasture", 1, "dense")] == ["/docs/new.txt"]
        entry = index.find("/docs/7.txt")
        assert entry
        index.remove(entry.document_id)
        assert "/docs/7.txt" not in best(reader, 7, 50)
    after = Manifest.read(path)
    assert before and after and after.generation == before.generation


def test_only_what_is_allowed_is_found(path: Path) -> None:
    def allowed(info: DocumentInfo) -> bool:
        return int(Path(info.source).stem) % 3 == 0

    with Index.open(path) as index:
        for n in range(0, COUNT, 25):
            found = [hit.document.source for hit in index.search(text(n), 10, "dense", allowed=allowed)]
            assert len(found) == 10 and all(int(Path(source).stem) % 3 == 0 for source in found)
            assert n % 3 or found[0] == f"/docs/{n}.txt"


def test_a_damaged_file_is_built_again(path: Path) -> None:
    manifest = Manifest.read(path)
    assert manifest
    file = path / manifest.vectors.name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with Index.open(path, settings=SMALL, write=True) as index:
        assert any("does not match its hash" in note for note in index.notes)
        assert index.verify() == [] and index.status()["vector_index"] == "ivf"
        assert best(index, 5) == ["/docs/5.txt"]


def test_what_a_killed_process_left_is_taken_away(path: Path) -> None:
    (path / "vectors-000777.spool").write_bytes(b"half of it")
    with Index.open(path, settings=SMALL, write=True) as index:
        index.rebuild()
        assert not list(path.glob("*.spool")) and index.verify() == []


def test_the_setting_decides_at_each_publishing(path: Path) -> None:
    with Index.open(path, settings=IngestSettings(embedder="hash"), write=True) as index:
        assert index.status()["vector_index"] == "ivf"
        index.rebuild()
        assert index.status()["vector_index"] == "flat"
    with Index.open(path, settings=IngestSettings(embedder="hash", exact_vectors=0), write=True) as index:
        index.rebuild()
        assert index.status()["vector_index"] == "ivf"
