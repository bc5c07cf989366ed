"""Uploads taken in one after another behind the routes: whoever asks sees how each goes, may wait for it, or cancel it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from ingest.errors import IndexBusy, IngestError
from ingest.types import Progress
from ingest.uploads import Job, JobState, Uploads, belongs, no_job
from rag_bot.api.problems import problem_of
from rag_bot.errors import BotError, Busy

if TYPE_CHECKING:
    from rag_bot.bot import Bot

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2  # between two looks at a job that somebody waits for
_BUSY_SECONDS = 1.0  # until the index is asked for again that another process writes to
_NEXT_SECONDS = 10.0  # until the queue is looked at again, in which another process may have put something
_CANCEL_SECONDS = 5.0  # that a cancelled job may take to end
_ENDED: dict[str, JobState] = {"failed": "failed", "quarantined": "quarantined"}


@dataclass(frozen=True, slots=True)
class View:
    """A job as it is shown: what the disk says of it, how many come before it, and how far it has come."""

    job: Job
    ahead: int = 0
    chunks_done: int = 0
    chunks_total: int | None = None


class Cancelled(Exception):
    """Somebody has cancelled the upload that is being taken in."""


class Over(Exception):
    """The job is over: another process has taken it in, or it was cancelled while it waited."""


class Taking:
    """The uploads of one service."""

    def __init__(self, bot: Bot) -> None:
        settings = bot.settings
        self._bot = bot
        self.uploads = Uploads(settings.index, most=settings.uploads_waiting, most_bytes=settings.uploads_bytes)
        self._came = asyncio.Event()
        self._live: View | None = None
        self._cancelled: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to take in what waits, also from before."""
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Stop; what is not done waits on the disk for the next start."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def put(self, name: str, file: BinaryIO, owner: str = "") -> View:
        """Accept a file. Raises QueueFull, StorageFull or IndexReadOnly."""
        job = await asyncio.to_thread(self.uploads.put, name, file, owner)
        self._came.set()
        return await self.view(job.job_id)

    async def view(self, job_id: str, owner: str | None = None) -> View:
        """How a job stands. With an owner, another's is none: raises JobNotFound."""
        if owner is not None and not belongs(job_id, owner):  # without a look at the disk, which would take its time
            raise no_job(job_id)
        live = self._live if self._live and self._live.job.job_id == job_id else None
        job = live.job if live else await asyncio.to_thread(self.uploads.get, job_id)
        if owner is not None and job.owner != owner:
            raise no_job(job_id)
        if live:
            return live
        return View(job, 0 if job.over else await asyncio.to_thread(self.uploads.ahead, job_id))

    async def wait(self, job_id: str, seconds: float, owner: str | None = None) -> View:
        """How it stands once it is over, or after this time."""
        until = time.monotonic() + seconds
        while not (view := await self.view(job_id, owner)).job.over and time.monotonic() < until:
            await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, until - time.monotonic())))
        return view

    async def follow(self, job_id: str, owner: str | None = None) -> AsyncGenerator[View, None]:
        """How it stands, each time that this has changed, until it is over."""
        before = None
        while True:
            view = await self.view(job_id, owner)
            if view != before:
                yield view
            if view.job.over:
                return
            before = view
            await asyncio.sleep(_LOOK_SECONDS)

    async def cancel(self, job_id: str, owner: str | None = None) -> View:
        """Take a job out of the queue, or stop it. One that is over stays as it is."""
        view = await self.view(job_id, owner)
        if view.job.over:
            return view
        self._cancelled.add(job_id)
        if self._live and self._live.job.job_id == job_id:
            return await self.wait(job_id, _CANCEL_SECONDS)
        await asyncio.to_thread(self.uploads.cancel, job_id)  # (it may be over by now)
        return await self.view(job_id)

    async def _work(self) -> None:
        while True:
            self._came.clear()
            try:
                with suppress(OSError):
                    await asyncio.to_thread(self.uploads.tidy)
                while self._bot.ready() is None and (waiting := await asyncio.to_thread(self.uploads.waiting)):
                    await self._take_in(waiting[0])
            except Exception:
                log.exception("The uploads that wait could not be looked at")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), _NEXT_SECONDS if self._bot.ready() is None else _BUSY_SECONDS)

    async def _take_in(self, job: Job) -> None:
        """Take in one file; what goes wrong is its own end, but for an index that is busy."""
        view = self._live = View(job)

        def data() -> bytes:
            # Asked for once the index is open for writing: nobody else takes it in any more.
            if job.job_id in self._cancelled:
                raise Cancelled
            found = self.uploads.data(job.job_id)
            if found is None:
                raise Over
            self._live = replace(view, job=replace(job, state="parsing"))
            return found

        try:
            entry = await self._bot.upload(job.name, data, self._watch(view))
            over = job.ended(_ENDED.get(entry.status, "done"), entry=entry)
        except (IndexBusy, Busy):
            if job.job_id not in self._cancelled:
                self._live = None
                await asyncio.sleep(_BUSY_SECONDS)
                return
            over = job.ended("cancelled")
        except Over:
            self._live = None
            return
        except Cancelled:
            over = job.ended("cancelled")
        except (IngestError, BotError) as error:
            over = job.ended("failed", problem=problem_of(error).as_dict())
        except Exception as error:
            log.exception("%s could not be taken in", job.name)
            over = job.ended("failed", problem=problem_of(error).as_dict())
        try:
            await asyncio.to_thread(self.uploads.save, over)
        finally:
            self._cancelled.discard(job.job_id)
            self._live = None

    def _watch(self, view: View) -> Callable[[Progress], None]:
        """What a run tells, put into the view; called by the thread that writes."""

        def watch(progress: Progress) -> None:
            if view.job.job_id in self._cancelled:
                raise Cancelled
            state: JobState = "embedding" if progress.chunks_total is not None else "parsing"
            self._live = replace(
                view,
                job=replace(view.job, state=state),
                chunks_done=progress.chunks_done,
                chunks_total=progress.chunks_total,
            )

        return watch
