"""The Slack bot as it runs: put together, connected over Socket Mode or fed by HTTP, and stopped."""

from __future__ import annotations

import asyncio
import hmac
import logging
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from rag_bot import logs, telemetry
from rag_bot.chat_platform.desk import Desk, Watch
from rag_bot.chat_state import ChatState
from rag_bot.errors import BadSetting
from rag_bot.settings import Settings
from rag_bot.slack.client import Limited, Refused, SlackClient, Unsure, library_log
from rag_bot.slack.listeners import listening_app
from rag_bot.slack.messages import Home
from rag_bot.slack.people import People
from rag_bot.slack.platform import SlackPlatform
from rag_bot.slack.workplace import Workplace, Workspace

if TYPE_CHECKING:
    from rag_bot.bot import Bot

_log = logging.getLogger(__name__)
_READY_SECONDS = 0.2
ROLL_SECONDS = 240.0
"""Of a stream, before a new one is begun."""
PING_SECONDS = 5.0
"""Between two pings of Socket Mode; a connection that was cut off is noticed after one or two."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an HTTP request of Slack's is answered with."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class SlackBot:
    """One workspace's bot around a `Bot`. `start` needs the bot to be ready; `watch` sees the events of each answer."""

    def __init__(self, bot: Bot, *, watch: Watch | None = None, ping_seconds: float = PING_SECONDS) -> None:
        self._bot, self._settings, self._watch = bot, bot.settings, watch
        token = self._settings.slack_bot_token
        if token is None:
            raise BadSetting(
                "RAG_BOT_SLACK_BOT_TOKEN is not set.", "See docs/slack.md; `rag-bot slack check` says what is missing."
            )
        self._slack = SlackClient(token.get_secret_value(), self._settings.slack_url)
        self._ping_seconds = ping_seconds
        self._desk: Desk | None = None
        self._here: Workplace | None = None
        self._app: Any = None
        self._running: asyncio.Task[None] | None = None
        self._socket: Any = None

    async def start(self) -> None:
        """Begin to work off what is there. Raises BadSetting where the token is none."""
        settings, state = self._settings, ChatState(self._bot.memory)
        try:
            who = await self._slack.call("auth.test")
        except (Refused, Limited, Unsure) as error:
            await self._slack.close()
            raise BadSetting(f"Slack does not take RAG_BOT_SLACK_BOT_TOKEN: {error}.", "See: rag-bot slack check") from error
        workspace = Workspace(str(who["team_id"]), str(who["user_id"]), str(who.get("bot_id", "")))

        async def known(posts: Any) -> set[str]:
            return await desk.call(state.known_posts, posts)

        people = People(self._slack, workspace.team)
        home = Home(self._slack, workspace.bot_user, settings.public_url, known, roll_seconds=ROLL_SECONDS)
        platform = SlackPlatform(self._bot, state, home, people, settings.slack_helpers)
        desk = Desk(
            self._bot,
            state,
            platform,
            concurrent=settings.slack_concurrent,
            seconds=settings.slack_lease_seconds,
            ask_person=bool(settings.slack_helpers),
            watch=self._watch,
        )
        platform.desk = self._desk = desk
        await desk.call(state.open)
        secret = settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else "unused"
        self._here = Workplace(self._bot, state, desk, self._slack, people, workspace)
        self._app = listening_app(self._here, secret)
        self._running = asyncio.create_task(desk.run())
        self._running.add_done_callback(_failed)

    async def connect(self) -> None:
        """Open a Socket Mode connection. Raises BadSetting where the app-level token is none."""
        assert self._app
        secret = self._settings.slack_app_token
        if secret is None:
            raise BadSetting("RAG_BOT_SLACK_APP_TOKEN is not set.", "Socket Mode needs an app-level token: see docs/slack.md.")
        token = secret.get_secret_value()
        trial = SlackClient(token, self._settings.slack_url)
        try:  # the library would go on trying a wrong token for ever
            await trial.call("apps.connections.open")
        except (Refused, Limited, Unsure) as error:
            raise BadSetting(f"Slack does not take RAG_BOT_SLACK_APP_TOKEN: {error}.", "See: rag-bot slack check") from error
        finally:
            await trial.close()
        web = AsyncWebClient(base_url=self._settings.slack_url, logger=library_log())
        self._socket = AsyncSocketModeHandler(
            self._app, token, web_client=web, logger=library_log(), ping_interval=self._ping_seconds
        )
        await self._socket.connect_async()

    async def dispatch(self, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Take an HTTP request of Slack's; one that is not signed, or is old, is refused."""
        if self._app is None:
            return Answered(503, "Not ready", {"Retry-After": "2"})
        stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12 and signature.isascii()):
            return Answered(401, "This is no request of Slack's.")
        if abs(time.time() - int(stamp)) > 300:
            return Answered(401, "This request is too old.")
        try:
            request = AsyncBoltRequest(body=body.decode(), headers=dict(headers))
        except ValueError:  # neither JSON nor a form
            return Answered(400, "This is no request of Slack's.")
        answer = await self._app.async_dispatch(request)
        shown = {name: values[0] for name, values in answer.headers.items() if values}
        return Answered(answer.status, answer.body or "", shown)

    async def stop(self) -> None:
        """Hear no more, let answers come to an end, and leave the rest for the next start."""
        if self._socket is not None:
            with suppress(Exception):
                await self._socket.close_async()
        if self._here:
            await self._here.close()
        if self._desk:
            await self._desk.stop(self._settings.shutdown_seconds)
        if self._running:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        await self._slack.close()


