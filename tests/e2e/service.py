"""The real service, started as a person would start it, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
STARTING_SECONDS = 120


@dataclass(frozen=True)
class Service:
    """A running service and the index it answers from."""

    url: str
    index: Path


@contextmanager
def running_service(folder: Path, home: Path, **settings: str) -> Iterator[Service]:
    """Ingest `folder` as a person would, and serve it until the block is left; `settings` are environment variables."""
    index = home / "index"
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path, "RAG_BOT_INDEX": str(index), "RAG_BOT_EMBEDDER": "minilm", **settings}
    command = [sys.executable, "-m", "ingest.cli", "add", str(folder)]
    added = subprocess.run(command, check=False, env=environment, cwd=home, capture_output=True, text=True)
    assert added.returncode == 0, added.stdout + added.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = home / "service.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "rag_bot.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, cwd=home, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, log)
            yield Service(url, index)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"the service did not become ready at {url}:\n{log.read_text(errors='replace')}")
