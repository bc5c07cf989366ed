"""A real `rag-bot serve` in a process of its own, on a free port of this machine, for benchmarks that ask it over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import ROOT

_PATIENCE = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Served:
    """Where it is, its process, and the file of what it writes to stderr."""

    url: str
    pid: int
    log: Path


def command(*arguments: str, environment: dict[str, str]) -> str:
    """What `rag-bot …` or `ingest …` prints. Raises SystemExit where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"`{' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


@contextmanager
def served(home: Path, environment: dict[str, str], *program: str) -> Iterator[Served]:
    """A service with these settings, ready, until the block is left; or another `program` that prints its address."""
    program = program or ("rag_bot.cli", "serve", "--port", "0")
    log = home / f"{program[0]}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *program],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().rpartition(" ")[2].strip()
            until = time.monotonic() + _PATIENCE
            while not ready(url):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"`rag-bot serve` did not become ready: {log.read_text()[-500:]}")
                time.sleep(0.05)
            yield Served(url, process.pid, log)
        finally:
            process.terminate()
            process.wait(timeout=60)


def ready(url: str) -> bool:
    """Whether the service at this address can answer questions."""
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError, urllib.error.URLError):
        return False
