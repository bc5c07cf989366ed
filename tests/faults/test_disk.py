"""A full disk: said in a sentence, what was reported stays whole, and with space again it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import StorageFull
from ingest.index import Index
from tests.faults.support import Outcome, environment, ingest
from tests.ingest.support import HASH, assert_whole, fill, found, names, put

DOCUMENTS = 20
SENTENCES = 100


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Half a megabyte of text; its store has three, with the vectors."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(DOCUMENTS):
        (folder / f"doc{n:02}.txt").write_text(
            " ".join(f"Sentence word{n}x{s} says this and that of {s}. " * 4 for s in range(SENTENCES))
        )
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill_up(disk: Path, leave: int = 4096) -> Path:
    """A file that takes all but `leave` bytes of a disk."""
    free = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize - leave))
    return disk / "ballast"


def reported(outcome: Outcome) -> list[str]:
    lines = (line.split() for line in outcome.err.splitlines())
    return [Path(words[1]).name for words in lines if words and words[0] == "added"]


def check_stopped(outcome: Outcome, path: Path) -> None:
    """It ended with a sentence, and what it reported until then is there whole."""
    assert outcome.code == 1
    assert "Error: The disk is full: " in outcome.err
    assert "Free some space" in outcome.err
    assert "Traceback" not in outcome.err
    assert 0 < len(reported(outcome)) <= DOCUMENTS
    with Index.open(path) as index:
        assert set(reported(outcome)) <= set(names(index))
        assert_whole(index)
        assert index.search("word1x7", 1, "keyword")[0].document.title == "doc01"


def check_completed(outcome: Outcome, path: Path) -> None:
    assert (outcome.code, set(outcome.statuses.values())) == (0, {"added", "unchanged"})
    with Index.open(path) as index:
        assert index.notes == []
        assert len(names(index)) == DOCUMENTS
        assert_whole(index)
        assert index.search(f"word{DOCUMENTS - 1}x7", 1, "keyword")[0].document.title == f"doc{DOCUMENTS - 1}"
    assert not [file.name for file in path.iterdir() if file.name.startswith("damaged-")]


def test_a_full_disk(docs: Path, small_disk: Path, tmp_path: Path) -> None:
    path = small_disk / "index"
    ballast = fill_up(small_disk, leave=1_500_000)
    check_stopped(ingest("add", docs, "--index", path, cwd=tmp_path), path)
    again = ingest("add", docs, "--index", path, cwd=tmp_path)
    assert again.code == 1 and "The disk is full" in again.err and "Traceback" not in again.err
    ballast.unlink()
    check_completed(ingest("add", docs, "--index", path, "--json", cwd=tmp_path), path)


def test_a_disk_that_is_full_from_the_start(docs: Path, small_disk: Path, tmp_path: Path) -> None:
    ballast = fill_up(small_disk)
    outcome = ingest("add", docs, "--index", small_disk / "index", cwd=tmp_path)
    assert (outcome.code, reported(outcome)) == (1, [])
    assert "Error: The disk is full: " in outcome.err
    assert "Traceback" not in outcome.err
    ballast.unlink()
    (docs / "doc00.txt").rename(tmp_path / "doc00.txt")
    assert ingest("add", tmp_path / "doc00.txt", "--index", small_disk / "index", cwd=tmp_path).code == 0


def test_a_disk_that_is_full_when_the_files_are_published(small_disk: Path) -> None:
    path = small_disk / "index"
    with Index.open(path, settings=HASH, write=True, create=True) as index:
        fill(index)
        for n in range(100):
            put(index, f"/docs/{n}.txt", f"The rule of word{n} is left out.")
        before = (path / "manifest.json").read_bytes()
        ballast = fill_up(small_disk, leave=64 * 1024)
        with pytest.raises(StorageFull, match="the documents are stored") as caught:
            index.publish()
        assert caught.value.hint == f"Free some space, then: ingest rebuild --index {path}"
        assert found(index.search("word77", 1, "keyword"))[0][0] == "77.txt"
        assert (path / "manifest.json").read_bytes() == before
        with Index.open(path) as reader:
            assert reader.notes == []
            assert found(reader.search("word77", 1, "keyword"))[0][0] == "77.txt"
        ballast.unlink()
        index.rebuild()
        assert_whole(index)
    assert len(list(path.glob("vectors-*"))) <= 2


# No file may grow larger than this: what a quota or a small file system does, for tests that may mount nothing.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from ingest.cli import main
main(sys.argv[1:])
"""


def test_files_that_can_not_grow(docs: Path, tmp_path: Path) -> None:
    path = tmp_path / "index"
    command = [sys.executable, "-c", LIMITED, "1000000", "add", str(docs), "--index", str(path)]
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    check_stopped(Outcome(done.returncode, done.stdout, done.stderr), path)
    check_completed(ingest("add", docs, "--index", path, "--json", cwd=tmp_path), path)
