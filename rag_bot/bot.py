"""THE STORY of an answer: question, rails, rewrite, retrieve, evidence, confidence, answer, gate, cited sentences."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ingest.errors import DocumentError, DocumentNotFound, SourceError
from ingest.index import Index
from ingest.pages import wanted_at
from ingest.parsers.builder import clean
from ingest.parsers.pool import ParserPool
from ingest.pipeline import Pipeline, ProgressCallback
from ingest.sentences import units
from ingest.types import Allowed, Hit, LedgerEntry, Mode, PagePlaces
from rag_bot.answer import Answerer, Brief
from rag_bot.budget import Budget
from rag_bot.cite import cite
from rag_bot.confidence import Confidence
from rag_bot.courtesy import courtesy
from rag_bot.errors import BadQuestion, Busy, NotFound, StateError
from rag_bot.evidence import EvidenceFinder
from rag_bot.gate import Gate
from rag_bot.judge import Judge
from rag_bot.marks import joined
from rag_bot.memory import Memory
from rag_bot.observe import Trace, within
from rag_bot.rails import Rails
from rag_bot.rails.masking import Masking
from rag_bot.readers import Readers, Scope
from rag_bot.retrieve import Retriever
from rag_bot.rewrite import Rewriter
from rag_bot.settings import Settings
from rag_bot.types import (
    Answer,
    BlockedEvent,
    Citation,
    Claim,
    DoneEvent,
    Event,
    Evidence,
    RailVerdict,
    Report,
    Sentence,
    SentenceEvent,
    SourcesEvent,
    Standalone,
    StatusEvent,
    Tone,
    Turn,
    Usage,
    Verdict,
)

if TYPE_CHECKING:
    from ingest.embedder import Vectors
    from rag_bot.llm.llm import LLM

T = TypeVar("T")
_Place: TypeAlias = tuple[str, int, int]
_log = logging.getLogger(__name__)

REFUSAL = "The documents don't say."
NOTHING_THERE = "There are no documents yet: add some, then ask again."
NOT_KEPT = "This answer is not kept in the conversation: the database can't be written to just now."
BLOCKED = "This question can't be answered here: {reason}"
_CLOSEST = 3  # sections named in a refusal
_TURNS = 6  # earlier turns that a follow-up may lean on
_WRITES = 8  # uploads that may wait for their turn
# Threads for what blocks, and as many for keeping turns, which may wait for the database; what waits for one of them stands in
# its queue. More would only take turns with the event loop.
_WORKERS = 4
# Questions whose passages are found and weighed at a time. That is work of the processor: more at once are done no sooner, and
# who hangs up waits for rounds of the loop in which many other answers begin.
_READ = 2
_PAGES = 2  # and for reading a page of a file, which may take seconds: no question waits for that


@dataclass(frozen=True, slots=True)
class Parts:
    """The steps of the story and what they work on, as `build.open_parts` puts them together."""

    index: Index
    memory: Memory
    rails: Rails
    rewrite: Rewriter
    retrieve: Retriever
    evidence: EvidenceFinder
    confidence: Confidence
    answerer: Answerer
    quote: Answerer
    gate: Gate
    judge: Judge | None
    masking: Masking | None
    llms: Sequence[LLM]
    open_writer: Callable[[], Pipeline]
    parsers: ParserPool
    readers: Readers
    unmasked: Parts | None = None  # the same for those who see personal data that others don't


@dataclass(slots=True)
class _Draft:
    """An answer while it is being made."""

    question: str
    conversation_id: str
    new: bool
    trace: Trace
    budget: Budget
    turns: Sequence[Turn]
    standalone: Standalone
    model: str
    allowed: Allowed
    owner: str | None = None
    hits: Sequence[Hit] = ()
    evidence: Sequence[Evidence] = ()
    confidence: float = 0.0
    sentences: list[Sentence] = field(default_factory=list)
    numbers: dict[_Place, int] = field(default_factory=dict)
    citations: dict[int, Citation] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    verdicts: list[RailVerdict] = field(default_factory=list)
    refused: Verdict | None = None
    answer_id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    accounted: bool = False
    tone: Tone = "plain"

    def take(self, report: Report) -> None:
        self.model = report.model or self.model
        self.notes.extend(report.notes)
        self.counts.update(report.counts)


class Bot:
    """Answers questions from an index. `open_parts` is called by `start`, in a thread, since loading takes seconds.

    `spent` is what each LLM, by its name, has taken since the bot was made.
    """

    def __init__(self, settings: Settings, open_parts: Callable[[], Parts]) -> None:
        self.settings = settings
        self._open_parts = open_parts
        self._parts: Parts | None = None
        self._failure = ""
        self._threads = ThreadPoolExecutor(_WORKERS, thread_name_prefix="bot")
        self._pages = ThreadPoolExecutor(_PAGES, thread_name_prefix="bot-pages")
        self._keepers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="bot-keeps")
        self._reading, self._writing = asyncio.Semaphore(_READ), asyncio.Lock()
        self._waiting_writes = 0
        self.spent: dict[str, Usage] = {}

    async def start(self) -> None:
        """Open the index and load the models. Raises IngestError or BotError; `ready` then says the same."""
        try:
            self._parts = await self._in_thread(self._open_parts)
        except Exception as error:
            self._failure = str(error)
            raise

    async def close(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, None
            parts.retrieve.embed.close()
            for llm in parts.llms:
                llm.close()
            parts.parsers.close()
            parts.index.close()
            parts.memory.close()
        for threads in (self._threads, self._keepers, self._pages):
            threads.shutdown(wait=False, cancel_futures=True)

    def ready(self) -> str | None:
        """None when questions can be answered, else what is missing, as a sentence."""
        return None if self._parts else self._failure or "The index and the models are being loaded."

    @property
    def index(self) -> Index:
        return self._opened().index

    @property
    def memory(self) -> Memory:
        return self._opened().memory

    @property
    def model(self) -> str:
        """`quote`, or the LLM's name."""
        return self._opened().answerer.name

    @property
    def readers(self) -> Readers:
        """Who may read what."""
        return self._opened().readers

    @property
    def everyone(self) -> Allowed:
        """What anybody may read: what is shown where nobody knows who asks."""
        return self._opened().readers.everyone()

    async def answer(
        self,
        question: str,
        conversation_id: str | None = None,
        *,
        turns: Sequence[Turn] | None = None,
        allowed: Allowed | None = None,
        owner: str | None = None,
    ) -> Answer:
        """The whole answer: what `stream` yields last."""
        stream = self.stream(question, conversation_id, turns=turns, allowed=allowed, owner=owner)
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, DoneEvent):
                    return event.answer
        raise RuntimeError("the stream ended without an answer")

    async def stream(
        self,
        question: str,
        conversation_id: str | None = None,
        *,
        turns: Sequence[Turn] | None = None,
        allowed: Allowed | None = None,
        owner: str | None = None,
        tone: Tone = "plain",
    ) -> AsyncGenerator[Event, None]:
        """The events of an answer as they happen; the last is DoneEvent. Closing the stream stops the work.

        `turns` is a conversation that the caller keeps: nothing is stored then. `allowed` says which documents the
        answer, and a refusal's nearest sections, may come from; None: those that everyone may read. `owner` is whose the
        conversation is and whom what LLMs take is counted for; None: everybody's. `tone` is how it is to be said.
        Raises BadQuestion or NotFound before the first event.
        """
        allowed = allowed or self.everyone
        parts = self._shown_to(allowed)
        draft = await self._begin(parts, question, conversation_id, turns, allowed, owner)
        draft.tone = tone
        outcome = "abandoned"
        try:
            async with aclosing(within(draft.trace.span, self._story(parts, draft, keep=turns is None))) as events:
                async for event in events:
                    if isinstance(event, DoneEvent):
                        outcome = event.answer.outcome
                    yield event
        finally:  # what was spent is counted, also when nobody waits for the answer any more
            for model, usage in draft.budget.by_model.items():
                self.spent[model] = self.spent.get(model, Usage()) + usage
            draft.trace.end({"rag_bot.outcome": outcome, "rag_bot.answered_by": draft.model})
            if draft.budget.by_model and not draft.accounted:
                threading.Thread(target=self._account, args=(parts, draft, turns is None), name="account").start()

    async def _story(self, parts: Parts, draft: _Draft, *, keep: bool) -> AsyncGenerator[Event, None]:
        trace = draft.trace

        # 1. May this be asked at all?
        if not keep:  # the caller's own turns: those that are kept here have been looked at when they were asked
            draft.turns = await self._in_thread(parts.rails.check_turns, draft.turns)
        vector = await self._asked(parts, draft, draft.question)
        if draft.refused:
            yield BlockedEvent(draft.refused)
            yield DoneEvent(await self._finish(parts, draft, keep=keep, blocked=draft.refused))
            return

        # 2. A greeting or a thank-you needs no proof.
        polite = courtesy(draft.question)
        if polite:
            draft.sentences.append(Sentence(polite, supported=True))
            yield SentenceEvent(draft.sentences[0], ())
            yield DoneEvent(await self._finish(parts, draft, keep=keep))
            return

        # 3. Put a follow-up so that it stands alone, and look at it again: it may say in two turns what it may not in one.
        with trace.step("rewrite"):
            draft.standalone = await parts.rewrite(draft.question, draft.turns, draft.budget)
        if draft.standalone.text != draft.question:
            vector = await self._asked(parts, draft, draft.standalone.text)
        if draft.standalone.before and not draft.refused:
            with trace.step("embed"):
                vector = await parts.retrieve.awaited(draft.standalone)

        # 4. Find the passages that may hold the answer, and weigh their sentences: is it there?
        if not draft.refused:
            yield StatusEvent("search")
            await self._read(parts, draft, vector)
        if draft.refused:
            yield BlockedEvent(draft.refused)
            yield DoneEvent(await self._finish(parts, draft, keep=keep, blocked=draft.refused))
            return
        yield SourcesEvent(tuple(draft.hits))
        yield StatusEvent("read")

        # 5. Answer, and release each sentence that the gate and the rails let through.
        if parts.confidence.enough(draft.confidence):
            yield StatusEvent("answer")
            async with aclosing(self._released(parts, draft)) as released:
                async for event in released:
                    yield event
        cut = draft.counts["sentences_cut"]
        if cut and parts.gate.mode == "strict" and draft.model != parts.quote.name:
            draft.notes.append(f"{_many(cut, 'sentence')} left out: the sources don't carry {'it' if cut == 1 else 'them'}.")

        # 6. Keep the turn, then hand over the whole. A rail that left no sentence has refused the answer.
        blocked = None if draft.sentences else draft.refused
        if blocked:
            yield BlockedEvent(blocked)
        yield DoneEvent(await self._finish(parts, draft, keep=keep, blocked=blocked))

    async def search(self, query: str, k: int, mode: Mode = "hybrid", *, allowed: Allowed | None = None) -> list[Hit]:
        """The passages that fit a query, without an answer; of documents that are `allowed` (None: to everyone)."""
        may = allowed or self.everyone
        parts = self._shown_to(may)
        return await self._in_thread(lambda: self._found(parts, clean(query), k, may, mode))

    async def text(self, document_id: str, start: int = 0, end: int | None = None, *, allowed: Allowed | None = None) -> str:
        """The characters from `start` to `end` of a document's text, as its readers may see it. Raises DocumentNotFound."""
        parts = self._shown_to(allowed or self.everyone)
        return await self._in_thread((parts.masking or parts.index).text, document_id, start, end)

    async def original(self, document_id: str, *, allowed: Allowed | None = None) -> Path:
        """The file that a document was made from. Raises DocumentNotFound, or SourceError where it can't be given out."""
        parts = self._shown_to(allowed or self.everyone)
        return await self._in_thread((parts.masking or parts.index).original, document_id)

    async def upload(
        self, name: str, data: bytes | Callable[[], bytes], progress: ProgressCallback | None = None
    ) -> LedgerEntry:
        """Take a file into the index; what gives the bytes is called once the index is open for writing. `progress` may stop
        it by raising an exception. Raises IndexBusy, IndexReadOnly or StorageFull."""
        return await self._write(lambda pipeline: pipeline.upload(name, data if isinstance(data, bytes) else data(), progress))

    async def places(self, document_id: str, start: int, end: int, *, allowed: Allowed | None = None) -> list[PagePlaces]:
        """Where the characters from `start` to `end` of a document stand on its pages; nothing where it has none, or where
        they are not found. Raises DocumentNotFound, or SourceError where the original can't be given out or read."""
        parts = self._shown_to(allowed or self.everyone)
        looking = partial(self._places, parts, document_id, start, end)
        return await asyncio.get_running_loop().run_in_executor(self._pages, looking)

    async def remove(self, document_id: str) -> LedgerEntry:
        """Take a document out of the index. Raises DocumentNotFound, IndexBusy or IndexReadOnly."""
        return await self._write(lambda pipeline: pipeline.remove([document_id])[0])

    @staticmethod
    def _places(parts: Parts, document_id: str, start: int, end: int) -> list[PagePlaces]:
        path = (parts.masking or parts.index).original(document_id)
        document = parts.index.parsed(document_id)
        wanted = wanted_at(document.text, document.blocks, start, end)
        if not wanted:
            return []
        try:
            return parts.parsers.places(path, path.name, wanted)
        except DocumentError as error:
            raise SourceError(f"The file {document.source} {error}.", error.hint) from error

    # --- the parts of the story

    async def _begin(
        self,
        parts: Parts,
        question: str,
        conversation_id: str | None,
        turns: Sequence[Turn] | None,
        allowed: Allowed,
        owner: str | None,
    ) -> _Draft:
        question = clean(question).strip()
        if not question:
            raise BadQuestion("The question is empty.", "Send some text.")
        if len(question) > self.settings.max_question_chars:
            raise BadQuestion(
                f"The question has {len(question):,} characters; {self.settings.max_question_chars:,} are allowed.",
                "Shorten it, or raise RAG_BOT_MAX_QUESTION_CHARS.",
            )
        trace, budget = Trace(), Budget(self.settings.llm_first_seconds, self.settings.llm_seconds)
        with trace.step("memory"):
            if turns is None:
                turns = await self._in_thread(self._said, parts, conversation_id, owner, allowed) if conversation_id else ()
        limit = self.settings.max_question_chars
        turns = [replace(turn, question=turn.question[:limit]) for turn in turns[-_TURNS:]]
        new, alone = conversation_id is None, Standalone(question, question)
        conversation_id = conversation_id or secrets.token_urlsafe(12)
        return _Draft(question, conversation_id, new, trace, budget, turns, alone, parts.answerer.name, allowed, owner)

    @staticmethod
    def _said(parts: Parts, conversation_id: str, owner: str | None, allowed: Allowed) -> list[Turn]:
        """The turns so far; with accounts, without those that rest on a document which the owner may not read any more."""
        turns = parts.memory.turns(conversation_id, _TURNS, owner)
        return turns if owner is None else [turn for turn in turns if readable(parts.index, allowed, turn.cited)]

    async def _asked(self, parts: Parts, draft: _Draft, question: str) -> Vectors:
        """The question's vector, once the rails have seen it: what they refuse stands in `draft.refused`, what they mask is
        masked in the draft."""
        with draft.trace.step("embed"):
            [vector] = await parts.retrieve.embed.awaited([question])
        with draft.trace.step("rails"):
            checked = await parts.rails.check_question(question, vector, draft.budget)
        draft.verdicts.extend(checked.verdicts)
        if not checked.verdict.allowed:
            draft.refused = checked.verdict
        if checked.text == question:
            return vector
        if question == draft.question:
            draft.question = checked.text
        draft.standalone = replace(draft.standalone, text=checked.text, own=draft.question)
        if draft.refused:
            return vector
        with draft.trace.step("embed"):
            [vector] = await parts.retrieve.embed.awaited([checked.text])
            return vector

    async def _read(self, parts: Parts, draft: _Draft, vector: Vectors) -> None:
        """Find passages, set those aside that give orders to a model, and weigh the sentences of the others."""
        with draft.trace.step("queue"):
            await self._reading.acquire()
        try:
            with draft.trace.step("search"):
                found = partial(self._found, vector=vector, earlier=draft.standalone.earlier)
                query, k = draft.standalone.searched, self.settings.passages
                draft.hits = await self._in_thread(found, parts, query, k, draft.allowed)
            await self._screen(parts, draft)
            if not draft.refused:
                with draft.trace.step("evidence"):
                    await self._in_thread(self._weigh, parts, draft, vector)
        finally:
            self._reading.release()

    @staticmethod
    async def _screen(parts: Parts, draft: _Draft) -> None:
        with draft.trace.step("rails"):
            screened = await parts.rails.check_passages(draft.hits)
        draft.verdicts.extend(screened.verdicts)
        aside = len(draft.hits) - len(screened.passages)
        draft.hits = screened.passages
        if not screened.verdict.allowed:
            draft.refused = screened.verdict
        elif aside:
            draft.counts["passages_set_aside"] += aside
            draft.notes.append(
                f"{_many(aside, 'passage')} set aside: {'it gives' if aside == 1 else 'they give'} orders to a model."
            )

    @staticmethod
    def _found(
        parts: Parts,
        query: str,
        k: int,
        allowed: Allowed,
        mode: Mode = "hybrid",
        *,
        vector: Vectors | None = None,
        earlier: str = "",
    ) -> list[Hit]:
        hits = parts.retrieve(query, k, mode, vector=vector, earlier=earlier, allowed=allowed)
        return parts.masking.hits(hits) if parts.masking else hits

    @staticmethod
    def _weigh(parts: Parts, draft: _Draft, vector: Vectors) -> None:
        weights = parts.evidence.weights(draft.standalone, draft.allowed)
        draft.evidence = parts.evidence(draft.standalone, weights, draft.hits, vector)
        draft.confidence = parts.confidence(weights, draft.hits, draft.evidence)

    async def _released(self, parts: Parts, draft: _Draft) -> AsyncGenerator[Event, None]:
        """The sentences that may be shown, numbered as they come. Where nothing of what an LLM wrote may be, quotes are."""
        brief = Brief(draft.standalone, draft.hits, draft.evidence, draft.turns, draft.budget, draft.tone)
        for answerer in (parts.answerer, parts.quote):
            async with aclosing(answerer(brief)) as items:
                async for item in items:
                    if isinstance(item, Report):
                        draft.take(item)
                    elif (sentence := await self._sentence(parts, draft, item)) is not None:
                        yield sentence
            if draft.sentences or draft.refused or not draft.counts["sentences_cut"] or answerer is parts.quote:
                return
            draft.take(
                Report(parts.quote.name, notes=(f"Nothing that {draft.model} wrote is in the sources: they are quoted.",))
            )

    async def _sentence(self, parts: Parts, draft: _Draft, claim: Claim) -> SentenceEvent | None:
        """A claim as a sentence of the answer; None if the gate, the judge or a rail keeps it back."""
        with draft.trace.step("gate"):
            judged = await self._in_thread(parts.gate.prove, claim, draft.hits)
        if parts.judge and claim.written:
            with draft.trace.step("judge"):
                judged = await parts.judge(judged, draft.budget)
        supported = judged.verdict.allowed
        if not supported:
            draft.counts["sentences_cut"] += 1
            if parts.gate.mode == "strict":
                return None
        with draft.trace.step("rails"):
            checked = await parts.rails.check_sentence(
                judged.claim, draft.standalone.text, joined(draft.sentences), draft.budget
            )
        draft.verdicts.extend(checked.verdicts)
        if not checked.verdict.allowed:
            draft.refused = checked.verdict
            return None
        claim = _renumbered(replace(judged.claim, text=checked.text), draft.numbers)
        sentence = Sentence(claim.text, tuple(citation.n for citation in claim.citations), supported)
        draft.sentences.append(sentence)
        draft.citations.update((citation.n, citation) for citation in claim.citations)
        draft.trace.mark("first_sentence")
        return SentenceEvent(sentence, claim.citations)

    async def _finish(self, parts: Parts, draft: _Draft, *, keep: bool, blocked: Verdict | None = None) -> Answer:
        if blocked:
            text = blocked.message or BLOCKED.format(reason=blocked.reason)
        elif draft.sentences:
            text = joined(draft.sentences)
        else:
            text = await self._in_thread(self._refusal, parts, draft)
        answer = Answer(
            answer=text,
            abstained=blocked is None and not draft.sentences,
            question=draft.standalone.text,
            model=draft.model,
            conversation_id=draft.conversation_id,
            answer_id=draft.answer_id,
            sentences=tuple(draft.sentences),
            citations=tuple(draft.citations[n] for n in sorted(draft.citations)),
            blocked=blocked,
            confidence=round(draft.confidence, 4),
            usage=draft.budget.spent,
            notes=tuple(draft.notes),
            counts=dict(draft.counts),
            rails=tuple(draft.verdicts),
        )
        draft.accounted = True
        if keep:
            with draft.trace.step("memory"):
                timed = replace(answer, timings_ms=draft.trace.timings_ms())
                kept = await asyncio.shield(self._in_thread(self._keep, parts, draft, timed, threads=self._keepers))
            if not kept:
                answer = replace(answer, notes=(*answer.notes, NOT_KEPT))
        elif draft.budget.by_model:
            await asyncio.shield(self._in_thread(self._account, parts, draft, keep))
        return replace(answer, timings_ms=draft.trace.timings_ms())

    @classmethod
    def _keep(cls, parts: Parts, draft: _Draft, answer: Answer) -> bool:
        """Keep the turn and what LLMs took for it. Whether it is kept: where it can't be, the answer is there all the same."""
        kept = True
        try:
            parts.memory.save(draft.question, answer, new=draft.new, owner=draft.owner, spent=draft.budget.by_model)
            return kept
        except StateError as error:
            _log.error("The turn was not kept: %s", error)
            kept = False
        except NotFound:
            _log.info("The conversation %s was deleted while it was answered.", draft.conversation_id)
        cls._account(parts, draft, keep=True)
        return kept

    @staticmethod
    def _account(parts: Parts, draft: _Draft, keep: bool) -> None:
        """Keep what LLMs took for an answer, whether it was given and kept or not."""
        try:
            conversation_id = draft.conversation_id if keep else ""
            parts.memory.spent(draft.answer_id, draft.budget.by_model, conversation_id, draft.owner or "")
        except StateError as error:
            _log.error("What was spent was not kept: %s", error)

    def _refusal(self, parts: Parts, draft: _Draft) -> str:
        """An honest refusal that names the nearest sections, each with a mark that leads there."""
        found = draft.hits and parts.index.counts()[0]
        if not found and not parts.index.holds(draft.allowed):
            return NOTHING_THERE
        places: dict[str, str] = {}
        for hit in draft.hits:
            name = " › ".join(dict.fromkeys([hit.document.title, *hit.chunk.heading]))
            span = next(units(hit.chunk), None)
            if name in places or span is None or len(places) == _CLOSEST:
                continue
            start, end = hit.chunk.start + span[0], hit.chunk.start + span[1]
            n = len(places) + 1
            citation = cite(n, hit, (start, end), hit.chunk.text[span[0] : span[1]])
            if not parts.gate(Claim(citation.quote, (citation,))).allowed:  # the document went while it was read
                continue
            draft.citations[n] = citation
            places[name] = f"{name} [{n}]"
        return f"{REFUSAL} Closest: {'; '.join(places.values())}." if places else REFUSAL

    # --- helpers

    def _opened(self) -> Parts:
        if self._parts is None:
            raise Busy(self.ready() or "", "Wait until /health/ready says so.", retry_after=5)
        return self._parts

    def _shown_to(self, allowed: Allowed) -> Parts:
        """The steps for whoever reads along: with personal data masked or not."""
        parts = self._opened()
        return parts.unmasked if parts.unmasked and isinstance(allowed, Scope) and allowed.sees_personal else parts

    async def _write(self, work: Callable[[Pipeline], T]) -> T:
        parts = self._opened()

        def write() -> T:
            with parts.open_writer() as pipeline:
                return work(pipeline)

        if self._waiting_writes >= _WRITES:
            raise Busy("Too many documents are waiting to be taken in.", "Send it again later.", retry_after=30)
        self._waiting_writes += 1
        try:
            async with self._writing:  # one upload after another; another process that writes is IndexBusy
                result = await _in_daemon(write)
        finally:
            self._waiting_writes -= 1
        await self._in_thread(parts.index.refresh)
        return result

    async def _in_thread(self, function: Callable[..., T], *arguments: object, threads: ThreadPoolExecutor | None = None) -> T:
        inside = partial(copy_context().run, function, *arguments)  # whose trace it is, is known there as well
        return await asyncio.get_running_loop().run_in_executor(threads or self._threads, inside)


