"""Answers over a connection that may end at any moment: events as they come, and work that stops when nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rag_bot.api.problems import STOPPING, Problem, Refused, problem_of
from rag_bot.api.service import Service

T = TypeVar("T")

KEEP_ALIVE_SECONDS = 15.0
KEEP_ALIVE = b": keep-alive\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_Sign: TypeAlias = Literal["end", "gone", "stopping"]


class Frames(Protocol):
    """How events are written down for one kind of client."""

    def event(self, event: Any) -> bytes:
        """The bytes of an event, maybe none."""

    def problem(self, problem: Problem) -> bytes:
        """The bytes that say that the stream broke off, and why."""


class HungUp(Exception):
    """The client is gone; there is nobody to answer."""


def described(*events: str) -> dict[str, Any]:
    """The content of a response that is a stream of these events, for the API's description: each is such an object."""
    properties = {"event": {"type": "string", "enum": list(events)}, "data": {"type": "string"}}
    schema = {"type": "object", "description": "One event.", "properties": properties, "required": ["data"]}
    return {"text/event-stream": {"schema": schema}}


class EventStream(Response):
    """Sends events as they come, with comments while nothing comes, until the end, a hang-up or the service's stop.

    An error before the first event is raised, so that it gets its own status; a later one is written into the stream.
    """

    media_type = "text/event-stream"

    def __init__(self, service: Service, events: AsyncGenerator[Any, None], frames: Frames) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._service = service
        self._events = events
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        # One task runs the events from first to last, because a generator may keep what belongs to a task (a timeout).
        pumping = asyncio.create_task(_pump(self._events, inbox))
        tasks = [
            pumping,
            asyncio.create_task(_tell(inbox, "gone", _hang_up(receive, pumping))),
            asyncio.create_task(_tell(inbox, "stopping", self._service.stopping.wait())),
        ]
        try:
            first = await inbox.get()
            if isinstance(first, Exception):
                raise first
            if first == "stopping":
                raise Refused(STOPPING)
            if first != "gone":
                with self._service.metrics.streams.track_inprogress():
                    await self._send(first, inbox, send)
        finally:
            await _cancel(tasks)

    async def _send(self, item: Any, inbox: asyncio.Queue[Any], send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while item not in ("end", "gone"):
            body = self._bytes(item)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            if item == "stopping" or isinstance(item, Exception):
                break
            item = await _next(inbox, send)
        if item != "gone":
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _bytes(self, item: Any) -> bytes:
        if isinstance(item, Exception):
            return self._frames.problem(problem_of(item))
        return self._frames.problem(STOPPING) if isinstance(item, str) else self._frames.event(item)


async def while_connected(service: Service, receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; the work is cancelled when the client hangs up (`HungUp`) or the service stops (503)."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_hang_up(receive))
    stop = asyncio.create_task(service.stopping.wait())
    try:
        done, _ = await asyncio.wait({task, gone, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            return task.result()
        raise HungUp if gone in done else Refused(STOPPING)
    finally:
        await _cancel([task, gone, stop])


async def _pump(events: AsyncGenerator[Any, None], inbox: asyncio.Queue[Any]) -> None:
    try:
        async with aclosing(events):
            async for event in events:
                inbox.put_nowait(event)
        inbox.put_nowait("end")
    except asyncio.CancelledError:
        # A task keeps the exception it ends with, whose frames keep the task: garbage that only the collector frees.
        pass
    except Exception as error:
        inbox.put_nowait(error)


async def _tell(inbox: asyncio.Queue[Any], sign: _Sign, happening: Coroutine[Any, Any, object]) -> None:
    await happening
    inbox.put_nowait(sign)


async def _hang_up(receive: Receive, work: asyncio.Task[Any] | None = None) -> None:
    """Wait for it; the work is cancelled at once, since a busy loop is long in coming round to whoever else would."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if work:
        work.cancel()


async def _next(inbox: asyncio.Queue[Any], send: Send) -> Any:
    while True:
        try:
            async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                return await inbox.get()
        except TimeoutError:
            await send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
