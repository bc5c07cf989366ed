"""THE STORY of a run: each question is asked as a user would, and what came is held against what was wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingest.errors import IngestError
from ingest.types import Hit
from rag_bot.bot import Bot, Parts
from rag_bot.build import open_parts
from rag_bot.errors import BotError
from rag_bot.eval.judged import Judging
from rag_bot.eval.metrics import DEPTH, is_right, plain
from rag_bot.eval.places import Hiding, Locator, Place, touched
from rag_bot.eval.proof import Prover
from rag_bot.eval.store import Info, RunFolder
from rag_bot.eval.types import Beyond, Case, Cited, Record, Retrieved, Said
from rag_bot.settings import Settings
from rag_bot.types import Answer, BlockedEvent, DoneEvent, SourcesEvent

Tell = Callable[[int, int, Record | None], None]
"""Told how many questions of how many are done, and the record of the last."""

_SHOWN = 400  # characters of a passage that a record keeps


class Lenient:
    """A confidence that finds everything enough while `on`: what would have been answered where it was refused?"""

    def __init__(self, confidence: Any) -> None:
        self._confidence = confidence
        self.on = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._confidence, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._confidence(*arguments, **options)

    def enough(self, *arguments: Any, **options: Any) -> bool:
        return self.on or self._confidence.enough(*arguments, **options)


@dataclass(slots=True)
class _Hooks:
    """What is changed in the bot while it is measured."""

    retrieve: Hiding
    confidence: Lenient
    parts: Parts


class Examiner:
    """A bot under examination, open from `start` to `close`. One question at a time, so that times are those of one user.

    `beyond`: what is refused is asked again, answered whatever the confidence, for the curve of risk over coverage. `judge`
    gives an LLM's opinion.
    """

    def __init__(self, settings: Settings, *, beyond: bool = True, judge: Judging | None = None) -> None:
        self._beyond, self._judge = beyond, judge
        self._hooked: _Hooks | None = None
        self.bot = Bot(settings, lambda: self._hook(open_parts(settings)))

    def _hook(self, parts: Parts) -> Parts:
        retrieve: Any = Hiding(parts.retrieve)
        confidence: Any = Lenient(parts.confidence)
        parts = replace(parts, retrieve=retrieve, confidence=confidence)
        self._hooked = _Hooks(retrieve, confidence, parts)
        return parts

    async def start(self) -> None:
        """Open the index and load the models. Raises IngestError or BotError."""
        await self.bot.start()
        self._locate = Locator(self.bot.index)
        self._prove = Prover(self._hooks.parts.retrieve.embed, self.bot.index)
        if self.bot.index.counts()[0]:
            await self.bot.search("warm up", 1)  # what is slow once is nobody's latency

    async def close(self) -> None:
        if self._judge:
            self._judge.close()
        await self.bot.close()

    @property
    def _hooks(self) -> _Hooks:
        if self._hooked is None:
            raise RuntimeError("the examiner was not started")
        return self._hooked

    async def ask(self, case: Case) -> Record:
        """Ask one question and note what came."""
        # 1. Find the places that it wants, and hide those that it may not find.
        wanted = [self._locate.places(place) for place in case.wanted]
        hidden = [self._locate.places(place) for place in case.hidden]
        lost = sum(not places for places in (*wanted, *hidden))
        if case.hidden and not all(hidden):
            case = replace(case, answerable=None)  # the answer may be there: nobody knows
        self._hooks.retrieve.hidden = [place for places in hidden for place in places]
        self._hooks.retrieve.forget()

        # 2. Ask as a user would, and look further down the ranking than an answer does.
        try:
            hits, answer, reason = await self._answer(case)
            more = await asyncio.to_thread(self._hooks.retrieve.deeper, DEPTH)
            hits += [hit for hit in more if hit.chunk.id not in _ids(hits)]
        except (BotError, IngestError) as error:
            return Record(case, error=str(error), lost=lost)
        record = _record(case, answer, reason, hits[:DEPTH], wanted, lost)

        # 3. Do its citations carry its sentences? Is it right?
        record = replace(record, sentences=await self._proved(record))
        record = replace(record, right=None if record.refused or case.answerable is None else is_right(record))

        # 4. What would have been said instead of a refusal?
        if self._beyond and record.abstained and record.confidence > 0:
            record = replace(record, beyond=await self._beyond_refusal(case, record, wanted))

        # 5. A second opinion, if one was asked for.
        if self._judge:
            record = replace(record, opinion=await self._judge(record))
        return record

    async def _answer(self, case: Case) -> tuple[list[Hit], Answer, str]:
        hits: list[Hit] = []
        reason = ""
        async with aclosing(self.bot.stream(case.question, turns=case.turns)) as events:
            async for event in events:
                match event:
                    case SourcesEvent(hits=found):
                        hits = list(found)
                    case BlockedEvent(verdict=verdict):
                        reason = verdict.reason or verdict.rail or "a rail"
                    case DoneEvent(answer=answer):
                        return hits, answer, reason
                    case _:
                        pass
        raise RuntimeError("the stream ended without an answer")

    async def _proved(self, record: Record) -> tuple[Said, ...]:
        cited = {citation.n: citation for citation in record.citations}
        return tuple(
            [
                await asyncio.to_thread(self._prove, sentence, [cited[n] for n in sentence.citations if n in cited])
                for sentence in record.sentences
            ]
        )

    async def _beyond_refusal(self, case: Case, refused: Record, wanted: Sequence[Sequence[Place]]) -> Beyond | None:
        self._hooks.confidence.on = True
        try:
            _, answer, reason = await self._answer(case)
        except (BotError, IngestError):
            return None
        finally:
            self._hooks.confidence.on = False
        if not answer.sentences:
            return None
        record = _record(case, answer, reason, (), wanted, 0)
        return Beyond(plain(answer.answer), is_right(record))


async def run(
    examiner: Examiner, cases: Sequence[Case], folder: RunFolder, info: Info, tell: Tell = lambda done, of, record: None
) -> list[Record]:
    """Ask every question that has no record in the folder yet. Stopped at any time, the same call goes on from there."""
    began = time.monotonic()
    there = {record.case.id: record for record in folder.begin(info)}
    if there:
        folder.tidy(list(there.values()))
    tell(len(there), len(cases), None)
    for case in cases:
        if case.id not in there:
            record = await examiner.ask(case)
            folder.append(record)
            there[case.id] = record
            tell(len(there), len(cases), record)
    records = [there[case.id] for case in cases]
    folder.tidy(records)
    folder.finish(replace(info, done=True, seconds=round(time.monotonic() - began, 1), peak_mb=peak_mb()))
    return records


def peak_mb() -> float:
    """The most memory that this process has held, in MB; 0 where the system does not say. (`ru_maxrss` begins with what the
    parent held.)"""
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) / 1000, 1)
    return 0.0


def _record(
    case: Case, answer: Answer, reason: str, hits: Iterable[Hit], wanted: Sequence[Sequence[Place]], lost: int
) -> Record:
    return Record(
        case=case,
        question=answer.question,
        answer=answer.answer,
        abstained=answer.abstained,
        blocked=reason if answer.blocked else "",
        confidence=answer.confidence,
        model=answer.model,
        sentences=tuple(Said(s.text, s.supported, s.citations) for s in answer.sentences),
        citations=tuple(
            Cited(
                c.n,
                c.document_id,
                c.source,
                c.title,
                c.page,
                c.heading,
                c.start,
                c.end,
                c.quote,
                touched(wanted, c.document_id, c.start, c.end, 0.0),
            )
            for c in answer.citations
        ),
        retrieved=tuple(_retrieved(hit, wanted) for hit in hits),
        lost=lost,
        timings_ms=answer.timings_ms,
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        cost=answer.usage.cost,
        cut=answer.counts.get("sentences_cut", 0),
        fallbacks=answer.counts.get("fallbacks", 0),
        notes=answer.notes,
    )


def _retrieved(hit: Hit, wanted: Sequence[Sequence[Place]]) -> Retrieved:
    chunk, document = hit.chunk, hit.document
    return Retrieved(
        document.document_id,
        document.source,
        document.title,
        chunk.heading,
        chunk.page,
        chunk.start,
        chunk.end,
        round(hit.score, 4),
        chunk.text[:_SHOWN],
        touched(wanted, document.document_id, chunk.start, chunk.end),
    )


def _ids(hits: Iterable[Hit]) -> set[int]:
    return {hit.chunk.id for hit in hits}