async def _in_daemon(function: Callable[[], T]) -> T:
    """Run something long in a thread of its own that doesn't hold up the end of the process: what it writes is written
    in whole documents, so that it may be cut off anywhere."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="write", daemon=True).start()
    return await asyncio.shield(asyncio.wrap_future(future))


def _renumbered(claim: Claim, numbers: dict[_Place, int]) -> Claim:
    """Marks without gaps, though the gate may have dropped what stood between; the same place keeps its number."""
    citations = tuple(
        replace(c, n=numbers.setdefault((c.document_id, c.start, c.end), len(numbers) + 1)) for c in claim.citations
    )
    return replace(claim, citations=citations)


def _many(number: int, noun: str) -> str:
    return f"1 {noun} was" if number == 1 else f"{number} {noun}s were"


def text_reader(index: Index) -> Callable[[str, int, int], str]:
    """Reads the stored text; a document that is gone reads as nothing, so that no quote of it is found."""

    def read(document_id: str, start: int, end: int) -> str:
        try:
            return index.text(document_id, start, end)
        except DocumentNotFound:
            return ""

    return read


def readable(index: Index, allowed: Allowed, document_ids: Iterable[str]) -> bool:
    """Whether all these documents are there and may be read."""
    try:
        return all(allowed(index.document(document_id)) for document_id in document_ids)
    except DocumentNotFound:
        return False
