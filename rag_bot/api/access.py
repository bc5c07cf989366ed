"""Who a request comes from: an API key, a session, or, where accounts are off, whoever reaches this machine."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_csrf.middleware import CSRFMiddleware

from rag_bot.accounts.types import LOCAL, Principal
from rag_bot.api.permissions import needed
from rag_bot.api.problems import Problem
from rag_bot.settings import Settings

if TYPE_CHECKING:
    from rag_bot.accounts.accounts import Accounts

log = logging.getLogger(__name__)

COOKIE, CSRF_COOKIE, CSRF_HEADER = "rag_bot_session", "rag_bot_csrf", "x-csrf-token"
UNKNOWN = Problem(
    401,
    "Who are you?",
    "This needs an API key (Authorization: Bearer rb_…) or a session: sign in on the page.",
    "not-signed-in",
)
BAD_KEY = Problem(401, "The key is not valid", "It is unknown, expired or revoked. Ask an admin for another.", "bad-key")
FORGED = Problem(403, "The page is out of date", "The request lacks the page's token. Load the page again.", "forged")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="rag-bot"'}


class Access:
    """Finds out who asks and lets through what they may do. `accounts` is None where accounts are off."""

    def __init__(self, app: ASGIApp, accounts: Accounts | None, settings: Settings) -> None:
        self.app = app
        self._accounts, self._settings = accounts, settings
        self._inner: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if self._accounts is None:
            _state(scope)["principal"] = LOCAL
            return await self.app(scope, receive, send)
        path = scope["path"]
        if needed(scope["method"], path) is None and not path.startswith("/v1/"):
            return await self.app(scope, receive, send)  # what needs nobody's name needs no database either
        if self._inner is None:
            self._inner = await asyncio.to_thread(self._with_sessions, self._accounts)
        return await self._inner(scope, receive, send)

    def _with_sessions(self, accounts: Accounts) -> ASGIApp:
        settings, secret = self._settings, accounts.secret("sessions")
        secure = settings.public_url.startswith("https://")
        checked = Csrf(
            Checked(self.app, accounts, settings),
            secret,
            sensitive_cookies={COOKIE},
            cookie_name=CSRF_COOKIE,
            cookie_secure=secure,
            cookie_samesite="strict",
            header_name=CSRF_HEADER,
        )
        seconds = round(settings.session_hours * 3600)
        return SessionMiddleware(checked, secret, COOKIE, max_age=seconds, same_site="lax", https_only=secure)


class Checked:
    """Lets a request through whose principal may do it, else answers 401 or 403."""

    def __init__(self, app: ASGIApp, accounts: Accounts, settings: Settings) -> None:
        self.app = app
        self._accounts = accounts
        self._metrics_key = settings.metrics_key.get_secret_value() if settings.metrics_key else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        permission = needed(scope["method"], scope["path"])
        token = _token(scope)
        principal = await self._principal(scope, token)
        _state(scope)["principal"] = principal
        if permission is not None:
            problem = self._refusal(principal, token, permission)
            if problem is not None:
                headers = _CHALLENGE if problem.status == 401 else None
                return await problem.response(scope["path"], headers)(scope, receive, send)
        return await self.app(scope, receive, send)

    async def _principal(self, scope: Scope, token: str | None) -> Principal | None:
        if token is not None:
            if self._metrics_key and hmac.compare_digest(token.encode(), self._metrics_key.encode()):
                return Principal("key:metrics", "metrics", "reader", frozenset({"metrics"}), kind="key")
            return await asyncio.to_thread(self._accounts.by_key, token)
        session: dict[str, Any] = scope["session"]
        user, epoch = session.get("user"), session.get("epoch")
        if not isinstance(user, str) or not isinstance(epoch, int):
            return None
        if time.time() > session.get("until", math.inf):
            session.clear()
            return None
        principal = await asyncio.to_thread(self._accounts.by_session, user, epoch)
        if principal is None:
            session.clear()
        return principal

    @staticmethod
    def _refusal(principal: Principal | None, token: str | None, permission: str) -> Problem | None:
        if principal is None:
            return UNKNOWN if token is None else BAD_KEY
        if permission in principal.permissions:
            return None
        detail = f"This needs the permission {permission!r}, which {principal.name} does not have."
        return Problem(403, "Not allowed", detail, "not-allowed")


class Csrf(CSRFMiddleware):
    """The library's check, with a problem as its answer, and a cookie only for browsers and only where a response begins."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _token(scope) is not None and not Request(scope).cookies.get(COOKIE):
            return await self.app(scope, receive, send)
        return await super().__call__(scope, receive, send)

    async def send(self, message: Message, send: Send, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            await super().send(message, send, scope)
        else:
            await send(message)

    def _get_error_response(self, request: Request) -> Response:
        return FORGED.response(request.url.path)


async def the_principal(request: Request) -> Principal:
    """Who asks, on a route that somebody must ask for."""
    return cast(Principal, request.state.principal)


Asker = Annotated[Principal, Depends(the_principal)]


def begin(request: Request, user_id: str, epoch: int, principal: Principal) -> None:
    """Begin a session; what the one before held is dropped."""
    request.session.clear()
    request.session.update(user=user_id, epoch=epoch)
    request.state.principal = principal


def principal_in(scope: Scope) -> Principal | None:
    """Who asks, if that is known."""
    return cast("Principal | None", scope.get("state", {}).get("principal"))


def _state(scope: Scope) -> dict[str, Any]:
    return cast("dict[str, Any]", scope.setdefault("state", {}))


def _token(scope: Scope) -> str | None:
    """What a request carries as a bearer token; None where it carries nothing of that kind."""
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
