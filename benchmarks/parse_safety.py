"""Real documents and mutations of them through the pool of parsers: what becomes of each, and what it costs at worst.

Each outcome is kept as it comes, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.mutations import mutate, suffix_of
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.errors import DocumentError
from ingest.parsers.pool import ParserPool

MUTATIONS = 2_000
SECONDS, MEMORY_MB = 30, 1024
_GRACE = 10.0  # seconds beyond the limit, on a machine that does other things, until it counts as a hang
_DETAILS = re.compile(r"(?<=\s)['\"(].*|\d[\d,.]*(?: [KMG]?B)?|(?<=ends in )\S+|; what can be: .*")
_LARGEST = 20_000_000  # bytes; larger files are read as they are, but not mutated


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: `what` is `taken`, or the kind of refusal; seconds of wall time, memory of the child in MB."""

    name: str
    way: str
    what: str
    reason: str
    seconds: float
    memory_mb: float


def run(options: Options) -> dict[str, Any]:
    """All documents, then their mutations."""
    files = {str(path.relative_to(data.folder())): path.read_bytes() for path in _paths()}
    small = {name: content for name, content in files.items() if len(content) <= _LARGEST}
    names = sorted(files)[:: 40 if options.quick else 1]
    mutations = range(50 if options.quick else MUTATIONS)
    journal = None if options.quick else Path(os.environ.get("RAG_BOT_BENCH_CACHE", ".cache/benchmarks"), "parse_safety.jsonl")
    known = _known(journal)
    before = _memory("self")
    with ParserPool(SECONDS, MEMORY_MB) as pool:
        jobs: queue.Queue[tuple[str, str, bytes, str] | None] = queue.Queue(maxsize=2 * pool.size)
        threads = [threading.Thread(target=_work, args=(pool, jobs, known, journal), daemon=True) for _ in range(pool.size)]
        for thread in threads:
            thread.start()
        for name in names:
            if f"file {name}" not in known:
                jobs.put((f"file {name}", name, files[name], "as it is"))
        for number in mutations:
            if f"mutation {number}" not in known:
                one = mutate(small, number)
                jobs.put((f"mutation {number}", one.name, one.data, one.way))
        for _ in threads:
            jobs.put(None)
        for thread in threads:
            thread.join()
    wanted = {*(f"file {name}" for name in names), *(f"mutation {number}" for number in mutations)}
    return _result({key: one for key, one in known.items() if key in wanted}, _memory("self") - before).as_dict()


def _paths() -> Iterator[Path]:
    for path in sorted((data.folder() / "documents").rglob("*")):
        if path.is_file():
            yield path


def _work(
    pool: ParserPool,
    jobs: queue.Queue[tuple[str, str, bytes, str] | None],
    known: dict[str, Outcome],
    journal: Path | None,
) -> None:
    while job := jobs.get():
        key, name, content, way = job
        outcome = _one(pool, Path(name).name, content, way)
        known[key] = outcome
        if journal:
            with journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, asdict(outcome)]) + "\n")


def _one(pool: ParserPool, name: str, content: bytes, way: str) -> Outcome:
    began = time.perf_counter()
    what, reason = "taken", ""
    try:
        unpacked = pool.unpack(name, content, files=10_000, size=1 << 30)
        if unpacked and not unpacked.is_document:
            what = "holds files"
        else:
            pool(None, name, content)
    except DocumentError as error:
        what, reason = type(error).__name__, str(error)
    except Exception as error:  # what must not be
        what, reason = "unexpected", f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - began
    memory = max((_memory(str(child.pid)) for child in [*pool._idle, *pool._busy]), default=0.0)
    return Outcome(name, way, what, reason, seconds, memory)


def _known(journal: Path | None) -> dict[str, Outcome]:
    if not journal:
        return {}
    journal.parent.mkdir(parents=True, exist_ok=True)
    if not journal.exists():
        return {}
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines() if line.endswith("]")]
    return {key: Outcome(**outcome) for key, outcome in lines}


def _memory(process: str) -> float:
    """The most memory that a process has held, in MB."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    match = re.search(r"VmHWM:\s+(\d+)", status)
    return int(match[1]) / 1024 if match else 0.0


def _result(outcomes: Mapping[str, Outcome], grown: float) -> Result:
    every = list(outcomes.values())
    hangs = [one for one in every if one.seconds > 2 * (SECONDS + _GRACE)]
    unexpected = [one for one in every if one.what == "unexpected"]
    crashed = [one for one in every if "the parser crashed" in one.reason or "stopped answering" in one.reason]
    over = [one for one in every if "gave up after" in one.reason or "of memory" in one.reason]
    unreported = [one for one in every if one.what not in ("taken", "holds files") and not one.reason]
    counts = Counter((one.way, one.what) for one in every)
    kinds = sorted({one.what for one in every})
    ways = sorted({one.way for one in every})
    by_way = [[way, *(counts[way, kind] for kind in kinds), sum(counts[way, kind] for kind in kinds)] for way in ways]
    reasons = Counter(_DETAILS.sub("…", one.reason).strip() for one in every if one.reason)
    slowest = sorted(every, key=lambda one: -one.seconds)[:10]
    largest = max((one.memory_mb for one in every), default=0.0)
    figures = {
        "files": sum(one.way == "as it is" for one in every),
        "mutations": sum(one.way != "as it is" for one in every),
        "outcomes": dict(Counter(one.what for one in every)),
        "unexpected": [asdict(one) for one in unexpected],
        "child_crashed": [asdict(one) for one in crashed],
        "over_a_limit": [asdict(one) for one in over],
        "hangs": len(hangs),
        "slowest_s": slowest[0].seconds if slowest else 0.0,
        "largest_memory_mb": largest,
        "parent_grew_mb": grown,
        "by_suffix": {
            suffix: dict(Counter(one.what for one in every if suffix_of(one.name) == suffix))
            for suffix in sorted({suffix_of(one.name) for one in every})
        },
    }
    asked = [
        Asked("crashes of the parent, or anything but a reason", len(unexpected), at_most=0),
        Asked("hangs", len(hangs), at_most=0),
        Asked("refused without a reason", len(unreported), at_most=0),
        Asked("largest memory of a child, in MB", largest, at_most=MEMORY_MB),
    ]
    tables = [
        Table("What became of them", ("way", *kinds, "all"), by_way),
        Table("The most frequent reasons", ("reason", "times"), [list(one) for one in reasons.most_common(15)]),
        Table("Slowest", ("file", "way", "what", "seconds"), [[one.name, one.way, one.what, one.seconds] for one in slowest]),
        Table(
            "Children that crashed or ran into a limit",
            ("file", "way", "reason"),
            [[one.name, one.way, one.reason] for one in [*crashed, *over]],
            f"Limits: {SECONDS} s, {MEMORY_MB} MB. Each is a line in the ledger; the next file gets a fresh child.",
        ),
    ]
    return Result(figures, tables, asked)
