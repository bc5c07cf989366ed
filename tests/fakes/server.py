"""A small strict server on loopback that speaks a provider's wire form, and fails in the ways that servers fail."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

KEY = "sk-fake-0123456789abcdef"
"""The only key that the servers take."""


@dataclass(frozen=True)
class Say:
    """Answers in these pieces, with a `pause` in seconds before each. After `cut` of them the connection is broken
    (`reset`), or the reply ends as if it were whole, but without what says so (`end`)."""

    pieces: Sequence[str] = ("Everyone gets 26 days", " of paid leave", " a year [1].")
    pause: float = 0.0
    cut: int | None = None
    how: Literal["reset", "end"] = "reset"
    reason: str = ""


@dataclass(frozen=True)
class Fail:
    """Refuses with a status, in the provider's own form; the message holds the key that was sent."""

    status: int
    retry_after: str = ""


@dataclass(frozen=True)
class Hang:
    """Takes the request and never answers."""


@dataclass(frozen=True)
class Garbage:
    """Answers 200 with something else: a page of HTML, or the right kind of frames around what is no JSON."""

    kind: Literal["html", "frames"] = "html"


Behaviour = Say | Fail | Hang | Garbage


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Refused(Exception):
    """The request is not what the provider takes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Seen:
    """What came of one request: `gone` is set when the client hung up before the end of the answer, `sent` counts pieces."""

    request: Request
    refused: str = ""
    sent: int = 0
    gone: threading.Event = field(default_factory=threading.Event)


class FakeServer(ABC):
    """Listens in a thread of its own while the `with` block lasts. Behaves as `plan` says, then by `default`."""

    content_type = "text/event-stream"
    secret = KEY

    def __init__(self, default: Behaviour | None = None) -> None:
        self.default: Behaviour = default or Say()
        self.plan: deque[Behaviour] = deque()
        self.seen: list[Seen] = []
        self.arrived = threading.Semaphore(0)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=type(self).__name__, daemon=True)
        self.port = 0

    # --- the wire form

    @abstractmethod
    def check(self, request: Request) -> None:
        """Raises Refused for a request that the provider would not take."""

    @abstractmethod
    def error(self, status: int, message: str) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of an error."""

    @abstractmethod
    def frames(self, say: Say, request: Request) -> tuple[bytes, list[bytes], bytes]:
        """What opens a reply, one frame for each piece, and what ends it."""

    @abstractmethod
    def nonsense(self) -> bytes:
        """A frame whose content is no JSON."""

    # --- the server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """From now on connections are refused; those that are open are broken off."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()  # what still runs then is cancelled by asyncio.run
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            begun = b""
            while (request := await _read(reader, begun)) is not None:  # connections are kept, as providers do
                begun = await self._answer(request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Answers, and gives back what of a next request was read meanwhile."""
        seen = Seen(request)
        self.seen.append(seen)
        self.arrived.release()
        try:
            self.check(request)
        except Refused as refused:
            seen.refused = str(refused)
            await _send(writer, refused.status, *self.error(refused.status, str(refused)))
            return b""
        behaviour = self.plan.popleft() if self.plan else self.default
        acting = asyncio.ensure_future(self._act(behaviour, seen, writer))
        # A client sends nothing while it waits: what can be read now is the end of the connection.
        hung_up = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({acting, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        broken = acting.done() and isinstance(acting.exception(), ConnectionError)  # it was writing when the client went
        if broken or not acting.done():
            seen.gone.set()
            acting.cancel()
            hung_up.cancel()
            await asyncio.wait({hung_up})
            raise ConnectionResetError from (None if hung_up.cancelled() else hung_up.exception())
        acting.result()
        hung_up.cancel()
        await asyncio.wait({hung_up})  # only then may another read
        return b"" if hung_up.cancelled() else hung_up.result()

    async def _act(self, behaviour: Behaviour, seen: Seen, writer: asyncio.StreamWriter) -> None:
        if isinstance(behaviour, Fail):
            headers, body = self.error(behaviour.status, f"No, not with {self.secret}.")
            after = {"Retry-After": behaviour.retry_after} if behaviour.retry_after else {}
            await _send(writer, behaviour.status, {**headers, **after}, body)
        elif isinstance(behaviour, Hang):
            await asyncio.Event().wait()
        elif isinstance(behaviour, Garbage):
            if behaviour.kind == "html":
                await _send(writer, 200, {"Content-Type": "text/html"}, b"<html><body>Welcome to the proxy</body></html>")
            else:
                await self._stream(writer, seen, Say(("",)), b"", [self.nonsense()], b"")
        else:
            await self._stream(writer, seen, behaviour, *self.frames(behaviour, seen.request))

    async def _stream(
        self, writer: asyncio.StreamWriter, seen: Seen, say: Say, opening: bytes, pieces: list[bytes], ending: bytes
    ) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {self.content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        await _chunk(writer, opening)
        for number, piece in enumerate(pieces):
            if number == say.cut:
                break
            await asyncio.sleep(say.pause)
            await _chunk(writer, piece)
            seen.sent += 1
        if say.cut is not None and say.how == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        if say.cut is None:
            await _chunk(writer, ending)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _read(reader: asyncio.StreamReader, begun: bytes) -> Request | None:
    try:
        head = (begun + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)


async def _send(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes) -> None:
    lines = [f"HTTP/1.1 {status} No", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"Content-Length: {len(body)}", "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()


async def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()


# --- what strict servers ask for


def need(true: bool, message: str, status: int = 400) -> None:
    """Refuses unless it is true."""
    if not true:
        raise Refused(status, message)


def known(data: Mapping[str, Any], required: set[str], optional: set[str], where: str = "body") -> None:
    """Refuses a field that is missing, and one that the provider does not know."""
    need(required <= data.keys(), f"{where}: missing {sorted(required - data.keys())}")
    need(data.keys() <= required | optional, f"{where}: unknown {sorted(data.keys() - required - optional)}")


def take_turns(roles: Sequence[str], user: str = "user", other: str = "assistant") -> None:
    """Refuses roles that don't go user, assistant, …, user."""
    wanted = [user if number % 2 == 0 else other for number in range(len(roles))]
    need(
        bool(roles) and list(roles) == wanted and roles[-1] == user, f"roles must alternate, and end with {user}: {list(roles)}"
    )


def event(data: Any, name: str = "") -> bytes:
    """A server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()
