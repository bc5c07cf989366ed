"""THE STORY of a question on a chat platform: leased, judged, answered for those who will see it, shown, kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ingest.errors import DocumentNotFound, IngestError
from ingest.inspect.personal import find_personal
from rag_bot.chat_platform.addressed import BOT, for_bot
from rag_bot.chat_platform.channel import ChannelSettings
from rag_bot.chat_platform.types import ALONE, Keep, Platform, Question, Reply, Shown, Unreachable
from rag_bot.chat_state import ChatState, Job, Kept, LeaseLost
from rag_bot.errors import BadQuestion, BotError, Busy
from rag_bot.marks import piece
from rag_bot.rails.masking import to_mask
from rag_bot.readers import Scope
from rag_bot.types import Answer, Citation, DoneEvent, Event, Sentence, SentenceEvent, SourcesEvent, StatusEvent, Turn

if TYPE_CHECKING:
    from rag_bot.bot import Bot

T = TypeVar("T")
Watch = Callable[[AsyncGenerator[Event, None]], AsyncGenerator[Event, None]]
"""Passes an answer's events on, and counts what becomes of it."""
_log = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # between two looks for work that another process has left or let go of
TIDY_SECONDS = 5.0
_THREADS = 4
_TRIES = 20  # failures of one question before it is given up
_LIVES = 60  # processes that may end over one question before it is held to be the cause
_PATIENCE = 0.5  # share of the time for stopping that answers may take to end by themselves

INTERRUPTED = "I was interrupted while I answered this, and began again. Sorry."
FAILED = "Sorry: I could not answer this. {reason}"
UNDONE = "Sorry: I could not do this. {reason}"
CLOSED = "I answer here on {hours}. In a direct message I answer at any time."
FRIENDLY = "Here is what I found:\n\n"
GOODBYE = "Anything else? Just ask in this thread."


