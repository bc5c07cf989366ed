"""Puts what requests change, and what was refused them, into the audit log, before the answer leaves."""

from __future__ import annotations

import asyncio
import logging
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_bot.accounts.accounts import Accounts
from rag_bot.accounts.audit import Line, Outcome
from rag_bot.api.access import principal_in
from rag_bot.api.limits import address_of
from rag_bot.errors import StateError
from rag_bot.settings import Settings

log = logging.getLogger(__name__)

_CHANGES = (
    ("POST", r"/v1/documents", "document.add"),
    ("DELETE", r"/v1/documents/([^/]+)", "document.remove"),
    ("DELETE", r"/v1/jobs/([^/]+)", "job.cancel"),
    ("DELETE", r"/v1/conversations/([^/]+)", "conversation.remove"),
    ("POST", r"/v1/session", "session.begin"),
    ("DELETE", r"/v1/session", "session.end"),
    ("POST", r"/v1/session/password", "session.password"),
    ("GET", r"/v1/session/oidc/callback", "session.begin"),
    ("POST", r"/v1/users", "user.add"),
    ("PATCH", r"/v1/users/([^/]+)", "user.change"),
    ("DELETE", r"/v1/users/([^/]+)", "user.remove"),
    ("POST", r"/v1/keys", "key.create"),
    ("DELETE", r"/v1/keys/([^/]+)", "key.revoke"),
    ("GET", r"/v1/audit", "audit.read"),
)
_USES = (
    ("POST", r"/v1/chat|/v1/chat/completions", "question.ask"),
    ("POST", r"/v1/search", "question.search"),
    ("GET", r"/v1/documents/([^/]+)/(?:text|file|boxes)", "document.read"),
    ("GET", r"/v1/conversations/([^/]+)", "conversation.read"),
)
_TIDY_REQUESTS = 1000  # between two looks for lines that are too old


class Audited:
    """Writes a line for each request that `settings.audit` asks for, and for each that was refused to somebody known."""

    def __init__(self, app: ASGIApp, accounts: Accounts | None, settings: Settings) -> None:
        self.app = app
        self._accounts, self._days = accounts, settings.audit_days
        actions = _CHANGES + (_USES if settings.audit == "all" else ())
        self._actions = [(method, re.compile(path), action) for method, path, action in actions]
        self._written = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._accounts is None:
            return await self.app(scope, receive, send)
        accounts = self._accounts

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                line = self._line(scope, message)
                if line is not None:
                    await self._write(accounts, line)
            await send(message)

        await self.app(scope, receive, noting)

    def _line(self, scope: Scope, message: Message) -> Line | None:
        status, principal = message["status"], principal_in(scope)
        action, about = self._action(scope["method"], scope["path"])
        refused = status in (401, 403, 429) or scope.get("state", {}).get("refused", False)
        outcome: Outcome = "refused" if refused else "done" if status < 400 else "failed"
        if not action:
            if status != 403 or principal is None:
                return None
            action, about = "request.refused", f"{scope['method']} {scope['path']}"
        if not about:
            about = Headers(raw=message["headers"]).get("location", "").partition("?")[0].removeprefix("/v1/")
        return Line(
            action,
            principal.id if principal else "",
            about,
            outcome,
            address_of(scope),
            scope.get("state", {}).get("trace_id", ""),
            {"status": status},
        )

    def _action(self, method: str, path: str) -> tuple[str, str]:
        for wanted, pattern, action in self._actions:
            if method == wanted and (found := pattern.fullmatch(path)):
                return action, found[1] if pattern.groups and found[1] else ""
        return "", ""

    async def _write(self, accounts: Accounts, line: Line) -> None:
        try:
            await asyncio.to_thread(accounts.audit.add, line)
            self._written += 1
            if self._days and self._written % _TIDY_REQUESTS == 1:
                await asyncio.to_thread(accounts.audit.forget, self._days)
        except StateError as error:  # what was done is done: the client shall know
            log.error("The audit log could not be written: %s %s by %s: %s", line.action, line.object, line.actor, error)
