"""Kill -9 while a document is queued, parsed, embedded or written: each is whole or not there, and a retry does the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest.errors import IngestError
from ingest.index import STORE, Index
from ingest.lock import is_held
from ingest.store import Store
from tests.faults.support import environment, ingest
from tests.ingest.support import assert_whole

FILES = 6
COMMAND = [sys.executable, "-m", "ingest.cli"]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Files that take some time to parse and to embed."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(FILES):
        text = "\n\n".join(f"Paragraph {k} of file {n} says {k * 7 + n}. " * 20 for k in range(700))
        (folder / f"{n}.txt").write_text(text)
    return folder


def states(index: Path) -> dict[str, str]:
    """Where each document stands, as another process sees it; nothing while there is no store yet."""
    if not (index / STORE).is_file():
        return {}
    try:
        store = Store(index / STORE)
    except IngestError:
        return {}
    try:
        return {Path(one.source).name: one.state for one in store.standings()}
    finally:
        store.close()


def start(docs: Path, index: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    command = [*COMMAND, "add", str(docs), "--index", str(index)]
    return subprocess.Popen(
        command, env=environment(), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def reach(run: subprocess.Popen[bytes], index: Path, state: str) -> None:
    """Wait until some document is in a state."""
    until = time.monotonic() + 60
    while state not in states(index).values():
        assert run.poll() is None and time.monotonic() < until, f"no document was ever {state}"
        time.sleep(0.002)


@pytest.mark.parametrize("state", ["queued", "parsing", "embedding", "done"])
def test_kill_at_every_step(docs: Path, tmp_path: Path, state: str) -> None:
    index = tmp_path / "index"
    run = start(docs, index, tmp_path)
    reach(run, index, state)
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait(30) == -signal.SIGKILL
    left = states(index)
    assert len(left) == FILES
    done = {name for name, where in left.items() if where == "done"}
    assert len(done) < FILES
    with Index.open(index) as reader:
        assert_whole(reader)
        assert {Path(info.source).name for info in reader.documents()} == done
    retried = ingest("retry", "--index", index, "--json", cwd=tmp_path)
    assert retried.code == 0
    assert retried.statuses == dict.fromkeys(left.keys() - done, "added")
    assert set(states(index).values()) == {"done"}
    with Index.open(index) as reader:
        assert_whole(reader)
        assert len(reader.documents()) == FILES
    again = ingest("add", docs, "--index", index, "--json", cwd=tmp_path)
    assert set(again.statuses.values()) == {"unchanged"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_cleanly(docs: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    index = tmp_path / "index"
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from ingest.cli import main; main()"
    command = [sys.executable, "-c", heeding, "add", str(docs), "--index", str(index)]
    run = subprocess.Popen(command, env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    reach(run, index, "embedding")  # type: ignore[arg-type]
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == code
    assert "Stopped; what was added stays." in err and "Traceback" not in err and out == ""
    assert not is_held(index)
    store = Store(index / STORE)
    last = store.last_run()
    assert last and last.outcome == "stopped" and last.ended
    assert {one.state for one in store.standings()} <= {"done", "queued"}
    store.close()
    assert ingest("retry", "--index", index, cwd=tmp_path).code == 0
    with Index.open(index) as reader:
        assert_whole(reader)
        assert len(reader.documents()) == FILES
