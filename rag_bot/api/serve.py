"""`rag-bot serve`: uvicorn around the application, with open streams ended by a last event when it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import math
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from rag_bot import logs, telemetry
from rag_bot.api.app import create_app
from rag_bot.api.security import allowed_hosts
from rag_bot.errors import BadSetting
from rag_bot.settings import Settings

if TYPE_CHECKING:
    from rag_bot.api.service import Service
    from rag_bot.bot import Bot

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Answers that are nearly done may end by themselves in this share of the time; the rest is for saying goodbye.
PATIENCE = 0.5


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `BadSetting` where a setting is wrong or the address can't be had."""
    from rag_bot.build import build_bot, check_settings

    check_settings(settings)
    logs.set_up(settings.log)
    with listen(settings.host, settings.port) as sock:
        check_open(sock, settings)
        # Where there is no index an empty one is made: the first documents may come through the page.
        run(build_bot(settings, create=True), sock)


def run(bot: Bot, sock: socket.socket) -> None:
    """Serve a bot on a socket until told to stop. Raises BadSetting where traces can't be sent as they are wanted."""
    server = server_of(bot)
    server.service.on_started = _settle
    with telemetry.running(server.service.metrics.registry):
        server.run(sockets=[sock])


def server_of(bot: Bot) -> Server:
    """The server of a bot's application, not yet running."""
    app = create_app(bot, allowed_hosts(bot.settings))
    seconds = bot.settings.shutdown_seconds
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=math.ceil(seconds),
    )
    return Server(config, app.state.service, seconds * PATIENCE)


def check_open(sock: socket.socket, settings: Settings) -> None:
    """Raises BadSetting where others than this machine could reach a service without accounts."""
    if settings.auth == "off" and not ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback:
        raise BadSetting(
            f"Others can reach {settings.host}, and without accounts whoever does can read and change the documents.",
            "Turn accounts on (RAG_BOT_AUTH=on; docs/access.md), or listen on 127.0.0.1.",
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket on the address. Raises BadSetting where it can't be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        # Only listening tells whether another program already does.
        sock.listen(2048)
    except (OSError, UnicodeError) as error:  # the latter for a name that is none, such as `a..b`
        raise _unusable(host, port, error) from error
    return sock


class Server(uvicorn.Server):
    """uvicorn that prints its address, tells open streams that it stops, and exits 0 when asked to stop."""

    def __init__(self, config: uvicorn.Config, service: Service, patience: float) -> None:
        super().__init__(config)
        self.service = service
        self._patience = patience

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for sock in sockets or ():
            print(f"rag-bot is at {_url(sock)}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(self._patience, self.service.stopping.set)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again at the end, and the process would not exit 0.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _settle() -> None:
    """What is loaded now stays: the garbage collector need not go through it again, which stops every stream for a while."""
    gc.collect()
    gc.freeze()


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _unusable(host: str, port: int, error: OSError | UnicodeError) -> BadSetting:
    number, words = getattr(error, "errno", None), getattr(error, "strerror", None)
    if number == errno.EADDRINUSE:
        return BadSetting(
            f"Port {port} on {host} is already taken.", "Stop the program that has it, or take another with --port."
        )
    if number == errno.EACCES:
        return BadSetting(f"Port {port} on {host} is not open to this user.", "Take one above 1023 with --port.")
    return BadSetting(f"{host}:{port} can't be listened on: {words or error}.", "Set another with --host and --port.")
