"""Limits at the door: the size of a body, how much one address or one principal may ask, questions worked on at once."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import deque
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_bot.accounts.accounts import Accounts
from rag_bot.accounts.quotas import Quotas, Standing
from rag_bot.api.access import principal_in
from rag_bot.api.problems import Problem, Refused, too_large
from rag_bot.settings import Settings

ANSWERING = frozenset({"/v1/chat", "/v1/chat/completions", "/v1/search"})
UPLOAD = "/v1/documents"
# What multipart puts around a file: boundaries, the file's name, its headers.
MULTIPART_BYTES = 64 * 1024
MINUTE = 60.0
ADDRESSES_KEPT = 10_000
BODY_SECONDS = 30.0  # between two pieces of a request's body


class Limits:
    """Refuses what is too large (413), too often (429) or too much at once (503), before a route sees it."""

    def __init__(
        self, app: ASGIApp, settings: Settings, accounts: Accounts | None = None, quotas: Quotas | None = None
    ) -> None:
        self.app = app
        self._settings = settings
        self._accounts, self._quotas = accounts, quotas or Quotas()
        self._rate = Rate(0 if accounts else settings.rate_per_minute)
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self._body_limit(scope)
        answering = scope["method"] == "POST" and scope["path"] in ANSWERING
        problem = _declared_too_large(scope, limit) or (self._refusal(scope) if answering else None)
        standings = [] if problem else await self._standings(scope)
        over = [standing for standing in standings if standing.over]
        if over:
            problem = _spent(max(over, key=lambda standing: standing.reset))
        telling = _telling(send, standings) if standings else send
        if problem is not None:
            return await problem.response(scope["path"])(scope, receive, telling)
        self._active += answering
        try:
            await self.app(scope, _counted(receive, limit), telling)
        finally:
            self._active -= answering

    async def _standings(self, scope: Scope) -> list[Standing]:
        """How far the principal's quotas are used with this request, where they count it."""
        principal = principal_in(scope)
        if self._accounts is None or principal is None or scope["method"] != "POST":
            return []
        counting, quotas = self._accounts.counting, self._quotas.of(principal)
        if scope["path"] in ANSWERING:
            return await asyncio.to_thread(counting.question, principal, quotas)
        if scope["path"] == UPLOAD:
            return await asyncio.to_thread(counting.upload, principal, quotas)
        return []

    def _body_limit(self, scope: Scope) -> int:
        if scope["path"] == UPLOAD:
            return self._settings.max_file_bytes + MULTIPART_BYTES
        return self._settings.max_body_bytes

    def _refusal(self, scope: Scope) -> Problem | None:
        if self._active >= self._settings.max_concurrent:
            detail = (
                f"{self._active} questions are being answered, which is the most this service takes. Ask again in a moment."
            )
            return Problem(503, "Too busy", detail, "busy", retry_after=1)
        wait = self._rate.wait(address_of(scope))
        if wait > 0:
            seconds = math.ceil(wait)
            detail = f"More than {self._settings.rate_per_minute} questions in a minute. Ask again in {seconds} s."
            return Problem(429, "Too many questions", detail, "too-many-questions", retry_after=seconds)
        return None


class Rate:
    """At most `per_minute` in any minute from one address; 0: no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._times: dict[str, deque[float]] = {}
        self._forgot = -math.inf

    def wait(self, address: str) -> float:
        """Take one and return 0, or return the seconds until there is one to take."""
        if not self._per_minute:
            return 0.0
        now = self._clock()
        times = self._times.setdefault(address, deque())
        while times and times[0] <= now - MINUTE:
            times.popleft()
        if len(times) >= self._per_minute:
            return times[0] + MINUTE - now
        times.append(now)
        if len(self._times) > ADDRESSES_KEPT and now > self._forgot + 1:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        self._forgot = now
        self._times = {address: times for address, times in self._times.items() if times and times[-1] > now - MINUTE}


def address_of(scope: Scope) -> str:
    """The client's address; of IPv6 the /64, which is what one client is given."""
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    address = getattr(address, "ipv4_mapped", None) or address
    return str(address) if address.version == 4 else str(ipaddress.ip_network((str(address), 64), strict=False))


def _spent(standing: Standing) -> Problem:
    what = {"minute": "questions a minute", "day": "questions a day", "uploads": "uploads a day", "tokens": "tokens a day"}
    named = what.get(standing.name, "US dollars a day")
    detail = f"The quota of {standing.limit:,g} {named} is used up. It begins anew in {standing.reset:,} s."
    return Problem(429, "The quota is used up", detail, f"quota-{standing.name}", retry_after=standing.reset)


def _telling(send: Send, standings: list[Standing]) -> Send:
    """Puts the quotas into the answer's head (draft-ietf-httpapi-ratelimit-headers), money in cents: it takes whole numbers."""
    shown = [(one.name, one, 100 if one.name == "cost" else 1) for one in standings]
    policy = ", ".join(f'"{name}";q={math.floor(one.limit * unit)};w={one.seconds}' for name, one, unit in shown)
    left = ", ".join(f'"{name}";r={max(0, math.floor(one.left * unit))};t={one.reset}' for name, one, unit in shown)

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["RateLimit-Policy"], headers["RateLimit"] = policy, left
        await send(message)

    return telling


def _declared_too_large(scope: Scope, limit: int) -> Problem | None:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return too_large(limit) if length.isdigit() and int(length) > limit else None


def _counted(receive: Receive, limit: int) -> Receive:
    """A body sent in pieces says no length before: count it while it comes."""
    taken, whole = 0, False

    async def counting() -> Message:
        nonlocal taken, whole
        try:
            # A client that sends its body in drops would hold a place for ever. (Once it is whole, `receive` waits for
            # the client to hang up.) Not by `wait_for`: before Python 3.12 it swallows a cancellation that comes just when
            # the message does.
            async with asyncio.timeout(None if whole else BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            detail = f"Nothing more of the request's body came for {BODY_SECONDS:g} seconds."
            raise Refused(Problem(408, "The request took too long", detail, "request-timeout")) from None
        whole = whole or not message.get("more_body", False)
        taken += len(message.get("body", b""))
        if taken > limit:
            raise Refused(too_large(limit))
        return message

    return counting
