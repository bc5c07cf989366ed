"""A trace for each request: taken up from the header `traceparent` or begun, told in `X-Trace-Id`, and a line in the log."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_bot import observe
from rag_bot.api.access import principal_in
from rag_bot.api.metrics import HUNG_UP, METHODS, route_of
from rag_bot.logs import ACCESS
from rag_bot.observe import TraceContext

log = logging.getLogger(ACCESS)

HEADER = "X-Trace-Id"
_PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})


class Traced:
    """Neither the span nor the line names an id, an address or a person: of the path there is the route's pattern."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        above = TraceContext.parse(Headers(scope=scope).get("traceparent", ""))
        attributes = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
        span = observe.begin(method, "server", attributes, below=above or TraceContext.new())
        scope.setdefault("state", {})["trace_id"] = span.context.trace_id
        began, status, error = time.perf_counter(), HUNG_UP, ""

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = span.context.trace_id
            await send(message)

        with span.inside():
            try:
                await self.app(scope, receive, noting)
            except BaseException as problem:
                error = type(problem).__name__
                raise
            finally:
                route = route_of(scope)
                span.set({"http.route": route, "http.response.status_code": status}, f"{method} {route}")
                span.end(error or (str(status) if status >= 500 else ""))
                if route not in _PROBES or status >= 400:
                    self._write(scope, method, route, status, (time.perf_counter() - began) * 1000)

    @staticmethod
    def _write(scope: Scope, method: str, route: str, status: int, milliseconds: float) -> None:
        principal = principal_in(scope)
        more = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(milliseconds, 1),
            "principal": principal.kind if principal else "none",
        }
        log.info("%s %s %d", method, route, status, extra=more)
