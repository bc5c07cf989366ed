"""Backups from under a running service, and kill -9 and full disks at any moment of making and restoring them."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from ingest.index import Index
from ingest.lock import WriteLock
from ingest.uploads import Uploads
from rag_bot.memory import Memory
from tests.faults.support import REPOSITORY, SOAK, Outcome, environment, ingest
from tests.faults.test_disk import fill_up, small_disk
from tests.faults.test_kill_service import service
from tests.ingest.support import assert_whole
from tests.rag_bot.test_memory import an_answer

__all__ = ["small_disk"]

ROUNDS = 300 if SOAK else 30
DOCUMENTS = 12

# The command with all its imports done, forked for each run.
PREPARED = """
import json, os, sys
import rag_bot.cli, rag_bot.backup, rag_bot.backup_cli, ingest.keywords, ingest.vectors
ingest.vectors.load_faiss()
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        output = os.open(os.devnull, os.O_WRONLY)
        os.dup2(output, 1)
        rag_bot.cli.main(json.loads(line))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Command:
    """`rag-bot …`, to be killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, *arguments: object, kill_after: float | None = None) -> int:
        """The exit code; the process is killed after so many seconds, if it has not ended by then."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return int(self._process.stdout.readline())


@pytest.fixture
def command() -> Iterator[Command]:
    with subprocess.Popen(
        [sys.executable, "-c", PREPARED],
        cwd=REPOSITORY, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield Command(process)
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index of some documents, originals, an upload that waits, and conversations."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for n in range(DOCUMENTS):
        (docs / f"doc{n:02}.txt").write_text(text(n, 0))
    shutil.move(shutil.make_archive(str(tmp_path / "all"), "zip", docs), docs)
    path = tmp_path / "index"
    assert ingest("add", docs, "--index", path, cwd=tmp_path).code == 0
    memory = Memory(f"sqlite:///{path / 'state.sqlite3'}")
    for n in range(20):
        memory.save(f"Question {n}?", an_answer(f"c{n % 3}", f"a{n}"))
    memory.close()
    Uploads(path, most=10, most_bytes=1 << 20).put("note.txt", io.BytesIO(b"A note."))
    return path


def timed(command: Command, *arguments: object) -> float:
    """How many seconds a command takes."""
    began = time.monotonic()
    assert command(*arguments) == 0
    return time.monotonic() - began


def text(n: int, version: int) -> str:
    return " ".join(f"Sentence {s} of document {n} is in version {version}." for s in range(40))


def rag_bot(*arguments: object, cwd: Path) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "rag_bot.cli", *map(str, arguments)],
        check=False, cwd=cwd, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def what_is_in(path: Path) -> dict[str, object]:
    """Texts, originals, conversations and waiting uploads of an index that is whole."""
    with Index.open(path) as index:
        assert index.notes == []
        assert_whole(index)
        texts = {info.source: index.text(info.document_id) for info in index.documents()}
        members = [info for info in index.documents() if "!/" in info.source]
        originals = {info.source: index.original(info.document_id).read_bytes() for info in members}
    memory = Memory(f"sqlite:///{path / 'state.sqlite3'}")
    turns = {one.id: [turn.question for turn in memory.conversation(one.id).turns] for one in memory.conversations()}
    memory.close()
    queue = Uploads(path, most=10, most_bytes=1 << 20)
    waiting = [(job, queue.data(job.job_id)) for job in queue.waiting()]
    assert (len(texts), len(originals), len(turns), len(waiting)) == (2 * DOCUMENTS, DOCUMENTS, 3, 1)
    return {"texts": texts, "originals": originals, "turns": turns, "waiting": waiting}


# --- while all goes on


