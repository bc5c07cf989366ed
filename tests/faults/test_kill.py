"""Kill -9 at any moment of `ingest add`: what was reported stays, nothing is half there, and the next run goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ingest.index import Index
from tests.faults.support import REPOSITORY, SOAK, environment
from tests.ingest.support import HASH, assert_whole

ROUNDS = 500 if SOAK else 50
DOCUMENTS = 8

# The command with all its imports done, forked for each run: starting Python fifty times would be most of the test.
PREPARED = """
import json, os, sys
import ingest.build, ingest.cli, ingest.console, ingest.display, ingest.keywords, ingest.vectors
ingest.vectors.load_faiss()
for line in sys.stdin:
    arguments, log = json.loads(line)
    child = os.fork()
    if child == 0:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        ingest.cli.main(arguments)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Command:
    """`ingest add` on a folder, to be killed."""

    def __init__(self, process: subprocess.Popen[str], docs: Path, index: Path, log: Path) -> None:
        self.process, self.docs, self.index, self.log = process, docs, index, log

    def run(self, kill_after: float | None = None) -> int:
        """The exit code; the process is killed after so many seconds, if it has not ended by then."""
        assert self.process.stdin and self.process.stdout
        arguments = ["add", str(self.docs), "--index", str(self.index)]
        self.log.unlink(missing_ok=True)
        self.process.stdin.write(json.dumps([arguments, str(self.log)]) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            with suppress(ProcessLookupError):  # it was done before
                os.kill(pid, signal.SIGKILL)
        return int(self.process.stdout.readline())

    def reported(self) -> set[str]:
        """The names of the documents that were reported as added or replaced, in whole lines."""
        lines = self.log.read_text().split("\n")[:-1] if self.log.exists() else []
        words = [line.split() for line in lines]
        return {Path(found[1]).stem for found in words if found and found[0] in ("added", "replaced")}


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    docs = tmp_path / "docs"
    docs.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARED],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Command(process, docs, tmp_path / "index", tmp_path / "log")
        assert process.stdin
        process.stdin.close()


def text(name: str, version: int) -> str:
    return " ".join(f"Sentence {n} of {name} in version {version} is word{version}x{name}." for n in range(150))


def versions_in(index: Index) -> dict[str, int]:
    """The version of each document that the index has, whole and to be found."""
    assert index.notes == []
    assert_whole(index)
    versions: dict[str, int] = {}
    for info in index.documents():
        name, content = Path(info.source).stem, index.text(info.document_id)
        version = versions[name] = int(content.split(maxsplit=7)[6])
        assert content == text(name, version)
        hits = index.search(f"word{version}x{name}", 3, "keyword")
        assert {hit.document.source for hit in hits} == {info.source}
    return versions


@pytest.mark.soak
def test_kill_at_any_moment(command: Command) -> None:
    chance = random.Random()
    on_disk: dict[str, int] = {}
    stored: dict[str, int] = {}
    killed = killed_amid = 0
    seconds = 0.0
    for version in range(ROUNDS):
        if version % 10 == 0:  # anew, so that the making of an index is cut short too
            command.index = command.index.with_name(f"index{version}")
            stored = {}
        for name in chance.sample([f"doc{n}" for n in range(DOCUMENTS)], DOCUMENTS // 2):
            on_disk[name] = version
            (command.docs / f"{name}.txt").write_text(text(name, version))
        began = time.monotonic()
        code = command.run(kill_after=chance.uniform(0, seconds) if version else None)
        if code == 0:
            seconds = time.monotonic() - began
        assert code in (0, -signal.SIGKILL)
        reported = command.reported()
        killed += code != 0
        killed_amid += code != 0 and len(reported) > 0
        # A reader or a writer may be the first to see what is left; a writer alone where there was no document yet.
        for write in chance.sample([True, False], 2) if stored or reported else [True, False]:
            with Index.open(command.index, write=write, create=write, settings=HASH) as index:
                found = versions_in(index)
            assert stored.keys() <= found.keys()
            assert all(found[name] in (on_disk[name], stored.get(name)) for name in found)
            assert {name: found.get(name) for name in reported} == {name: on_disk[name] for name in reported}
        stored = found
    assert command.run() == 0
    with Index.open(command.index) as index:
        assert versions_in(index) == on_disk
    print(f"{killed} of {ROUNDS} runs were killed, {killed_amid} of them after the first document")
    assert killed > ROUNDS // 4
    assert killed_amid > 0
