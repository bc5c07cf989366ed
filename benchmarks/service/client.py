"""A lean client of streams over HTTP/1.1 on asyncio: what it takes of the processor is small beside any server in Python."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.metrics import percentile

QUESTION = "How many days of paid leave does everyone get a year? (No. {})"


@dataclass
class Load:
    """What came of many streams: seconds to the first byte of each, and what went wrong."""

    seconds: float = 0.0
    first: list[float] = field(default_factory=list)
    done: int = 0
    dropped: int = 0
    mixed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def a_second(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    def add(self, other: Load) -> None:
        self.seconds += other.seconds
        self.first += other.first
        self.done += other.done
        self.dropped += other.dropped
        self.mixed += other.mixed
        self.failures += other.failures

    def first_ms(self, percent: int) -> float:
        return percentile(self.first, percent) * 1000


async def load(url: str, streams: int, count: int, begin: int = 0) -> Load:
    """Ask `count` questions, `streams` at once, each on a connection that is kept for the next."""
    numbers, found = iter(range(begin, begin + count)), Load()
    began = time.perf_counter()
    await asyncio.gather(*(_worker(url, lambda: next(numbers, None), found) for _ in range(streams)))
    found.seconds = time.perf_counter() - began
    return found


async def _worker(url: str, following: Callable[[], int | None], found: Load) -> None:
    connection: Connection | None = None
    while (number := following()) is not None:
        try:
            connection = connection or await Connection.open(url)
            first, body = await connection.ask(QUESTION.format(number))
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            found.dropped += 1
            found.failures.append(f"{type(error).__name__}: {error}"[:200])
            connection = None
            continue
        found.first.append(first)
        if b"event: done" not in body:
            found.dropped += 1
            found.failures.append(body[:200].decode("utf-8", "replace"))
        elif body.count(b"(No. ") != body.count(f"(No. {number})".encode()) or b"(No. " not in body:
            found.mixed += 1
        else:
            found.done += 1
    if connection:
        connection.close()


class Connection:
    """One connection, for one stream at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> Connection:
        place = urlsplit(url)
        return cls(*await asyncio.open_connection(place.hostname, place.port))

    async def send(self, question: str) -> None:
        body = json.dumps({"question": question}).encode()
        head = (
            "POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def ask(self, question: str) -> tuple[float, bytes]:
        """Seconds to the first byte of the body, and all of it. Raises ValueError for another status than 200."""
        began = time.perf_counter()
        await self.send(question)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(head.partition(b"\r\n")[0].decode("latin-1"))
        first, parts = 0.0, []
        while size := int(await self.reader.readline(), 16):
            first = first or time.perf_counter() - began
            parts.append((await self.reader.readexactly(size + 2))[:-2])
        await self.reader.readexactly(2)
        return first, b"".join(parts)

    def close(self) -> None:
        self.writer.close()