def test_a_backup_of_a_service_that_is_asked_and_filled_is_of_one_moment(tmp_path: Path) -> None:
    docs, index = tmp_path / "docs", tmp_path / "index"
    docs.mkdir()
    for n in range(DOCUMENTS):
        (docs / f"doc{n:02}.txt").write_text(text(n, 0))
    assert ingest("add", docs, "--index", index, cwd=tmp_path).code == 0
    answered, accepted, stop = itertools.count(), itertools.count(), threading.Event()
    told = {"answered": 0, "accepted": 0}
    failures: list[BaseException] = []

    def ask(client: httpx.Client) -> None:
        conversation = None
        while not stop.is_set():
            body = {"question": "Which version is document 3 in?", "conversation_id": conversation}
            conversation = client.post("/v1/chat", json=body).raise_for_status().json()["conversation_id"]
            told["answered"] = next(answered) + 1

    def upload(client: httpx.Client) -> None:
        while not stop.is_set():
            number = next(accepted) + 1
            data = f"The note of today has number {number}.".encode()
            client.post(
                "/v1/documents", files={"file": ("note.txt", data)}, headers={"Prefer": "respond-async"}
            ).raise_for_status()
            told["accepted"] = number
            time.sleep(0.05)

    def fill() -> None:
        for version in itertools.count(1):
            for n in range(DOCUMENTS):
                (docs / f"doc{n:02}.txt").write_text(text(n, version))
            if stop.is_set():
                return
            assert ingest("add", docs, "--index", index, cwd=tmp_path).code in (0, 1)  # or the service is writing just then

    def run(work: object, *arguments: object) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)

    made: list[tuple[dict[str, int], dict[str, int]]] = []
    with service(index, tmp_path) as (_, client):
        threads = [threading.Thread(target=run, args=work) for work in ((ask, client), (upload, client), (fill,))]
        for thread in threads:
            thread.start()
        for number in range(20 if SOAK else 3):
            while told["answered"] < number or told["accepted"] < number:
                time.sleep(0.1)
            before = dict(told)
            outcome = rag_bot("backup", tmp_path / f"{number}.tar", "--index", index, "--json", cwd=tmp_path)
            assert (outcome.code, outcome.json["notes"], outcome.json["faults"]) == (0, [], []), outcome.err
            made.append((before, dict(told)))
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    for number, (before, after) in enumerate(made):
        other = tmp_path / f"restored{number}"
        outcome = rag_bot("restore", tmp_path / f"{number}.tar", "--index", other, "--json", cwd=tmp_path)
        assert (outcome.code, outcome.json["whole"]) == (0, True), outcome.err
        check_moment(other, before, after)


def check_moment(path: Path, before: dict[str, int], after: dict[str, int]) -> None:
    """What there is is what there was at some moment between these two."""
    with Index.open(path) as index:
        assert_whole(index)
        versions = []
        for info in index.documents():
            content = index.text(info.document_id)
            if info.source.startswith("upload:"):
                assert index.original(info.document_id).read_bytes().decode().strip() == content.strip()
                stored = int(content.strip().rstrip(".").rpartition(" ")[2])
            else:
                versions.append(int(content.rstrip(".\n").rpartition(" ")[2]))
                assert content.strip() == text(len(versions) - 1, versions[-1])
        has_note = index.find("upload:note.txt") is not None
    assert len(versions) == DOCUMENTS
    # Each run goes through the documents in their order, and one that is busy with uploads changes none.
    assert versions == sorted(versions, reverse=True)
    waiting = [
        int(re.findall(rb"\d+", file.read_bytes())[0]) for file in sorted((path / "uploads").glob("*.bin"))
    ]  # fmt: skip
    first = stored if has_note else 0
    assert waiting == [*range(first + 1, first + 1 + len(waiting))]
    assert before["accepted"] <= first + len(waiting) <= after["accepted"] + 1
    memory = Memory(f"sqlite:///{path / 'state.sqlite3'}")
    turns = [len(memory.conversation(one.id).turns) for one in memory.conversations()]
    memory.close()
    assert before["answered"] <= sum(turns) <= after["answered"] + 1


# --- kill -9


@pytest.mark.soak
def test_kill_a_backup_at_any_moment(command: Command, index: Path, tmp_path: Path) -> None:
    chance = random.Random()
    place = tmp_path / "backups"
    place.mkdir()
    target = place / "all.tar"
    expected = what_is_in(index)
    killed = whole = 0
    seconds = min(timed(command, "backup", target, "--index", index, "--force") for _ in range(3))
    target.unlink()
    for number in range(ROUNDS):
        derived = ["--with-derived"] * (number % 2)
        code = command("backup", target, "--index", index, *derived, kill_after=chance.uniform(0, 1.1 * seconds))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        if target.exists():
            assert command("restore", "--check", target) == 0
            whole += code != 0
            target.unlink()
        else:
            assert code != 0
    assert command("backup", target, "--index", index) == 0
    # Of one that was killed just when it had made its folder, or had just emptied it, that may be left for a while.
    assert [path.name for path in place.rglob("*") if path.is_file()] == ["all.tar"]
    assert [path for folder in index.glob("backing-up-*") for path in folder.iterdir()] == []
    assert what_is_in(index) == expected
    assert command("restore", target, "--index", tmp_path / "other") == 0
    assert what_is_in(tmp_path / "other") == expected
    print(f"{killed} of {ROUNDS} backups were killed, {whole} of them after the file had its name")
    assert killed > ROUNDS // 4


