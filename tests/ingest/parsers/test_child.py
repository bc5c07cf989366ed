"""What a child does that does not do as it should: its parent goes on in time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ingest.errors import DocumentError
from ingest.parsers.child import Child, Limits

LIMITS = Limits(seconds=2, memory_mb=512, output_mb=4)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("ignores its input", "gave up after 2 s"),
        ("floods its output", "MB of text, more than the 4 MB"),
        ("floods its output slowly", "gave up after 2 s"),
        ("claims a huge answer", "MB of text, more than the 4 MB"),
        ("forks and leaves", "gave up after 2 s|the parser crashed"),
        ("stops itself", "gave up after 2 s"),
        ("closes its output", "the parser stopped answering"),
    ],
)
def test_a_child_that_misbehaves_holds_nobody_up(way: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_HOSTILE", way)
    child = Child(LIMITS, "tests.ingest.parsers.hostile")
    began = time.monotonic()
    with pytest.raises(DocumentError, match=reason):
        child.ask({"do": "parse", "name": "a.txt", "max_bytes": 1 << 24}, bytes(1 << 22 if "input" in way else 1))
    child.end()
    # Far more than it takes, far less than the child would: this says that it ended, not how fast.
    assert time.monotonic() - began < 60
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_what_it_says_unasked_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(LIMITS)
    try:
        answer, _ = child.ask({"do": "parse", "name": "a.txt", "max_bytes": 99}, b"one")
        assert answer["title"] == "a"
        assert child.waits()
    finally:
        child.end()
    monkeypatch.setenv("PYTHON_HOSTILE", "floods its output")
    child = Child(LIMITS, "tests.ingest.parsers.hostile")
    try:
        child._requests.write(b"x")
        while child.waits():
            time.sleep(0.02)
    finally:
        child.end()


def test_it_gets_no_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-parsers")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    child = Child(LIMITS)
    try:
        environment = Path(f"/proc/{child.pid}/environ")
        if not environment.exists():
            pytest.skip("no /proc here")
        child.ask({"do": "parse", "name": "a.txt", "max_bytes": 99}, b"one")
        names = {entry.split(b"=")[0] for entry in environment.read_bytes().split(b"\0")}
        assert b"LC_ALL" in names and b"OPENAI_API_KEY" not in names
    finally:
        child.end()
