"""The demo's LLM as the writer over the sample handbook: how much of what it writes the gate releases, and what an LLM that
only chooses sentences is worth beside none."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.judged import judged_by_hand
from benchmarks.registry import Options
from benchmarks.results import Result, Table
from ingest.build import open_pipeline
from rag_bot.answer import Answerer, Brief
from rag_bot.bot import Bot, Parts, text_reader
from rag_bot.build import open_parts
from rag_bot.gate import Gate
from rag_bot.settings import Settings
from rag_bot.support import SupportFinder
from rag_bot.types import Answer, Claim, Judged, Passage, Report, Turn

_ROOT = Path(__file__).parent.parent
_LLM = "llama-cpp:smollm2"
_SAMPLE = 50


class _Watched(Gate):
    """A gate that keeps what it said of written sentences."""

    def __init__(self, parts: Parts) -> None:
        text_at = text_reader(parts.index)
        super().__init__(text_at, "strict", SupportFinder(parts.retrieve.embed, parts.index.sentence_cosines, text_at))
        self.judged: list[Judged] = []

    def prove(self, claim: Claim, passages: Sequence[Passage]) -> Judged:
        judged = super().prove(claim, passages)
        if claim.written:
            self.judged.append(judged)
        return judged


@dataclass(slots=True)
class _BestLast:
    """An answerer that is shown the passages with the best one last."""

    answerer: Answerer
    name: str

    async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        last = len(brief.passages) - 1
        # Evidence knows passages by their place: without it, nothing can be quoted from a wrong one.
        turned = replace(brief, passages=brief.passages[::-1], evidence=())
        async with aclosing(self.answerer(turned)) as items:
            async for item in items:
                yield replace(item, marks=tuple(last - at for at in item.marks)) if isinstance(item, Claim) else item


@dataclass(frozen=True, slots=True)
class _Run:
    """A way to answer, its answers, and what the gate said of each written sentence, by question."""

    way: str
    answers: Sequence[tuple[dict[str, Any], Answer]]
    judged: Sequence[tuple[str, Judged]]

    def right(self) -> float:
        """Share of the questions that the handbook answers whose answer cites the sentence that does."""
        there = [(row, answer) for row, answer in self.answers if row["document"]]
        return sum(_right(row, answer) for row, answer in there) / max(1, len(there))

    def refused(self) -> float:
        """Share of the others that are refused."""
        absent = [answer for row, answer in self.answers if not row["document"]]
        return sum(answer.abstained for answer in absent) / max(1, len(absent))

    def released(self) -> float:
        return sum(judged.verdict.allowed for _, judged in self.judged) / max(1, len(self.judged))


def run(options: Options) -> dict[str, Any]:
    """Every question of the handbook's test, asked in four ways; a sample of what is released is for a person to judge."""
    lines = (_ROOT / "tests/e2e/handbook.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines][:: 6 if options.quick else 1]
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        with open_pipeline(Settings(index=index)) as pipeline:
            pipeline.add([_ROOT / "samples/handbook"])
        state = f"sqlite:///{folder}/state.sqlite3"
        plain = Settings(index=index, state=state, answer="quote")
        chosen = Settings(index=index, state=state, answer="quote-llm", llm=_LLM)
        written = Settings(index=index, state=state, answer="generate", llm=_LLM)
        runs = [
            asyncio.run(_ask_all("quote", plain, rows)),
            asyncio.run(_ask_all("quote-llm", chosen, rows)),
            asyncio.run(_ask_all("generate, best passage first", written, rows)),
            asyncio.run(_ask_all("generate, best passage last", written, rows, best_last=True)),
        ]
    said = {(question, each.claim.text): each for one in runs for question, each in one.judged if each.verdict.allowed}
    released = [(question, each) for (question, _), each in said.items()]
    sample = random.Random(7).sample(released, min(_SAMPLE, len(released)))
    listed = judged_by_hand(options.out / "writer_sample.json", [_row(question, judged.claim) for question, judged in sample])
    return _result(runs, listed).as_dict()


async def _ask_all(way: str, settings: Settings, rows: Sequence[dict[str, Any]], *, best_last: bool = False) -> _Run:
    parts = open_parts(settings)
    watched = _Watched(parts)
    answerer: Answerer = _BestLast(parts.answerer, parts.answerer.name) if best_last else parts.answerer
    bot = Bot(settings, lambda: replace(parts, gate=watched, answerer=answerer))
    await bot.start()
    answers, judged = [], []
    try:
        for row in rows:
            turns: list[Turn] = []
            for earlier in row["earlier"]:
                said = await bot.answer(earlier, turns=turns)
                turns.append(Turn(earlier, said.answer, said.question, said.abstained))
            watched.judged.clear()
            answers.append((row, await bot.answer(row["question"], turns=turns)))
            judged += [(row["question"], one) for one in watched.judged]
    finally:
        await bot.close()
    return _Run(way, answers, judged)


def _right(row: dict[str, Any], answer: Answer) -> bool:
    shown = {n for sentence in answer.sentences for n in sentence.citations}
    return any(
        citation.n in shown and Path(citation.source).name == row["document"] and row["quote"] in citation.quote
        for citation in answer.citations
    )


def _row(question: str, claim: Claim) -> dict[str, object]:
    return {"question": question, "sentence": claim.text, "quotes": [citation.quote for citation in claim.citations]}


def _result(runs: Sequence[_Run], sample: Sequence[dict[str, Any]]) -> Result:
    judged = [row for row in sample if row["judged"]]
    carried = sum(str(row["judged"]).startswith("supported") for row in judged)
    rows: list[list[object]] = []
    for one in runs:
        written: list[object] = [len(one.judged), one.released()] if one.judged else ["", ""]
        rows.append([one.way, one.right(), one.refused(), *written])
    listed = [[row["question"], row["sentence"], " / ".join(row["quotes"]), row["judged"]] for row in sample]
    figures = {
        one.way: {"right": one.right(), "refused": one.refused(), "sentences": len(one.judged), "released": one.released()}
        for one in runs
    }
    asked = runs[0].answers
    there = sum(bool(row["document"]) for row, _ in asked)
    return Result(
        {**figures, "sample": {"released": len(sample), "judged": len(judged), "supported": carried}},
        [
            Table(
                "SmolLM2-135M over the sample handbook",
                ("way", "answered right", "refused", "sentences written", "share released"),
                rows,
                f"Right: of {there} questions that the handbook answers, the sentence that does is cited. Refused: of the "
                f"{len(asked) - there} that it doesn't.",
            ),
            Table(
                "Released sentences, judged by hand",
                ("question", "sentence", "quotes", "judged"),
                listed,
                f"{carried} of {len(judged)} judged are supported by their quotes.",
            ),
        ],
    )
