"""Headers that bind the browser, on every answer, and a bar against other sites' pages writing to this service."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_bot.api.problems import Problem
from rag_bot.settings import Settings

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Answers and documents are private; static files say something milder themselves.
    "Cache-Control": "no-store",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN = Problem(
    403,
    "Another site's page",
    "A page of another site may not write here. Send the request from this service's own page.",
    "foreign",
)


MISNAMED = Problem(
    421,
    "Another name",
    "This service isn't called under this name. Use localhost, or name it in RAG_BOT_HOSTS.",
    "misnamed",
)

NO_PATH = Problem(404, "Not Found", "No path here has a NUL in it.", "not-found")


class Security:
    """Sets `HEADERS`; refuses writing requests that a browser sends for a page of another site, and (where `hosts` are
    given) requests under any other name: a page elsewhere may have pointed its own name at this machine."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None = None) -> None:
        self.app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if self._hosts is not None and _name(Headers(scope=scope).get("host", "")) not in self._hosts:
            return await MISNAMED.response(scope["path"])(scope, receive, with_headers)
        if "\x00" in scope["path"]:  # PostgreSQL takes no such text
            return await NO_PATH.response(scope["path"])(scope, receive, with_headers)
        if scope["method"] not in READING and _foreign(Headers(scope=scope)):
            return await FOREIGN.response(scope["path"])(scope, receive, with_headers)
        return await self.app(scope, receive, with_headers)


def allowed_hosts(settings: Settings) -> frozenset[str] | None:
    """The names a service on a loopback address answers to; None where it is open to others or to any name."""
    named = {name.strip().lower() for name in settings.hosts.split(",") if name.strip()}
    if "*" in named or settings.host not in LOOPBACK:
        return None
    return frozenset(named | LOOPBACK)


def _name(host: str) -> str:
    """A Host header without its port, and without the brackets of an IPv6 address."""
    return host.rsplit("]", 1)[0].lstrip("[").lower() if host.startswith("[") else host.partition(":")[0].lower()


def _foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page made the request. Programs send neither header and pass."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("cross-site", "same-site")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")
