"""What the service costs: streams at once beside a bare endpoint, clients that hang up, memory over many questions."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.metrics import percentile
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from benchmarks.service.client import QUESTION, Connection, Load, load
from benchmarks.serving import Served, command, served
from tests.fakes.openai import OpenAIServer
from tests.fakes.server import Say, Seen

_SENTENCE = "Everyone gets 26 days of paid leave a year."
_WORDS = [f"{word} " for word in f"{_SENTENCE[:-1]} [1].".split()]
_PAUSES = (0.0, 0.2)  # seconds between the LLM's words: none, and what a model of 5 words a second takes
_STREAMS = {1: 20, 50: 400, 200: 1000}  # questions by streams at once
_ROUNDS = 2
_HANGUPS = 500
_LEAVING = ((10, 0.0), (50, 4.0), (50, 0.0))  # clients at once, and up to so many seconds that each reads before it goes
_QUESTIONS, _WARM = 20_000, 5_000
_MIB = 1 << 20


def run(options: Options) -> dict[str, Any]:
    """Both servers run all the time; each load goes to one and then to the other, round after round."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        environment = _prepare(home)
        loads = {pause: _side_by_side(home, environment, pause, options.quick) for pause in _PAUSES}
        count = 20 if options.quick else _HANGUPS
        hung_up = {(many, stay): _hang_ups(home, environment, count, many, stay) for many, stay in _LEAVING}
        memory = _memory(home, environment, 400 if options.quick else _QUESTIONS)
    return _result(loads, hung_up, memory).as_dict()


def _prepare(home: Path) -> dict[str, str]:
    """An index of one document, and settings under which all that a service does for a question is done."""
    folder = home / "documents"
    folder.mkdir()
    text = f"# Leave\n\n{_SENTENCE} They are asked for in writing, two weeks ahead.\n\n# Trips\n\nThe office books trips.\n"
    (folder / "leave.md").write_text(text, encoding="utf-8")
    environment = {
        "RAG_BOT_INDEX": str(home / "index"),
        "RAG_BOT_MAX_CONCURRENT": "512",
        "RAG_BOT_MAX_WRONG": "0.9",
        "RAG_BOT_LLM_FIRST_SECONDS": "120",
        "RAG_BOT_LLM_SECONDS": "300",
    }
    command("ingest.cli", "add", str(folder), environment=environment)
    return environment


def _scripted(home: Path, environment: Mapping[str, str], pause: float) -> dict[str, str]:
    script = home / f"llm-{pause}.json"
    script.write_text(json.dumps([{"say": "".join(_WORDS), "pause": pause}]), encoding="utf-8")
    return {**environment, "RAG_BOT_LLM": f"scripted:{script}"}


# --- streams at once


