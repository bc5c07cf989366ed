"""The way of somebody new, by the README's own commands: from a bare checkout to the first answer that is proved."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from benchmarks.serving import ready

_PATIENCE = 3600  # seconds
_QUESTION = "How many days of holiday does a full-time employee get per year?"
_ANSWER = "26 days of paid annual leave"


def run(options: Options) -> dict[str, Any]:
    """Clone, `make demo`, ask: nothing is there beforehand but git, make and Python. (Quick: in the environment here.)"""
    commands = _commands()
    with tempfile.TemporaryDirectory() as name:
        folder = ROOT if options.quick else Path(name) / "rag-bot"
        began = time.perf_counter()
        if not options.quick:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        first = _demo(folder, commands[-1], port, began)
        again = _demo(folder, commands[-1], port, time.perf_counter())
    return _result(commands, first, again).as_dict()


def _commands() -> list[str]:
    """What one types: `git clone`, into the folder, and the README's first block."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    if not block:
        raise SystemExit("The README has no commands.")
    return ["git clone …", "cd rag-bot", *block[1].strip().splitlines()]


def _demo(folder: Path, command: str, port: int, began: float) -> dict[str, float]:
    """Seconds until the service is ready, and until a proved answer is there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_BOT_", "VIRTUAL_ENV"))}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*command.split(), f"PORT={port}"],
            cwd=folder,
            env={**environment, "PIP_NO_CACHE_DIR": "1"},  # a new machine has no wheels from before
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            while not ready(url):
                if process.poll() is not None or time.perf_counter() - began > _PATIENCE:
                    output.seek(0)
                    raise SystemExit(f"`{command}` did not come to a chat: {output.read().decode()[-1000:]}")
                time.sleep(0.2)
            served = time.perf_counter() - began
            answer = _ask(url)
            seconds = time.perf_counter() - began
            citation = answer["citations"][0]
            if _ANSWER not in answer["answer"] or _ANSWER not in citation["quote"]:
                raise SystemExit(f"The answer is not proved: {answer}")
            return {"ready": served, "answered": seconds}
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def _ask(url: str) -> dict[str, Any]:
    body = json.dumps({"question": _QUESTION}).encode()
    request = urllib.request.Request(f"{url}/v1/chat", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _result(commands: list[str], first: dict[str, float], again: dict[str, float]) -> Result:
    note = (
        f"What is typed: {'; '.join(commands)}; then the question in the chat. Nothing has to be decided: no account, key, "
        "model or setting. Most of the first time is pip's, and depends on the network."
    )
    return Result(
        {"commands": commands, "decisions": 0, "first_seconds": first, "again_seconds": again},
        [
            Table(
                "From a bare checkout to the first proved answer",
                ("time", "minutes", "seconds from the chat to the answer", "commands", "decisions"),
                [
                    ["first", first["answered"] / 60, first["answered"] - first["ready"], len(commands), 0],
                    ["again", again["answered"] / 60, again["answered"] - again["ready"], 1, 0],
                ],
                note,
            )
        ],
        [Asked("commands before the first answer", len(commands), at_most=3)],
    )
