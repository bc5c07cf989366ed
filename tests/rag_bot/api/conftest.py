"""Two bots: a small one that can be told to wait, break and refuse, and the real one on a small index."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ingest.build import open_pipeline
from ingest.errors import DocumentNotFound, SourceError
from ingest.pipeline import ProgressCallback
from ingest.types import Allowed, Chunk, DocumentInfo, Hit, LedgerEntry, Mode, PagePlaces, Progress
from rag_bot.api.app import create_app
from rag_bot.api.serve import Server, listen
from rag_bot.build import build_bot
from rag_bot.confidence import FEATURES, Calibration
from rag_bot.errors import BadQuestion
from rag_bot.memory import Memory
from rag_bot.readers import Readers
from rag_bot.settings import Settings
from rag_bot.types import (
    Answer,
    BlockedEvent,
    Citation,
    DoneEvent,
    Event,
    Sentence,
    SentenceEvent,
    SourcesEvent,
    StatusEvent,
    Turn,
    Usage,
    Verdict,
)

LEAVE = "Parental leave lasts sixteen weeks. Ask for it in März — 🦊 early."
TEXTS = {
    "leave.md": ("text/markdown", LEAVE),
    "trips.html": ("text/html", "<script>alert(1)</script>Trips are booked by the office."),
    "gone.txt": ("text/plain", "This file is no longer where it was."),
}


DOCUMENTS = {
    "leave.md": "# Parental leave\n\nParental leave lasts sixteen weeks. Ask for it in März, eight weeks early.\n\n"
    "## Contractors\n\nContractors have no parental leave.\n",
    "rates.csv": "city,night rate\nOslo,140 euros\nLisbon,95 euros\n",
    "attack.html": "<html><body><script>alert(1)</script><h1>Trips</h1><p>The travel office books trips.</p></body></html>",
}


@dataclass
class ToyIndex:
    """Documents in a dictionary, with originals in a folder."""

    folder: Path
    texts: dict[str, tuple[DocumentInfo, str]] = field(default_factory=dict)

    def find(self, source: str) -> DocumentInfo | None:
        return next((info for info, _ in self.texts.values() if info.source == source), None)

    def put(self, source: str, media_type: str, text: str) -> DocumentInfo:
        digest = sha256(text.encode()).hexdigest()
        info = DocumentInfo(
            f"d-{source.split('.')[0]}", source, source, media_type, 1, len(text), digest, "2026-11-22T00:00:00Z"
        )
        self.texts[info.document_id] = (info, text)
        (self.folder / source).write_text(text)
        return info

    def documents(self) -> list[DocumentInfo]:
        return [info for info, _ in self.texts.values()]

    def document(self, document_id: str) -> DocumentInfo:
        return self._get(document_id)[0]

    def reads(self, document_id: str, allowed: Allowed) -> bool:
        return document_id in self.texts

    def text(self, document_id: str, start: int = 0, end: int | None = None) -> str:
        return self._get(document_id)[1][start:end]

    def original(self, document_id: str) -> Path:
        path = self.folder / self.document(document_id).source
        if not path.exists():
            raise SourceError(f"{path.name} is gone.", "Add the document again.")
        return path

    def counts(self) -> tuple[int, int]:
        return len(self.texts), len(self.texts)

    def _get(self, document_id: str) -> tuple[DocumentInfo, str]:
        if document_id not in self.texts:
            raise DocumentNotFound(f"There is no document {document_id!r}.", "See the list.")
        return self.texts[document_id]


class ToyBot:
    """Answers by the question's words: `slow`, `endless`, `silent`, `break`, `late break`, `block`, `unknown`, else a quote."""

    model = "quote"

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.index = ToyIndex(folder)
        for source, (media_type, text) in TEXTS.items():
            self.index.put(source, media_type, text)
        (folder / "gone.txt").unlink()
        self.memory = Memory(f"sqlite:///{folder / 'state.sqlite3'}")
        self.missing: str | None = None
        self.failures: list[Exception] = []
        self.starts = 0
        self.closed = False
        self.working = threading.Event()
        self.stopped = threading.Event()
        self.go_on = threading.Event()
        self.turns: list[Turn] = []
        self.spent: dict[str, Usage] = {}
        self.readers = Readers()

    async def start(self) -> None:
        self.starts += 1
        if self.failures:
            raise self.failures.pop(0)

    async def close(self) -> None:
        self.closed = True

    def ready(self) -> str | None:
        return self.missing

    async def stream(
        self,
        question: str,
        conversation_id: str | None = None,
        *,
        turns: Sequence[Turn] | None = None,
        allowed: Allowed,
        owner: str | None = None,
    ) -> AsyncIterator[Event]:
        if not question.strip():
            raise BadQuestion("The question is empty.", "Write one.")
        if len(question) > self.settings.max_question_chars:
            raise BadQuestion("The question is too long.", "Shorten it.")
        stored = turns is None
        if turns is None:
            turns = await asyncio.to_thread(self.memory.turns, conversation_id, 6, owner) if conversation_id else []
        self.turns = list(turns)
        key = conversation_id or self.memory.start()
        try:
            if "broken" in question:
                raise RuntimeError("a secret inside")
            yield StatusEvent("retrieve")
            self.working.set()
            if "silent" in question:
                await asyncio.sleep(60)
            hit = Hit(self.index.document("d-leave"), Chunk(0, len(LEAVE), LEAVE, ("Leave",), 1), 0.9)
            yield SourcesEvent((hit,))
            if "late break" in question:
                raise RuntimeError("a secret inside")
            answer = self._answer(question, key)
            if answer.blocked:
                yield BlockedEvent(answer.blocked)
            for sentence in answer.sentences:
                yield SentenceEvent(sentence, answer.citations)
                await asyncio.sleep(0.3 if "slow" in question else 60 if "endless" in question else 0)
            if stored:
                await asyncio.to_thread(partial(self.memory.save, question, answer, owner=owner))
            yield DoneEvent(answer)
        finally:
            self.stopped.set()

    async def answer(self, question: str, conversation_id: str | None = None, **more: Any) -> Answer:
        async for event in self.stream(question, conversation_id, **more):
            if isinstance(event, DoneEvent):
                return event.answer
        raise AssertionError("a stream ends with its answer")

    async def search(self, query: str, k: int, mode: Mode, *, allowed: Allowed) -> list[Hit]:
        infos = [self.index.document("d-leave"), self.index.document("d-trips")][:k]
        return [Hit(info, Chunk(0, 5, self.index.text(info.document_id)[:5]), 0.5) for info in infos]

    async def text(self, document_id: str, start: int = 0, end: int | None = None, *, allowed: Allowed) -> str:
        return self.index.text(document_id, start, end)

    async def original(self, document_id: str, *, allowed: Allowed) -> Path:
        return self.index.original(document_id)

    async def places(self, document_id: str, start: int, end: int, *, allowed: Allowed) -> list[PagePlaces]:
        self.index.original(document_id)
        return [PagePlaces(1, 200.0, 100.0, ((float(start), 0.0, float(end), 10.0),))]

    async def upload(
        self, name: str, data: bytes | Callable[[], bytes], progress: ProgressCallback | None = None
    ) -> LedgerEntry:
        data = data if isinstance(data, bytes) else data()
        if self.failures:
            raise self.failures.pop(0)
        while b"slow" in data and not self.go_on.is_set():
            await asyncio.sleep(0.02)
            if progress:
                progress(Progress(0, 1, 3, None, name, (), 7))
        if not data:
            return LedgerEntry(name, None, "failed", "The file is empty.")
        known = name in {info.source for info in self.index.documents()}
        text = data.decode()
        if known and text in {text for _, text in self.index.texts.values()}:
            return LedgerEntry(name, f"d-{name.split('.')[0]}", "unchanged", None, 1)
        info = self.index.put(name, "text/plain", text)
        return LedgerEntry(name, info.document_id, "replaced" if known else "added", None, 1)

    async def remove(self, document_id: str) -> LedgerEntry:
        info = self.index.document(document_id)
        del self.index.texts[document_id]
        return LedgerEntry(info.source, document_id, "removed")

    def _answer(self, question: str, conversation_id: str) -> Answer:
        answer = Answer(
            "",
            False,
            question,
            self.model,
            conversation_id,
            secrets.token_urlsafe(8),
            usage=Usage(5, 7),
            timings_ms={"retrieve": 2.0},
        )
        if "unknown" in question:
            return replace(answer, answer="The documents don't say. Closest: Leave.", abstained=True)
        if "block" in question:
            refused = Verdict(False, "topic", "off-topic", "That is not for here.")
            return replace(answer, answer=refused.message, blocked=refused)
        quotes = [LEAVE[0:35], LEAVE[36:]]
        citations = tuple(
            Citation(n, "d-leave", "leave.md", "leave.md", 1, ("Leave",), LEAVE.index(q), LEAVE.index(q) + len(q), q)
            for n, q in enumerate(quotes, 1)
        )
        sentences = tuple(Sentence(q, (n,), True) for n, q in enumerate(quotes, 1))
        text = " ".join(f"{q} [{n}]" for n, q in enumerate(quotes, 1))
        return replace(answer, answer=text, sentences=sentences, citations=citations, confidence=0.9)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(index=tmp_path / "index", embedder="hash", shutdown_seconds=2.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    return folder


# The calibration that ships is fitted on an embedder that knows meanings; this one looks at the words alone.
BY_WORDS = Calibration(tuple(20.0 if name == "coverage" else 0.0 for name in FEATURES), -9.0, ((0.5, 0.0),))


@pytest.fixture
def real_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a small index that is there, made with the hash embedder."""
    monkeypatch.setattr(Calibration, "load", lambda *_: BY_WORDS)
    with open_pipeline(settings) as pipeline:
        for name, text in DOCUMENTS.items():
            assert pipeline.upload(name, text.encode()).status == "added"
    return settings


@pytest.fixture
def real(real_settings: Settings) -> Iterator[TestClient]:
    """A client of the real bot, ready."""
    with client_of(build_bot(real_settings)) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client


@pytest.fixture
def bot(settings: Settings, folder: Path) -> Iterator[ToyBot]:
    bot = ToyBot(settings, folder)
    yield bot
    bot.memory.close()


@pytest.fixture
def client(bot: Any) -> Iterator[TestClient]:
    with TestClient(create_app(bot)) as client:
        yield client


@contextmanager
def client_of(bot: Any) -> Iterator[TestClient]:
    """A client of a bot with other settings than the fixture's."""
    with TestClient(create_app(bot)) as client:
        yield client


@dataclass
class Running:
    """A real server in a thread of its own."""

    port: int
    server: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.should_exit = True


@contextmanager
def running(bot: Any) -> Iterator[Running]:
    """uvicorn on a free port, as `rag-bot serve` runs it."""
    from rag_bot.api.serve import server_of

    sock = listen("127.0.0.1", 0)
    server = server_of(bot)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield Running(sock.getsockname()[1], server)
    finally:
        server.should_exit = True
        thread.join(30)
        sock.close()
    assert not thread.is_alive()


def wait_until(true: Any, seconds: float = 20.0) -> None:
    """Wait for something that another thread does; fails when it never comes."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