def _failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        _log.error("The Slack bot takes no more questions", exc_info=task.exception())


def run(settings: Settings, metrics_port: int | None = None) -> None:
    """Answer over Socket Mode until SIGTERM or Ctrl-C. Raises BotError or IngestError."""
    from rag_bot.build import build_bot, check_settings

    check_settings(settings)
    logs.set_up(settings.log)
    with telemetry.running():
        asyncio.run(live(build_bot(settings, create=True), metrics_port=metrics_port))


async def live(bot: Bot, *, metrics_port: int | None = None, ping_seconds: float = PING_SECONDS) -> None:
    """As `run`, with a bot that is not started yet."""
    numbers = _Numbers(bot, metrics_port) if metrics_port else None
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    slack = SlackBot(bot, watch=numbers.watch if numbers else None, ping_seconds=ping_seconds)
    await bot.start()
    try:
        if numbers:
            await numbers.serve()
        await slack.start()
        await slack.connect()
        print("rag-bot is in Slack. Stop it with Ctrl-C.", flush=True)
        await stopped.wait()
    finally:
        await slack.stop()
        if numbers:
            await numbers.close()
        await bot.close()


class _Numbers:
    """What `/metrics` of the service says, for a process that is none."""

    def __init__(self, bot: Bot, port: int) -> None:
        from rag_bot.api.service import Service

        self._service, self._host, self._port = Service(bot), bot.settings.host, port
        key = bot.settings.metrics_key
        self._key = key.get_secret_value() if key else ""
        self._runner: web.AppRunner | None = None
        self.watch: Watch = self._service.metrics.watch

    async def serve(self) -> None:
        """Raises BadSetting where the port is taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            raise BadSetting(
                f"The numbers can't be served at {self._host}:{self._port}: {error.strerror}.", "Choose another --metrics-port."
            ) from error

    async def _metrics(self, request: web.Request) -> web.Response:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        right = scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._key.encode())
        if self._key and not right:
            headers = {"WWW-Authenticate": 'Bearer realm="rag-bot"'}
            return web.Response(status=401, text="This needs RAG_BOT_METRICS_KEY as a bearer token.\n", headers=headers)
        text = await asyncio.to_thread(self._service.numbers)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def close(self) -> None:
        if self._runner:
            await self._runner.cleanup()


async def start_when_ready(slack: SlackBot, bot: Bot) -> None:
    """Start once the bot can answer; tried again until Slack can be reached."""
    while True:
        while bot.ready() is not None:
            await asyncio.sleep(_READY_SECONDS)
        try:
            await slack.start()
            return
        except BadSetting as error:
            _log.error("%s %s", error, error.hint)
            await asyncio.sleep(30)
