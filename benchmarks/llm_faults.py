"""What becomes of questions while the LLM fails in every way that servers fail: each ends in time, and says what is missing."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.metrics import percentile
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from rag_bot.bot import Bot
from rag_bot.errors import BotError
from rag_bot.llm.llm import Breaker
from rag_bot.settings import Settings
from rag_bot.types import Answer
from tests.fakes.openai import OpenAIServer
from tests.fakes.server import Behaviour, Fail, Garbage, Hang, Say
from tests.rag_bot.support import LEAVE, fill, parts_of

_QUESTIONS, _QUICK = 100, 10
_FIRST, _WHOLE = 0.5, 1.0  # seconds: the budget of a question
_TOLERANCE = 0.5  # seconds beside the LLM's: searching, weighing, checking, and a busy machine
_LLM = "faulty"
_SENTENCES = (
    "Everyone gets 26 days of paid leave a year.",
    "They are asked for in writing, two weeks ahead.",
    "Contractors get no paid leave.",
)
_WORDS = tuple(f"{word} " for sentence in _SENTENCES for word in f"{sentence[:-1]} [1].".split())
_STATES = (500, 502, 503, 504, 529, 429)

# The n-th question's fault: where it may strike at any point of a reply, it does.
FAULTS: dict[str, Callable[[int], Behaviour]] = {
    "none (for comparison)": lambda n: Say(_WORDS),
    "hang": lambda n: Hang(),
    "slow drip": lambda n: Say(_WORDS, pause=0.02 * (1 + n % 10)),
    "5xx and 429": lambda n: Fail(_STATES[n % len(_STATES)], ("", "1", "60")[n % 3]),
    "torn off mid-stream": lambda n: Say(_WORDS, cut=n % len(_WORDS)),
    "ended mid-stream as if whole": lambda n: Say(_WORDS, cut=n % len(_WORDS), how="end"),
    "garbage": lambda n: Garbage(("html", "frames")[n % 2]),
}
_REFUSE = "refuse"


@dataclass
class Tally:
    """How the questions of one fault ended, and after how many seconds."""

    ends: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def row(self, fault: str) -> list[object]:
        late = sum(seconds > _WHOLE + _TOLERANCE for seconds in self.seconds)
        ends = [self.ends[end] for end in ("llm", "quote", "note", "error")]
        return [fault, len(self.seconds), *ends, late, self.ends["cut"], percentile(self.seconds, 50), max(self.seconds)]


def run(options: Options) -> dict[str, Any]:
    """Each fault in its turn, question after question, through the whole bot."""
    logging.getLogger("rag_bot").setLevel(logging.ERROR)  # it says each fault, and should
    count = _QUICK if options.quick else _QUESTIONS
    with tempfile.TemporaryDirectory() as folder:
        tallies = asyncio.run(_measure(fill(Path(folder) / "index"), count))
    return _result(tallies, count).as_dict()


async def _measure(settings: Settings, count: int) -> dict[str, Tally]:
    tallies = {}
    with OpenAIServer(_LLM, limit="max_tokens", key="none") as server:
        for fault, behaviour in FAULTS.items():
            server.plan.clear()

            def plan(n: int, behaviour: Callable[[int], Behaviour] = behaviour) -> None:
                server.default = behaviour(n)

            tallies[fault] = await _ask(settings, server.url, count, plan)
        url = server.url
    tallies[_REFUSE] = await _ask(settings, url, count, lambda n: None)  # nobody listens there any more
    return tallies


async def _ask(settings: Settings, url: str, count: int, plan: Callable[[int], None]) -> Tally:
    settings = settings.model_copy(
        update={"llm": f"openai-compatible:{url}/v1#{_LLM}", "llm_first_seconds": _FIRST, "llm_seconds": _WHOLE}
    )
    parts = parts_of(settings)
    for llm in parts.llms:
        llm.breaker = Breaker(limit=10**9)  # which would spare all but the first questions the fault
    bot = Bot(settings, lambda: parts)
    await bot.start()
    tally = Tally()
    for number in range(-1, count):
        plan(number)
        began = time.perf_counter()
        try:
            end = _end(await bot.answer(LEAVE, turns=[]))
        except BotError:
            end = "error"
        if number >= 0:  # the first one warms up
            tally.ends[end] += 1
            tally.seconds.append(time.perf_counter() - began)
    await bot.close()
    return tally


def _end(answer: Answer) -> str:
    """How an answer ended: whole, by quotes with a word on why, in part with a word on that, or `cut`: in silence."""
    if answer.model == "quote":
        return "quote" if answer.sentences and answer.notes else "cut"
    if answer.counts.get("broken_off") and answer.notes:
        return "note"
    return "llm" if tuple(sentence.text for sentence in answer.sentences) == _SENTENCES else "cut"


def _result(tallies: dict[str, Tally], count: int) -> Result:
    rows = [tally.row(fault) for fault, tally in tallies.items()]
    columns = (
        "fault",
        "questions",
        "answered by the LLM",
        "by quote, saying why",
        "with a note of what is missing",
        "clear error",
        "beyond the budget",
        "silently cut",
        "p50 s",
        "slowest s",
    )
    note = (
        f"{_FIRST:g} s for the first sentence and {_WHOLE:g} s for the LLM in all; beyond the budget is what took over "
        f"{_WHOLE + _TOLERANCE:g} s with all the rest. Faults mid-stream strike after each word of the reply in turn, the "
        f"drip's words come 20 to 200 ms apart. The circuit breaker is off, so that every question meets the fault."
    )
    late, cut = (sum(int(str(row[at])) for row in rows) for at in (6, 7))
    whole = tallies["none (for comparison)"].ends["llm"]
    return Result(
        {"questions": count, "faults": {fault: dict(tally.ends) for fault, tally in tallies.items()}, "late": late, "cut": cut},
        [Table("How questions end while the LLM fails", columns, rows, note)],
        [
            Asked("questions that took longer than their budget", late, at_most=0),
            Asked("answers that were cut in silence", cut, at_most=0),
            Asked("share of whole answers without a fault", whole / count, at_least=1),
        ],
    )
