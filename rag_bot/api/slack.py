"""`POST /slack/events`: where Slack sends what it has, if the bot is set up for HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.responses import Response

from rag_bot.errors import BadSetting

if TYPE_CHECKING:
    from rag_bot.bot import Bot
    from rag_bot.chat_platform.desk import Watch


@asynccontextmanager
async def mounted(app: FastAPI, bot: Bot, watch: Watch) -> AsyncIterator[None]:
    """Answer Slack while the block lasts, where a bot token and a signing secret are set; `watch` counts. Raises BadSetting."""
    if bot.settings.slack_bot_token is None or bot.settings.slack_signing_secret is None:
        yield
        return
    try:
        from rag_bot.slack.run import SlackBot, start_when_ready
    except ModuleNotFoundError as error:
        raise BadSetting(
            f"Slack is set up, but the module {error.name} is not installed.", "pip install 'rag-bot[slack]'"
        ) from error
    slack = SlackBot(bot, watch=watch)

    async def events(request: Request) -> Response:
        answered = await slack.dispatch(await request.body(), {k.lower(): v for k, v in request.headers.items()})
        return Response(answered.body, answered.status, dict(answered.headers))

    app.add_api_route("/slack/events", events, methods=["POST"], include_in_schema=False)
    starting = asyncio.create_task(start_when_ready(slack, bot))
    try:
        yield
    finally:
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await slack.stop()
