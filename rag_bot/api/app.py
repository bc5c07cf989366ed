"""The web application: routes, limits, headers, the chat page, and the bot's life around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from rag_bot.api import (
    accounts,
    chat,
    conversations,
    documents,
    health,
    jobs,
    openai,
    problems,
    reference,
    session,
    slack,
)
from rag_bot.api.access import Access
from rag_bot.api.audited import Audited
from rag_bot.api.limits import Limits
from rag_bot.api.metrics import CountRequests
from rag_bot.api.security import Security
from rag_bot.api.service import Service
from rag_bot.api.traced import Traced

if TYPE_CHECKING:
    from rag_bot.bot import Bot

STATIC = Path(__file__).parent / "static"
# A browser keeps a static file but asks each time whether it is still the same, so that an update shows at once.
KEPT = {"Cache-Control": "no-cache"}
DESCRIPTION = (
    "Ask documents; every sentence of an answer is proved by a quote from a source. "
    "Errors are problem objects (RFC 9457) with a sentence that says what to do."
)


class KeptFiles(StaticFiles):
    """Static files that a browser keeps and asks about."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(KEPT)
        return response


def create_app(bot: Bot, hosts: frozenset[str] | None = None) -> FastAPI:
    """The application around a bot; it starts the bot in the background and closes it at the end."""
    service = Service(bot)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.open()
        try:
            async with slack.mounted(app, bot, service.metrics.watch):
                yield
        finally:
            await service.close()

    app = FastAPI(
        title="rag-bot",
        version=_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    problems.install(app)
    for module in (chat, openai, documents, jobs, conversations, session, accounts, health):
        app.include_router(module.router)
    _add_pages(app)
    # The last one added is the outermost: headers go on everything, also on what the others refuse.
    app.add_middleware(Limits, settings=bot.settings, accounts=service.accounts, quotas=service.quotas)
    app.add_middleware(Access, accounts=service.accounts, settings=bot.settings)
    app.add_middleware(Audited, accounts=service.accounts, settings=bot.settings)
    app.add_middleware(problems.LastResort)
    app.add_middleware(CountRequests, metrics=service.metrics)
    app.add_middleware(Security, hosts=hosts)
    app.add_middleware(Traced)
    return app


def _add_pages(app: FastAPI) -> None:
    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def chat_page() -> Response:
        return FileResponse(STATIC / "index.html", headers=KEPT)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(reference.page(app.openapi()), headers=KEPT)

    @app.get("/docs/style.css", include_in_schema=False)
    async def style() -> Response:
        return Response(reference.STYLE, media_type="text/css", headers=KEPT)

    app.mount("/static", KeptFiles(directory=STATIC), name="static")


def _version() -> str:
    try:
        return version("rag-bot")
    except PackageNotFoundError:
        return "0"