class Desk:
    """Works off what was accepted, for as long as `run` runs: `concurrent` threads at once, each thread in order.

    `seconds` is how long a lease lasts without being renewed. `watch` sees the events of each answer.
    """

    def __init__(
        self,
        bot: Bot,
        state: ChatState,
        platform: Platform,
        *,
        concurrent: int,
        seconds: float,
        ask_person: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self._bot, self._state, self._platform = bot, state, platform
        self._seconds, self._ask_person = seconds, ask_person
        self._watch: Watch = watch or (lambda events: events)
        self._slots = asyncio.Semaphore(concurrent)
        self._calls = ThreadPoolExecutor(_THREADS, thread_name_prefix="chat-state")
        self._woken, self._stopping, self._resting = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._resting.set()
        self._working: set[asyncio.Task[None]] = set()

    def nudge(self) -> None:
        """There is something to do: look at once."""
        self._woken.set()

    async def call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Something that blocks on the database, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._calls, partial(function, *arguments, **named))

    async def run(self) -> None:
        """Until `stop`."""
        self._resting.clear()
        try:
            await self._run()
        finally:
            self._resting.set()

    async def _run(self) -> None:
        tidied = 0.0
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            await self._slots.acquire()
            job: Job | None = None
            try:
                self._woken.clear()
                if not self._stopping.is_set() and self._bot.ready() is None:
                    job = await self.call(self._state.take, self._seconds)
                if job is None and clock() > tidied + TIDY_SECONDS:
                    tidied = clock()
                    await self.call(self._state.tidy)
            except BotError as error:
                _log.error("No work could be taken: %s", error)
            if job is None:
                self._slots.release()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
                continue
            if self._stopping.is_set():
                await self.call(self._state.later, job, 0.0)
                return
            task = asyncio.create_task(self._work(job))
            self._working.add(task)
            task.add_done_callback(self._worked)

    async def stop(self, seconds: float) -> None:
        """Take nothing more; what is not done in that time is left to another process, or to the next start."""
        self._stopping.set()
        self.nudge()
        if self._working:
            await asyncio.wait(self._working, timeout=seconds * _PATIENCE)
        for task in list(self._working):
            task.cancel()
        if self._working:
            await asyncio.wait(self._working, timeout=seconds * (1 - _PATIENCE))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._resting.wait(), seconds)
        self._calls.shutdown(wait=False)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._slots.release()
        self.nudge()  # the thread may have more

    # --- one job

    async def _work(self, job: Job) -> None:
        beat = asyncio.create_task(self._beat(job, asyncio.current_task()))
        try:
            try:
                if job.attempts > _LIVES:
                    await self._give_up(job, "Each time I tried I broke down.")
                elif job.kind == "question":
                    await self._answer(job)
                else:
                    await self._platform.handle(job, self._keeper(job))
            except Unreachable as error:
                _log.warning("Nothing can be said in %s: %s", job.thread, error)
            except Busy as busy:
                await self.call(self._state.later, job, float(busy.retry_after))
                return
            except LeaseLost:
                raise
            except Exception as error:
                if job.attempts < _TRIES:
                    _log.warning("Something in %s is tried again: %s: %s", job.thread, type(error).__name__, error)
                    await self.call(self._state.later, job, min(0.5 * 2**job.attempts, 60.0))
                    return
                _log.exception("Something in %s is given up", job.thread)
                await self._give_up(
                    job, str(error) if isinstance(error, (BotError, IngestError)) else "Please ask again later."
                )
            await self.call(self._state.done, job)
        except LeaseLost:
            _log.info("Another process has taken %s over.", job.thread)
        except asyncio.CancelledError:
            with suppress(Exception):  # without this the next one waits until the lease ends
                await asyncio.shield(self.call(self._state.later, job, 0.0))
            raise
        except Exception:
            _log.exception("What became of %s could not be kept", job.thread)
        finally:
            beat.cancel()

    async def _beat(self, job: Job, task: asyncio.Task[None] | None) -> None:
        """Renew the lease; once it is lost, stop the work."""
        missed = 0
        while True:
            await asyncio.sleep(self._seconds / 4)
            try:
                await self.call(self._state.renew, job, self._seconds)
                missed = 0
            except LeaseLost:
                break
            except BotError as error:
                missed += 1
                _log.error("A lease could not be renewed: %s", error)
                if missed > 2:
                    break
        if task:
            task.cancel()

    async def _give_up(self, job: Job, reason: str) -> None:
        try:
            if job.kind == "question":
                reply = self._platform.reply(Question.of(job.payload), job, self._keeper(job))
                await reply.finish(Shown(FAILED.format(reason=reason), "", feedback=False))
            else:
                await self._platform.tell(Question.of(job.payload["question"]), UNDONE.format(reason=reason))
        except LeaseLost:
            raise
        except Exception as error:
            _log.error("That %s is given up could not be said: %s", job.thread, error)

    def _keeper(self, job: Job) -> Keep:
        kept = dict(job.progress)

        async def keep(progress: Mapping[str, Any]) -> None:
            kept.update(progress)
            await self.call(self._state.progress, job, kept)

        return keep

    # --- a question

    async def _answer(self, job: Job) -> None:
        question = Question.of(job.payload)
        settings = ChannelSettings()
        if question.kind != "direct":
            settings = ChannelSettings.of(await self.call(self._state.channel, question.channel_key))

        # 1. Is it for the bot, and is the bot at work?
        if question.followed and not await self._is_meant(question):
            return
        if settings.hours and not settings.hours.open_at(datetime.now(UTC)):
            await self._platform.tell(question, CLOSED.format(hours=settings.hours))
            return

        # 2. A process that was killed may have made the answer already; then it only needs to be shown.
        keep = self._keeper(job)
        reply = self._platform.reply(question, job, keep)
        shown = await self._made_before(job, question, settings)
        if shown is None:
            # 3. What may everybody read who will see the answer?
            people = await self._platform.people(question)
            allowed = await self.call(self._bot.readers.scope, people, question.owner, settings.collection)
            # 4. Answer, showing each sentence as it is released.
            try:
                answer = await self._stream(question, settings, allowed, reply)
            except BadQuestion as error:
                await self._platform.tell(question, str(error))
                return
            if _silent(question, settings) and (answer.abstained or answer.blocked):
                await reply.drop()
                return
            # 5. Keep it, so that it is not made twice.
            place = {"thread": question.thread_key, "position": question.ts, "channel": question.channel_key}
            # Where the rails mask questions, what is kept is what they let through.
            asked = answer.question if self._bot.settings.rails_question_personal == "mask" else question.text
            personal = allowed.sees_personal and await self.call(self._holds_personal, answer)
            await self.call(self._state.keep, answer, asked, asker=question.person_key, personal=personal, **place)
            await keep({"answer_id": answer.answer_id})
            shown = await self._shown(answer.as_dict(), question, settings)

        # 6. Show the whole with its sources.
        if job.attempts > 1 and job.progress.get("begun"):
            shown = replace(shown, notes=(INTERRUPTED, *shown.notes))
        posts = await reply.finish(shown)
        await self.call(self._state.posted, shown.answer_id, [f"{question.channel_key}/{ts}" for ts in posts])
        if posts:
            await self.call(self._state.spoke, question.thread_key, posts[-1], BOT, to_bot=False)
        await self._platform.lasting(question)

    async def _is_meant(self, question: Question) -> bool:
        thread = await self.call(self._state.thread, question.thread_key)
        return thread.joined and for_bot(thread, question.ts, question.user, question.text, names_others=False)

    async def _made_before(self, job: Job, question: Question, settings: ChannelSettings) -> Shown | None:
        answer_id = job.progress.get("answer_id")
        kept = await self.call(self._state.answer, answer_id) if answer_id else None
        if kept is None or not await self.may_show(kept.answer, question):  # somebody else may have come in since
            return None
        return await self._shown(kept.answer, question, settings)

    async def _stream(self, question: Question, settings: ChannelSettings, allowed: Scope, reply: Reply) -> Answer:
        turns = await self._turns(question, allowed)
        before: Sentence | None = None
        silent = _silent(question, settings)
        answering = self._bot.stream(question.text, turns=turns, allowed=allowed, tone=settings.tone)
        async with aclosing(self._watch(answering)) as events:
            async for event in events:
                if isinstance(event, StatusEvent) and not silent:
                    await reply.step(event.step)
                elif isinstance(event, SourcesEvent) and not silent:
                    documents = len({hit.document.document_id for hit in event.hits})
                    await reply.step("found", f"{len(event.hits)} passages in {documents} documents")
                elif isinstance(event, SentenceEvent):
                    opening = FRIENDLY if before is None and settings.tone == "friendly" and event.citations else ""
                    await reply.add(opening + piece(event.sentence, before))
                    before = event.sentence
                elif isinstance(event, DoneEvent):
                    return event.answer
        raise RuntimeError("the stream ended without an answer")

    async def _turns(self, question: Question, allowed: Scope) -> list[Turn]:
        """What was asked and answered in the thread; the first time that the bot is called in, what the thread began with."""
        kept = await self.call(self._state.turns, question.thread_key, question.ts)
        if not kept and question.thread_ts not in (question.ts, "", ALONE):
            began = await self._platform.opening(question)
            return [Turn(began, "", "", True)] if began and began != question.text else []
        return await self.call(lambda: [self._turn(one, allowed) for one in kept])

    def _turn(self, kept: Kept, allowed: Scope) -> Turn:
        """An earlier turn; of what those who read now may not read all, the question alone is taken along."""
        if self._may_all(kept.answer, allowed):
            return Turn(kept.asked, kept.answer["answer"], kept.answer["question"], kept.answer["abstained"])
        return Turn(kept.asked, "", "", True)

    def _holds_personal(self, answer: Answer) -> bool:
        """Whether an answer may hold personal data that is masked, or left out, for others."""
        cited = {citation.document_id for citation in answer.citations}
        findings = [*find_personal(answer.answer)]
        with suppress(DocumentNotFound):
            findings += [finding for document_id in cited for finding in self._bot.index.findings(document_id)]
        return any(map(to_mask, findings))

    def _may_all(self, answer: Mapping[str, Any], allowed: Scope) -> bool:
        if answer.get("personal") and not allowed.sees_personal:
            return False
        try:
            return all(allowed(self._bot.index.document(one["document_id"])) for one in answer["citations"])
        except DocumentNotFound:
            return False

    async def may_show(self, answer: Mapping[str, Any], question: Question) -> bool:
        """Whether an answer may be shown where everybody sees it for whom `question` was asked."""
        settings = ChannelSettings.of(await self.call(self._state.channel, question.channel_key))
        people = await self._platform.people(question)
        allowed = await self.call(self._bot.readers.scope, people, question.owner, settings.collection)
        return await self.call(self._may_all, answer, allowed)

    async def shown(self, answer: Mapping[str, Any], question: Question) -> Shown:
        """An answer that was kept, as it is to be shown there."""
        settings = ChannelSettings.of(await self.call(self._state.channel, question.channel_key))
        return await self._shown(answer, question, settings)

    async def _shown(self, answer: Mapping[str, Any], question: Question, settings: ChannelSettings) -> Shown:
        sources = tuple(Citation(**{**one, "heading": tuple(one["heading"])}) for one in answer["citations"])
        friendly = settings.tone == "friendly" and bool(sources) and not answer["abstained"]
        notes: Sequence[str] = () if settings.tone == "brief" else answer["notes"]
        return Shown(
            text=answer["answer"],
            answer_id=answer["answer_id"],
            before=FRIENDLY if friendly else "",
            sources=sources,
            notes=(*notes, GOODBYE) if friendly and not question.private else tuple(notes),
            nothing_found=answer["abstained"],
            offer_person=answer["abstained"] and self._ask_person and question.kind != "direct" and not question.private,
            short=settings.tone == "brief",
            feedback=bool(sources),
            linked=await self.call(self._linked, sources),
        )

    def _linked(self, sources: Sequence[Citation]) -> frozenset[str]:
        """The documents that the chat page, which knows nobody, shows as well."""
        everyone, found = self._bot.everyone, set()
        for source in sources:
            with suppress(DocumentNotFound):
                if everyone(self._bot.index.document(source.document_id)):
                    found.add(source.document_id)
        return frozenset(found)


def _silent(question: Question, settings: ChannelSettings) -> bool:
    """Whether nothing is said where nothing is found: for the channel's sake, so that one who alone sees it is told."""
    return settings.sure and not question.private