def _side_by_side(home: Path, environment: Mapping[str, str], pause: float, quick: bool) -> dict[int, tuple[Load, Load]]:
    found: dict[int, tuple[Load, Load]] = {}
    with ExitStack() as stack:
        ours = stack.enter_context(served(home, _scripted(home, environment, pause)))
        events = home / "events.json"
        events.write_text(json.dumps(asyncio.run(_record(ours.url))), encoding="utf-8")
        seconds = pause * (len(_WORDS) - 1)
        bare = stack.enter_context(served(home, {}, "benchmarks.service.bare", str(events), str(seconds)))
        asked = 0
        for streams, count in _STREAMS.items():
            count = max(streams // 10, 2) if quick else count
            pair = (Load(), Load())
            asyncio.run(load(ours.url, min(streams, 20), 20))  # warm
            for _ in range(1 if quick else _ROUNDS):
                for server, whole in zip((ours, bare), pair, strict=True):
                    whole.add(asyncio.run(load(server.url, streams, count, asked)))
                    asked += count
            found[streams] = pair
    return found


async def _record(url: str) -> list[str]:
    """The events of one answer, as they are sent."""
    connection = await Connection.open(url)
    _, body = await connection.ask(QUESTION.format(0))
    connection.close()
    if b"event: sentence" not in body:
        raise SystemExit(f"The service did not answer: {body.decode()[:500]}")
    return [f"{event}\n\n" for event in body.decode().split("\n\n") if event]


# --- clients that hang up


class _Timed(threading.Event):
    at = 0.0

    def set(self) -> None:
        self.at = self.at or time.perf_counter()
        super().set()


class _Watched(list[Seen]):
    """Requests to the LLM, found by the number in their question; each notes when its client went."""

    def __init__(self) -> None:
        super().__init__()
        self.by_number: dict[int, Seen] = {}

    def append(self, seen: Seen) -> None:
        seen.gone = _Timed()
        super().append(seen)
        self.by_number[int(re.findall(rb"\(No. (\d+)\)", seen.request.body)[-1])] = seen


def _hang_ups(home: Path, environment: Mapping[str, str], count: int, at_once: int, stay: float) -> list[float]:
    """Seconds from each hang-up in the middle of an answer until the LLM is left alone, too."""
    with OpenAIServer("slow", limit="max_tokens", key="none") as llm:
        llm.default, llm.seen = Say([*_WORDS, *["more "] * 300], pause=0.05), _Watched()
        settings = {**environment, "RAG_BOT_LLM": f"openai-compatible:{llm.url}/v1#slow"}
        with served(home, settings) as service:
            return asyncio.run(_hang_up_all(service.url, llm.seen, count, at_once, stay))


async def _hang_up_all(url: str, asked: _Watched, count: int, at_once: int, stay: float) -> list[float]:
    seconds: list[float] = []
    numbers, moments = iter(range(count)), random.Random(1)

    async def worker(first: float) -> None:
        await asyncio.sleep(first)
        for number in numbers:
            connection = await Connection.open(url)
            await connection.send(QUESTION.format(number))
            while not (seen := asked.by_number.get(number)) or not seen.sent:
                await asyncio.sleep(0.005)
            await asyncio.sleep(moments.uniform(0.0, stay))
            began = time.perf_counter()
            connection.writer.transport.abort()
            while not seen.gone.is_set() and time.perf_counter() - began < 30:
                await asyncio.sleep(0.005)
            seconds.append(seen.gone.at - began if seen.gone.is_set() else 30.0)  # type: ignore[attr-defined]

    await asyncio.gather(*(worker(stay * place / at_once) for place in range(at_once)))
    return seconds


# --- memory


def _memory(home: Path, environment: Mapping[str, str], count: int) -> list[tuple[int, float]]:
    """Resident MiB of the service after so many questions."""
    found = []
    step = max(count // 40, 1)
    with served(home, _scripted(home, environment, 0.0)) as service:
        for asked in range(0, count + 1, step):
            found.append((asked, resident(service)))
            if asked < count:
                answered = asyncio.run(load(service.url, 20, step, asked))
                if answered.done < step:
                    raise SystemExit(f"{step - answered.done} questions were not answered: {answered.failures[:3]}")
    return found


def resident(service: Served) -> float:
    """MiB of memory that its process has."""
    pages = int(Path(f"/proc/{service.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def growth(samples: list[tuple[int, float]]) -> float:
    """KiB a question by which memory grows once it is warm (Theil and Sen's slope: the median over all pairs of samples)."""
    warm = [pair for pair in samples if pair[0] >= min(_WARM, samples[-1][0] / 4)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(warm) for b in warm[i + 1 :]]
    return statistics.median(slopes) * 1024


# --- figures


def _result(
    loads: dict[float, dict[int, tuple[Load, Load]]],
    hung_up: dict[tuple[int, float], list[float]],
    memory: list[tuple[int, float]],
) -> Result:
    rows, asked, figures = [], [], []
    for pause, by_streams in loads.items():
        for streams, (ours, bare) in by_streams.items():
            share = ours.a_second / bare.a_second if bare.a_second else 0.0
            times = [each.first_ms(percent) for each in (ours, bare) for percent in (50, 99)]
            rows.append([pause, streams, ours.a_second, bare.a_second, share, *times, ours.dropped, ours.mixed])
            figures.append({"pause": pause, "streams": streams, "share": share, "ours": ours.a_second, "bare": bare.a_second})
            if pause:
                asked.append(Asked(f"{streams} streams: share of the bare endpoint's answers a second", share, at_least=0.5))
    both = [ours for by_streams in loads.values() for ours, _ in by_streams.values()]
    hangs = {case: [percentile(seconds, p) * 1000 for p in (50, 90, 99, 100)] for case, seconds in hung_up.items()}
    slope = growth(memory)
    columns = (
        "pause s",
        "streams",
        "answers/s",
        "bare",
        "share",
        "first byte p50 ms",
        "p99",
        "bare p50",
        "bare p99",
        "dropped",
        "mixed",
    )
    note = (
        f"A whole answer each (embedding, search, weighing, rails, gate, the conversation kept) from one document, by a "
        f"scripted LLM of {len(_WORDS)} words with a pause after each; the bare FastAPI endpoint sends the same events after "
        f"the same pauses. "
        f"Client and servers share {len(os.sched_getaffinity(0))} cores."
    )
    return Result(
        {"streams": figures, "hang_ups_ms": list(hangs.items()), "memory_mib": memory, "growth_kib_a_question": slope},
        [
            Table("Streams at once", columns, rows, note),
            Table(
                "Clients that hang up in the middle of an answer",
                ("clients", "at once", "read for up to s", "p50 ms", "p90 ms", "p99 ms", "slowest ms"),
                [[len(hung_up[case]), *case, *milliseconds] for case, milliseconds in hangs.items()],
                "From the hang-up until the LLM's server, of 20 words a second, sees its own connection closed. Each client "
                "that is gone makes room for the next question: where they go at the first word, the service is as busy as "
                "it can be, and 50 questions wait for its processor beside each hang-up.",
            ),
            Table(
                "Memory",
                ("questions", "resident MiB"),
                [[asked, mib] for asked, mib in memory[:: max(len(memory) // 8, 1)]],
                f"Once warm it grows by {slope:.3f} KiB a question.",
            ),
        ],
        [
            *asked,
            Asked("answers dropped or mixed up", sum(each.dropped + each.mixed for each in both), at_most=0),
            *(
                Asked(f"ms until work stops after a hang-up, {many} at once{_reading(stay)}, p99", found[2], at_most=100)
                for (many, stay), found in hangs.items()
            ),
            Asked("KiB that memory grows by a question", slope, at_most=0.25),
        ],
    )


def _reading(stay: float) -> str:
    return f" who read for up to {stay:g} s" if stay else ""
