"""How long a cold process takes: `rag-bot ask`, and `serve` until it is ready, beside `import sentence_transformers`."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.build import index_of
from benchmarks.children import ROOT
from benchmarks.metrics import percentile
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.embedder import light_embedder
from ingest.settings import IngestSettings

_PASSAGES = 8400  # of MTRAG's clapnq, some 10,000 chunks
_ROUNDS = 5
_QUESTIONS = 200
_PATIENCE = 120.0  # seconds


def run(options: Options) -> dict[str, Any]:
    """Each takes its turn in every round, so that a machine that grows slower favours none; the median counts."""
    passages, questions = data.xquad() if options.quick else data.mtrag("clapnq", "lastturn")
    asked = [question.text for question in questions[:_QUESTIONS]]
    settings = IngestSettings()
    light_embedder(settings.embedder, settings.precision, settings.exports)  # made now, if it never was
    with index_of(passages[: 100 if options.quick else _PASSAGES], "start") as index:
        chunks, folder = index.counts()[1], str(index.path)
    ways: dict[str, Callable[[], Taken]] = {
        "rag-bot ask, until it has ended": lambda: _ask(folder, asked[0]),
        "rag-bot serve, until /health/ready": lambda: _serve(folder),
        "import sentence_transformers": lambda: _python("import sentence_transformers"),
        "import onnxruntime, tokenizers": lambda: _python("import onnxruntime, tokenizers"),
        "python -c pass": lambda: _python("pass"),
    }
    seconds: dict[str, list[Taken]] = {name: [] for name in ways}
    for number in range(1 + (1 if options.quick else _ROUNDS)):
        for name, way in ways.items():
            taken = way()
            if number:  # the first round has the files read from the disk
                seconds[name].append(taken)
    milliseconds = {name: _questions(name, asked) for name in ("export", "whole")}
    return _result(chunks, seconds, milliseconds).as_dict()


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds from a process's start, and the processor's seconds in it (which a busy machine changes little)."""

    wall: float
    processor: float


def _run(command: list[str]) -> tuple[str, Taken]:
    """What a command prints, and what it took to its end."""
    began, before = time.perf_counter(), _children()
    child = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = child.communicate()
    wall = time.perf_counter() - began
    if child.returncode:
        raise SystemExit(f"`{' '.join(command[1:])}` ended with {child.returncode}: {errors.decode()[-500:]}")
    return output.decode(), Taken(wall, _children() - before)


def _children() -> float:
    """The processor's seconds in all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _python(code: str) -> Taken:
    return _run([sys.executable, "-c", code])[1]


def _ask(index: str, question: str) -> Taken:
    output, taken = _run([sys.executable, "-m", "rag_bot.cli", "ask", question, "--json", "--index", index])
    if json.loads(output)["question"] != question:
        raise SystemExit("`rag-bot ask` answered another question.")
    return taken


def _serve(index: str) -> Taken:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rag_bot.cli", "serve", "--port", str(port), "--index", index]
    began = time.perf_counter()
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _ready(port):
            if server.poll() is not None or time.perf_counter() - began > _PATIENCE:
                raise SystemExit("`rag-bot serve` did not become ready.")
            time.sleep(0.01)
        wall = time.perf_counter() - began
        user, system = Path(f"/proc/{server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
        return Taken(wall, (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"))
    finally:
        server.terminate()
        server.wait(timeout=30)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _questions(way: str, questions: list[str]) -> list[float]:
    """Milliseconds to embed each question, warm, in a process of its own."""
    code = (
        "import json, sys, time\n"
        "from ingest.embedder import light_embedder\n"
        "from ingest.settings import IngestSettings\n"
        "s, questions = IngestSettings(), json.load(sys.stdin)\n"
        f"embedder = light_embedder(s.embedder, s.precision, s.exports if {way == 'export'} else '')\n"
        "took = []\n"
        "for question in questions[:20] + questions:\n"
        "    began = time.perf_counter()\n"
        "    embedder.embed_queries([question])\n"
        "    took.append((time.perf_counter() - began) * 1000)\n"
        "print(json.dumps(took[20:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, input=json.dumps(questions)
    )
    took: list[float] = json.loads(done.stdout.splitlines()[-1])
    return took


def _result(chunks: int, seconds: dict[str, list[Taken]], milliseconds: dict[str, list[float]]) -> Result:
    median = {name: percentile([one.wall for one in taken], 50) for name, taken in seconds.items()}
    processor = {name: percentile([one.processor for one in taken], 50) for name, taken in seconds.items()}
    bare = median["import sentence_transformers"]
    warm = {name: {f"p{p}": percentile(taken, p) for p in (50, 99)} for name, taken in milliseconds.items()}
    names = {"export": "by its ONNX export (the default)", "whole": "by sentence-transformers"}
    ask, serve = list(median)[:2]
    return Result(
        {
            "chunks": chunks,
            "seconds": {
                name: {"p50": median[name], "processor_p50": processor[name], "all": [one.wall for one in taken]}
                for name, taken in seconds.items()
            },
            "warm_ms": warm,
        },
        [
            Table(
                "A cold process, seconds",
                ("what", "p50", "share of importing sentence_transformers", "processor, p50"),
                [[name, value, value / bare, processor[name]] for name, value in median.items()],
                f"An index of {chunks:,} chunks, the default settings, rails on; files are in the system's cache; "
                f"{len(seconds[ask])} rounds, in each of which every one takes its turn.",
            ),
            Table(
                "A warm question's vector, milliseconds",
                ("how", "p50", "p99"),
                [[names[name], each["p50"], each["p99"]] for name, each in warm.items()],
                f"{len(milliseconds['export'])} questions, one at a time.",
            ),
        ],
        [
            Asked(f"{ask}, s", median[ask], at_most=2.0),
            Asked(f"{serve}, s", median[serve], at_most=2.0),
            Asked("a warm question's vector, p50 ms", warm["export"]["p50"], at_most=4.0),
        ],
    )
