"""Whatever goes wrong, as `application/problem+json` (in OpenAI's own form on the OpenAI routes), with what to do next."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest import errors as ingest_errors
from ingest.errors import IngestError
from rag_bot import errors as bot_errors
from rag_bot.errors import BotError, Busy

log = logging.getLogger(__name__)

OPENAI_PATHS = ("/v1/chat/completions", "/v1/models")
ERRORS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """What the client is told. `extra` are further members of the object; `param` is the field that is at fault."""

    status: int
    title: str
    detail: str
    kind: str
    retry_after: int | None = None
    param: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The problem object of RFC 9457."""
        own = {"type": f"urn:rag-bot:problem:{self.kind}", "title": self.title, "status": self.status, "detail": self.detail}
        return {**self.extra, **own}

    def as_openai(self) -> dict[str, Any]:
        """The error object that OpenAI's clients read."""
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        kind = "server_error" if self.status >= 500 else kinds.get(self.status, "invalid_request_error")
        return {"error": {"message": self.detail, "type": kind, "param": self.param, "code": self.kind.replace("-", "_")}}

    def response(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        """The answer to a request for `path`, in the form that its clients know."""
        all_headers = dict(headers or {})
        if self.retry_after is not None:
            all_headers["Retry-After"] = str(self.retry_after)
        if path.startswith(OPENAI_PATHS):
            return JSONResponse(self.as_openai(), self.status, all_headers)
        return JSONResponse(self.as_dict(), self.status, all_headers, "application/problem+json")


class Refused(HTTPException):
    """A request that is answered with `problem`; an HTTPException, because FastAPI lets only those out of reading a body."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, problem.detail)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Kind:
    status: int
    title: str
    retry_after: int | None = None


KINDS: dict[type[Exception], _Kind] = {
    bot_errors.BotError: _Kind(500, "The question can't be answered"),
    bot_errors.BadQuestion: _Kind(422, "The question can't be taken"),
    bot_errors.Busy: _Kind(503, "Too busy", 1),
    bot_errors.NotFound: _Kind(404, "Not found"),
    bot_errors.BadSetting: _Kind(500, "A setting can't be used"),
    bot_errors.BadAccount: _Kind(422, "The account can't be so"),
    bot_errors.AccountConflict: _Kind(409, "The account can't be so now"),
    bot_errors.BadDataset: _Kind(500, "A question set can't be used"),
    bot_errors.ExtraMissing: _Kind(500, "A part is not installed"),
    bot_errors.LLMError: _Kind(502, "The LLM failed"),
    bot_errors.LLMUnavailable: _Kind(503, "The LLM can't be reached", 30),
    bot_errors.LLMBusy: _Kind(503, "The LLM is busy", 5),
    bot_errors.LLMTimeout: _Kind(504, "The LLM took too long"),
    bot_errors.StateError: _Kind(503, "The conversations' database can't be used", 10),
    ingest_errors.IngestError: _Kind(500, "The index can't be used"),
    ingest_errors.DocumentError: _Kind(422, "The document can't be taken in"),
    ingest_errors.UnsupportedFormat: _Kind(422, "The document's format is not known"),
    ingest_errors.EmptyDocument: _Kind(422, "The document holds no text"),
    ingest_errors.TooLarge: _Kind(413, "The document is too large"),
    ingest_errors.Encrypted: _Kind(422, "The document needs a password"),
    ingest_errors.BadLabels: _Kind(422, "The document's labels can't be read"),
    ingest_errors.BrokenDocument: _Kind(422, "The document can't be read"),
    ingest_errors.SourceError: _Kind(404, "The source can't be read"),
    ingest_errors.DependencyMissing: _Kind(500, "A package is not installed"),
    ingest_errors.BackupError: _Kind(500, "A backup can't be used"),
    ingest_errors.StoreError: _Kind(500, "The index can't be used"),
    ingest_errors.IndexMissing: _Kind(503, "There is no index", 10),
    ingest_errors.IndexBusy: _Kind(503, "The index is being written to", 5),
    ingest_errors.IndexReadOnly: _Kind(403, "The index can't be written to"),
    ingest_errors.IndexDamaged: _Kind(500, "The index is damaged"),
    ingest_errors.EmbedderMismatch: _Kind(500, "The index was made with another embedder"),
    ingest_errors.StorageFull: _Kind(507, "The disk is full"),
    ingest_errors.QueueFull: _Kind(503, "Too many uploads wait", 30),
    ingest_errors.JobNotFound: _Kind(404, "No such job"),
    ingest_errors.DocumentNotFound: _Kind(404, "No such document"),
}


def problem_of(error: Exception) -> Problem:
    """The problem that an error is. What is none of ours is said without its words: they may hold anything."""
    if isinstance(error, Refused):
        return error.problem
    if not isinstance(error, (BotError, IngestError)):
        return Problem(500, "Something went wrong", "The service failed; its log says why. Try again.", "internal")
    kind = next(KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)
    retry = error.retry_after if isinstance(error, Busy) else kind.retry_after
    return Problem(kind.status, kind.title, sentence_of(error), _slug(type(error).__name__), retry)


def sentence_of(error: BotError | IngestError) -> str:
    """What is wrong and what to do next, in one line."""
    return f"{error} {error.hint}".strip()


def not_ready(reason: str) -> Problem:
    return Problem(503, "Not ready", reason, "not-ready", retry_after=5)


def too_large(limit: int) -> Problem:
    return Problem(413, "Too large", f"The request's body is over the limit of {limit:,} bytes. Send less.", "too-large")


STOPPING = Problem(503, "Stopping", "The service is stopping. Ask again in a moment.", "stopping", retry_after=5)


def install(app: FastAPI) -> None:
    """Have every error of the routes answered as a problem."""

    async def known(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status >= 500:
            log.error("%s %s: %s", request.method, request.url.path, error)
        return problem.response(request.url.path)

    async def invalid(request: Request, error: Exception) -> Response:
        errors = error.errors() if isinstance(error, RequestValidationError) else []
        return _invalid(errors).response(request.url.path)

    async def plain(request: Request, error: Exception) -> Response:
        if isinstance(error, Refused):
            return error.problem.response(request.url.path)
        status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
        if status == 405:
            headers = {**(headers or {}), "Allow": _allowed(request)}
        problem = Problem(status, _phrase(status), _detail(request, status, headers, error), _slug(_phrase(status)))
        return problem.response(request.url.path, headers)

    for cls in (BotError, IngestError):
        app.add_exception_handler(cls, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


class LastResort:
    """Answers 500 where a route failed with an error that nobody foresaw, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as error:
            if started:
                raise
            if isinstance(error, (BotError, IngestError)):
                log.error("%s %s: %s", scope["method"], scope["path"], error)
            else:
                log.exception("%s %s failed", scope["method"], scope["path"])
            await problem_of(error).response(scope["path"])(scope, receive, send)


def _invalid(errors: Sequence[Any]) -> Problem:
    """A request that does not fit its schema: which fields, and what is wrong with each."""
    found = [{"field": _field(error), "message": _message(error)} for error in errors]
    shown = [f"{each['field']}: {each['message']}" for each in found[:ERRORS_SHOWN]]
    if len(found) > ERRORS_SHOWN:
        shown.append(f"and {len(found) - ERRORS_SHOWN} more")
    detail = "; ".join(shown).rstrip(".") + "."
    param = found[0]["field"] if found else None
    return Problem(422, "The request can't be taken", detail, "invalid-request", param=param, extra={"errors": found})


def _field(error: Mapping[str, Any]) -> str:
    place, *path = error["loc"]
    if error["type"] == "json_invalid":
        return "body"
    return ".".join(str(step) for step in path) or str(place)


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"not JSON: {error['ctx']['error']} (character {error['loc'][-1]})"
    if tuple(error["loc"]) == ("body",) and error["type"] in ("model_attributes_type", "missing"):
        return "send a JSON object with Content-Type: application/json"
    return str(error["msg"]).removeprefix("Value error, ")


def _allowed(request: Request) -> str:
    """The methods that a path takes. (The router knows but those of the first route of that path.)"""

    def takes(method: str) -> bool:
        return any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)

    return ", ".join(filter(takes, ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")))


def _detail(request: Request, status: int, headers: Mapping[str, str] | None, error: Exception) -> str:
    path = request.url.path
    if status == 404:
        return f"There is nothing at {path}. What there is stands at /docs."
    if status == 405:
        return f"{path} does not take {request.method}; it takes {(headers or {})['Allow']}. See /docs."
    return str(getattr(error, "detail", "")) or _phrase(status)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _slug(name: str) -> str:
    """`IndexBusy` and `Index Busy` as `index-busy`."""
    return re.sub(r"[\s_]+|(?<=[a-z])(?=[A-Z])", "-", name).lower()