@pytest.mark.soak
def test_kill_a_restore_at_any_moment(command: Command, index: Path, tmp_path: Path) -> None:
    chance = random.Random()
    expected = what_is_in(index)
    assert command("backup", tmp_path / "plain.tar", "--index", index) == 0
    assert command("backup", tmp_path / "derived.tar", "--index", index, "--with-derived") == 0
    killed = amid = there = 0
    seconds = {
        name: min(timed(command, "restore", tmp_path / f"{name}.tar", "--index", tmp_path / f"{name}{n}") for n in range(3))
        for name in ("plain", "derived")
    }
    for number in range(ROUNDS):
        name = ("plain", "derived")[number % 2]
        target = tmp_path / f"restored{number}"
        after = chance.uniform(0, 1.1) * seconds[name]
        code = command("restore", tmp_path / f"{name}.tar", "--index", target, kill_after=after)
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        if (target / "store.sqlite3").exists():
            there += code != 0
            assert what_is_in(target) == expected
        else:
            assert code != 0
            amid += target.exists() and any(target.iterdir())
            with pytest.raises(Exception, match="no index in"):
                Index.open(target)
            assert command("restore", tmp_path / f"{name}.tar", "--index", target) == 0
            assert what_is_in(target) == expected
            assert not list(target.glob("restoring-*"))
        shutil.rmtree(target)
    print(f"{killed} of {ROUNDS} restores were killed: {amid} with something left, {there} when all was in place")
    assert killed > ROUNDS // 4 and amid > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_backup_and_leaves_nothing(index: Path, tmp_path: Path, number: signal.Signals) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    read, write = os.pipe()  # that nobody reads from: the backup stops in the middle of it
    with subprocess.Popen(
        [sys.executable, "-m", "rag_bot.cli", "backup", "-", "--index", str(index)],
        env=environment(TMPDIR=str(place)), stdout=write, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        until = time.monotonic() + 60
        while not list(place.glob("*/index/store.sqlite3")):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        assert os.read(read, 512)
        process.send_signal(number)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()  # where signals are ignored it would wait for ever
    os.close(read)
    os.close(write)
    assert process.returncode == 128 + number
    assert "Stopped; no backup was made." in said and "Traceback" not in said
    assert list(place.iterdir()) == [] and not list(index.glob("backing-up-*"))


# --- full disks, and folders that can't be written to


def test_a_full_disk_leaves_no_backup(index: Path, small_disk: Path, tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in index.glob("store.sqlite3"))
    for leave in (0, size // 2, size + 8192):
        ballast = fill_up(small_disk, leave=leave)
        outcome = rag_bot("backup", small_disk / "all.tar", "--index", index, cwd=tmp_path)
        assert (outcome.code, "The disk is full" in outcome.err, "Traceback" in outcome.err) == (1, True, False), outcome.err
        assert [path.name for path in small_disk.iterdir()] == ["ballast"]
        ballast.unlink()
    assert rag_bot("backup", small_disk / "all.tar", "--index", index, cwd=tmp_path).code == 0


def test_a_full_disk_leaves_no_index(index: Path, small_disk: Path, tmp_path: Path) -> None:
    assert rag_bot("backup", tmp_path / "all.tar", "--index", index, cwd=tmp_path).code == 0
    size = (tmp_path / "all.tar").stat().st_size
    for leave in (0, size // 2, size + 16384):  # the last has room for all but what is built
        ballast = fill_up(small_disk, leave=leave)
        outcome = rag_bot("restore", tmp_path / "all.tar", "--index", small_disk / "index", cwd=tmp_path)
        assert (outcome.code, "Traceback" in outcome.err) == (1, False)
        assert "The disk is full" in outcome.err or "has room for" in outcome.err
        assert not (small_disk / "index").exists() or {path.name for path in (small_disk / "index").iterdir()} <= {"lock"}
        ballast.unlink()
    assert rag_bot("restore", tmp_path / "all.tar", "--index", small_disk / "index", cwd=tmp_path).code == 0
    assert what_is_in(small_disk / "index") == what_is_in(index)


def test_a_backup_waits_for_no_writer_and_a_restore_for_none(index: Path, tmp_path: Path) -> None:
    with WriteLock(index):
        assert rag_bot("backup", tmp_path / "all.tar", "--index", index, cwd=tmp_path).code == 0
    (tmp_path / "other").mkdir()
    with WriteLock(tmp_path / "other"):
        outcome = rag_bot("restore", tmp_path / "all.tar", "--index", tmp_path / "other", cwd=tmp_path)
    assert (outcome.code, "Another process" in outcome.err) == (1, True)
