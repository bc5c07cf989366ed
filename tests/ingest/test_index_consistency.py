"""A search sees the index at one moment, whatever another process does to it meanwhile."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from ingest.build import reembed
from ingest.index import STORE, Index
from ingest.settings import IngestSettings
from ingest.types import Allowed, DocumentInfo, Mode
from tests.faults.support import REPOSITORY, SOAK
from tests.ingest.support import HASH, at_steps, fill, load_embedder, put

QUESTION = "dogs in the office"


def changing(index: Index, *, publish: bool = False) -> Callable[[], None]:
    """Each call puts another version of one of the three texts in its place."""
    days = itertools.count()

    def change() -> None:
        put(index, "/docs/pets.txt", f"Dogs may come to the office on day {next(days)}.")
        if publish:
            index.publish(force=True)

    return change


def pets(index: Index, mode: Mode = "hybrid", allowed: Allowed | None = None) -> int:
    """How often a search finds the text that is always there."""
    return sum(hit.document.title == "pets" for hit in index.search(QUESTION, 10, mode, allowed=allowed))


def readable(info: DocumentInfo) -> bool:
    return not info.source.startswith("/secret/")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An index of the three texts, and one that not everybody may read."""
    path = tmp_path / "index"
    with Index.open(path, settings=HASH, write=True, create=True) as index:
        fill(index)
        put(index, "/secret/dogs.txt", "Dogs may come to the office of the board.")
        index.publish(force=True)
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[Index]:
    with Index.open(path, write=True) as index:
        yield index


@pytest.mark.parametrize("publish", [False, True])
@pytest.mark.parametrize("allowed", [None, readable])
@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
def test_what_is_replaced_at_any_step_of_a_search_is_found(
    writer: Index, mode: Mode, allowed: Allowed | None, publish: bool
) -> None:
    change = changing(writer, publish=publish)
    every = 1 if SOAK else 7 if publish else 3
    missed = []
    with Index.open(writer.path) as reader:
        for number in itertools.count(1, every):
            change()  # so that there is something to catch up with
            with at_steps(number.__eq__, change) as steps:
                found = pets(reader, mode, allowed)
            missed += [number] * (found != 1)
            if steps[0] < number:
                break
    assert missed == []
    assert number > 50


@pytest.mark.parametrize("publish", [False, True])
def test_a_search_ends_although_what_it_finds_is_replaced_all_the_time(writer: Index, publish: bool) -> None:
    change = changing(writer, publish=publish)
    changed = itertools.count()
    # Published all the time, too, until so late that only a search that sees nothing of it all can have an end before.
    most = 40 if publish else 10_000

    def act() -> None:
        if next(changed) < most:
            change()

    with Index.open(writer.path) as reader, at_steps(lambda number: number % 3 == 0, act) as steps:
        assert pets(reader) == 1
    assert next(changed) > 40
    assert steps[0] < 3_000


def test_of_several_versions_the_newest_is_found_whatever_comes_meanwhile(tmp_path: Path) -> None:
    newest = IngestSettings(embedder="hash", documents_versions="newest")
    with Index.open(tmp_path / "index", settings=newest, write=True, create=True) as writer:
        for number in (1, 2):
            put(writer, f"/docs/policy v{number}.0.txt", f"Version {number}.0. Dogs may come to the office on Fridays.")
        missed = []
        with Index.open(writer.path, settings=newest) as reader:
            for number in itertools.count(1):
                text = f"Version 2.0. Dogs may come to the office on Fridays, and on day {number}."
                with at_steps(number.__eq__, partial(put, writer, "/docs/policy v2.0.txt", text)) as steps:
                    hits = reader.search(QUESTION, 10)
                missed += [number] * ([hit.document.title for hit in hits] != ["policy v2.0"])
                if steps[0] < number:
                    break
    assert missed == []


def test_everything_may_be_embedded_anew_at_any_step(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.index._load_embedder", load_embedder)
    names = itertools.cycle(("words", "hash"))
    missed = []
    with Index.open(path) as reader:
        for number in itertools.count(1, 1 if SOAK else 11):
            with at_steps(number.__eq__, lambda: reembed(IngestSettings(index=path), next(names))) as steps:
                missed += [number] * (pets(reader) != 1)
            if steps[0] < number:
                break
    assert missed == []


def test_a_chunk_that_only_the_published_files_know_keeps_no_search_from_its_end(path: Path) -> None:
    with sqlite3.connect(path / STORE) as db:
        db.execute("DELETE FROM chunks WHERE document_id = (SELECT id FROM documents WHERE title = 'pets')")
    db.close()
    with Index.open(path) as reader:
        assert pets(reader) == 0
        assert len(reader.search(QUESTION, 10)) == 4


def test_an_index_from_before_there_were_epochs_is_searched(path: Path) -> None:
    with sqlite3.connect(path / STORE) as db:
        db.execute("DELETE FROM meta WHERE key = 'epoch'")
    db.close()
    with Index.open(path) as reader:
        assert pets(reader) == 1


WRITER = """
import sys, time
from pathlib import Path
from ingest.index import Index
from tests.ingest.support import put
with Index.open(Path(sys.argv[1]), write=True) as index:
    until = time.monotonic() + float(sys.argv[2])
    n = 0
    while time.monotonic() < until:
        n += 1
        put(index, f"/docs/{n % 5}.txt", f"The office is closed {n} times.")
        if n % 3 == 0:
            index.publish(force=True)
print(n)
"""
BURNER = "while True: pass"


@pytest.mark.soak
def test_readers_miss_nothing_while_another_process_replaces_and_publishes_on_a_busy_machine(path: Path) -> None:
    with Index.open(path, write=True) as index:
        for number in range(5):
            put(index, f"/docs/{number}.txt", f"The office is closed {number / 10} times.")
    there = sorted(["pets", *map(str, range(5))])
    modes: tuple[Mode, ...] = ("hybrid", "dense", "keyword")
    searches = 0
    with ExitStack() as stack:
        for _ in range(3):
            stack.callback(stack.enter_context(subprocess.Popen([sys.executable, "-c", BURNER])).kill)
        command = [sys.executable, "-c", WRITER, str(path), "300" if SOAK else "4"]
        other = stack.enter_context(subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True))
        readers = [stack.enter_context(Index.open(path)) for _ in range(2)]
        threads = stack.enter_context(ThreadPoolExecutor(4))
        asked = list(itertools.product(readers, modes, (None, readable)))

        def ask(one: tuple[Index, Mode, Allowed | None]) -> list[str]:
            reader, mode, allowed = one
            hits = reader.search("dogs in a closed office", 50, mode, allowed=allowed)
            return sorted(hit.document.title for hit in hits if hit.document.title in there)

        while other.poll() is None:
            for titles in threads.map(ask, asked):
                assert titles == there
                searches += 1
        assert other.returncode == 0 and other.stdout
        print(f"{searches} searches beside {other.stdout.read().strip()} replacements")
    assert searches > 100
