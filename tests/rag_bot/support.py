"""What the bot's tests share: a few short documents, a bot on an index of them, and what holds for every answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ingest.build import open_pipeline
from ingest.index import Index
from ingest.types import Chunk, DocumentInfo, Hit, Span
from rag_bot.answer import Brief
from rag_bot.bot import Bot, Parts
from rag_bot.budget import Budget
from rag_bot.build import open_parts
from rag_bot.cite import cite
from rag_bot.confidence import FEATURES, Calibration, Confidence
from rag_bot.rails import Checked, Screened
from rag_bot.settings import Settings
from rag_bot.types import Answer, Claim, DoneEvent, Event, Evidence, Passage, Report, Turn, Verdict

DOCUMENTS = {
    "leave.md": "# Leave\n\nEveryone gets 26 days of paid leave a year. They are asked for in writing, two weeks ahead.\n\n"
    "## Contractors\n\nContractors get no paid leave.\n",
    "illness.md": "# Illness\n\nWho is ill calls the team leader before nine. Full salary is paid for twelve weeks.\n\n"
    "## Contractors\n\nContractors get no salary during illness.\n",
    "party.txt": "🎉 Party\n\nSnacks 🥨 are free. The summer party 🦊 is held on 3 July — in Ghent 👩‍👩‍👧.\n",
    "rates.csv": "city,night rate\nOslo,140 euros\nLisbon,95 euros\nParis,180 euros\n",
}
LEAVE = "How many days of paid leave does everyone get?"
LEAVE_SENTENCE = "Everyone gets 26 days of paid leave a year."

# The calibration that ships is fitted on an embedder that knows meanings; this one looks at the words alone.
BY_WORDS = Calibration(tuple(20.0 if name == "coverage" else 0.0 for name in FEATURES), -9.0, ((0.5, 0.0),))


def fill(folder: Path, documents: Mapping[str, str] = DOCUMENTS) -> Settings:
    """Settings of an index in `folder` that holds the documents, made with the hash embedder."""
    settings = Settings(index=folder, embedder="hash")
    with open_pipeline(settings) as pipeline:
        for name, text in documents.items():
            assert pipeline.upload(name, text.encode()).status == "added"
    return settings


def parts_of(settings: Settings, **changed: Any) -> Parts:
    """The real steps, judging by words; `changed` puts others in their place."""
    parts = open_parts(settings)
    changed = {"confidence": Confidence(BY_WORDS, 0.5), **changed}
    if parts.unmasked:
        changed = {"unmasked": replace(parts.unmasked, **changed), **changed}
    return replace(parts, **changed)


@asynccontextmanager
async def running(settings: Settings, **changed: Any) -> AsyncIterator[Bot]:
    """A bot that is ready, closed at the end of the block."""
    bot = Bot(settings, lambda: parts_of(settings, **changed))
    await bot.start()
    try:
        yield bot
    finally:
        await bot.close()


async def events_of(stream: AsyncGenerator[Event, None]) -> tuple[list[Event], Answer]:
    """All events, and the answer that came with the last."""
    events = [event async for event in stream]
    last = events[-1]
    assert isinstance(last, DoneEvent)
    return events, last.answer


def assert_exact(index: Index, answer: Answer) -> None:
    """Every quote stands in its document where its citation says, and marks are numbered from 1 without a gap."""
    for citation in answer.citations:
        assert index.text(citation.document_id, citation.start, citation.end) == citation.quote
    assert [citation.n for citation in answer.citations] == list(range(1, len(answer.citations) + 1))
    marks = {n for sentence in answer.sentences for n in sentence.citations}
    assert marks <= {citation.n for citation in answer.citations}
    for n in range(1, len(answer.citations) + 1):
        assert f"[{n}]" in answer.answer


# --- passages and evidence without an index


def passage(text: str, *, name: str = "doc", start: int = 0, header: Span | None = None, **chunk: Any) -> Passage:
    """A passage that stands at `start` of the document `name`; with a `header` it is a table's."""
    info = DocumentInfo(
        name, f"{name}.md", name.title(), "text/markdown", 1, start + len(text), "0", "2026-11-22T00:00:00+00:00"
    )
    return Hit(info, Chunk(start, start + len(text), text, kind="table" if header else "text", header=header, **chunk), 1.0)


def evidence_of(passages: Sequence[Passage], at: int, text: str, score: float = 1.0, coverage: float = 0.5) -> Evidence:
    """A sentence of a passage, scored as told."""
    start = passages[at].chunk.start + passages[at].chunk.text.index(text)
    return Evidence(at, start, start + len(text), text, score, coverage, coverage, 0.5, True)


@dataclass(frozen=True)
class Library:
    """Texts in a dictionary, read as the index's are: a document that isn't there holds nothing."""

    texts: Mapping[str, str]

    def __call__(self, document_id: str, start: int, end: int) -> str:
        return self.texts.get(document_id, "")[max(0, start) : end]


# --- other members of the family


@dataclass
class ScriptedAnswerer:
    """Proposes what it is told to; notes whether it was closed before its end."""

    script: Sequence[Claim | Report] = ()
    name: str = "scripted"
    closed: bool = False
    asked: list[str] = field(default_factory=list)

    async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        self.asked.append(brief.question.text)
        try:
            for claim in self.script or first_sentences(brief.passages):
                yield claim
        finally:
            self.closed = True


def first_sentences(passages: Sequence[Passage]) -> list[Claim]:
    """A claim for the whole of each passage, proved by itself."""
    return [
        Claim(hit.chunk.text, (cite(n, hit, (hit.chunk.start, hit.chunk.end), hit.chunk.text),))
        for n, hit in enumerate(passages, 1)
    ]


@dataclass(frozen=True)
class WordRails:
    """Refuses a question that holds one word, and a sentence that holds another."""

    question: str
    sentence: str

    async def check_question(self, question: str, vector: object, budget: Budget) -> Checked:
        refused = Verdict(False, "words", "word", f"We don't speak of {self.question}.")
        return Checked(refused if self.question in question else Verdict(True), question)

    def check_turns(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        return [turn for turn in turns if self.question not in turn.question]

    async def check_passages(self, passages: Sequence[Passage]) -> Screened:
        return Screened(Verdict(True), tuple(passages))

    async def check_sentence(self, claim: Claim, question: str, before: str, budget: Budget) -> Checked:
        refused = Verdict(False, "words", "word", "That is not for here.")
        return Checked(refused if self.sentence in claim.text else Verdict(True), claim.text)
