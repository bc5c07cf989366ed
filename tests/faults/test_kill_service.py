"""Kill -9 of the service while uploads wait: the next one takes in what was accepted, and its jobs can still be asked for."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from ingest.index import Index
from ingest.lock import WriteLock
from tests.faults.support import environment, ingest
from tests.ingest.support import assert_whole

TEXTS = {"badges.txt": b"A lost badge is reported to the front desk.", "lunch.txt": b"The canteen serves lunch at noon."}


@contextmanager
def service(index: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """`rag-bot serve`, ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rag_bot.cli", "serve", "--port", str(port), "--index", str(index)]
    process = subprocess.Popen(command, env=environment(RAG_BOT_RAILS="off"), cwd=tmp_path, stdout=subprocess.DEVNULL)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                if client.get("/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        yield process, client
    finally:
        process.kill()
        process.wait(30)
        client.close()


def test_what_was_accepted_outlives_a_kill(tmp_path: Path) -> None:
    index = tmp_path / "index"
    note = tmp_path / "note.txt"
    note.write_text("A first note.")
    assert ingest("add", note, "--index", index, cwd=tmp_path).code == 0
    with service(index, tmp_path) as (process, client), WriteLock(index):  # so that nothing is taken in before the kill
        jobs = [
            client.post("/v1/documents", files={"file": (name, data)}, headers={"Prefer": "respond-async"}).json()
            for name, data in TEXTS.items()
        ]
        assert [client.get(f"/v1/jobs/{job['job_id']}").json()["state"] for job in jobs] == ["queued", "queued"]
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    with service(index, tmp_path) as (_, client):
        for job in jobs:
            stream = client.get(f"/v1/jobs/{job['job_id']}/events").text  # ends when the job does
            assert '"status": "added"' in stream.strip().rpartition("event: done")[2]
        assert {info["source"] for info in client.get("/v1/documents").json()["documents"]} == {
            str(note), *(f"upload:{name}" for name in TEXTS)
        }  # fmt: skip
    with Index.open(index) as reader:
        assert_whole(reader)
        assert {one.state for one in reader.standings()} == {"done"}
    assert [path.suffix for path in (index / "uploads").iterdir()] == [".json", ".json"]


def test_a_job_that_waits_for_another_writer_can_be_cancelled(tmp_path: Path) -> None:
    index = tmp_path / "index"
    with service(index, tmp_path) as (_, client):
        with WriteLock(index):
            sent = client.post("/v1/documents", files={"file": ("a.txt", b"Words.")}, headers={"Prefer": "respond-async"})
            job = sent.json()
            time.sleep(0.5)
            assert client.delete(f"/v1/jobs/{job['job_id']}").json()["state"] == "cancelled"
        time.sleep(2)
        assert client.get(f"/v1/jobs/{job['job_id']}").json()["state"] == "cancelled"
        assert client.get("/v1/documents").json()["documents"] == []
