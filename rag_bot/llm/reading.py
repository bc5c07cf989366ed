"""A provider's stream, read apart from who waits for it, so that closing it always ends its connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

from rag_bot.observe import current

T = TypeVar("T")
_here = threading.local()


class _End:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


async def in_task(stream: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """What the stream yields, read in a task. Closing the generator cancels it where it waits for the connection.

    A generator that is closed between two pieces instead is left to the garbage collector by some packages, and its
    server goes on writing.
    """
    items: asyncio.Queue[T | _End] = asyncio.Queue()

    async def read() -> None:
        end = _End()
        try:
            async for item in stream:
                items.put_nowait(item)
        except asyncio.CancelledError:
            return  # and keep no exception, whose frames would keep the task: garbage that only the collector frees
        except Exception as error:  # whatever it is, it is the reader's
            end = _End(error)
        items.put_nowait(end)

    task = asyncio.create_task(read())
    try:
        async for item in _until_end(items):
            yield item
    finally:
        task.cancel()


async def in_thread(open_stream: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
    """What a stream that blocks yields, read in a thread of its own, so that one that hangs holds up nobody else.

    Closing the generator ends the connection, where `watch` has seen it open. A server that has not begun to reply is
    then waited for by the thread alone, up to the client's read timeout.
    """
    reading = _Reading(open_stream, asyncio.get_running_loop())
    threading.Thread(target=reading.run, name="hosted-llm", daemon=True).start()
    try:
        async for item in _until_end(reading.items):
            yield item
    finally:
        reading.stop()


async def _until_end(items: asyncio.Queue[T | _End]) -> AsyncGenerator[T, None]:
    while not isinstance(item := await items.get(), _End):
        yield item
    if item.error:
        raise item.error


def watch(client: Any) -> None:
    """Have a client of boto3 say which connection each of its replies comes from, and send which trace a call is part of."""
    client.meta.events.register("before-call", _called)
    client.meta.events.register("after-call", _opened)


def _called(params: dict[str, Any], **_: Any) -> None:
    reading = getattr(_here, "reading", None)
    if reading and reading.place:
        params["headers"]["traceparent"] = reading.place.header()


def _opened(http_response: Any, **_: Any) -> None:
    reading = getattr(_here, "reading", None)
    if reading:
        reading.opened(http_response.raw)


class _Reading(Generic[T]):
    """One stream and the thread that reads it."""

    def __init__(self, open_stream: Callable[[], Iterator[T]], loop: asyncio.AbstractEventLoop) -> None:
        self.items: asyncio.Queue[T | _End] = asyncio.Queue()
        self.place = current()
        self._open_stream, self._loop = open_stream, loop
        self._lock = threading.Lock()
        self._connection: Any = None
        self._stopped = False

    def run(self) -> None:
        _here.reading = self
        end = _End()
        try:
            for item in self._open_stream():
                if self._stopped:
                    break
                self._put(item)
        except Exception as error:  # whatever it is, it is the reader's
            end = _End(error)
        finally:
            if self._connection is not None:
                self._connection.close()
            self._put(end)

    def opened(self, connection: Any) -> None:
        with self._lock:
            self._connection = connection
            if self._stopped:
                connection.close()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                with suppress(Exception):  # it may have ended a moment ago
                    self._connection.shutdown()  # wakes the thread, which closes it

    def _put(self, item: T | _End) -> None:
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self.items.put_nowait, item)
