"""What the Slack bot's tests share: a bot on the test documents, connected to the fake of Slack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from rag_bot.answer import Brief
from rag_bot.bot import Bot
from rag_bot.chat_state import ChatState
from rag_bot.cite import cite
from rag_bot.settings import Settings
from rag_bot.slack.run import SlackBot
from rag_bot.types import Claim, Report
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, BOT_USER, SIGNING_SECRET, FakeSlack
from tests.rag_bot.support import LEAVE, LEAVE_SENTENCE, running

AT = f"<@{BOT_USER}>"
ASKED = f"{AT} {LEAVE}"
ILLNESS = "Who is called when somebody is ill?"
UNKNOWN = "What is the wifi password of the zebra enclosure?"


def slack_settings(home: Settings, slack: FakeSlack, **more: Any) -> Settings:
    """Settings that lead to the fake."""
    given = {
        "slack_bot_token": SecretStr(BOT_TOKEN),
        "slack_app_token": SecretStr(APP_TOKEN),
        "slack_signing_secret": SecretStr(SIGNING_SECRET),
        "slack_url": slack.api,
        "shutdown_seconds": 2.0,
        "rails": "off",
        "public_url": "https://rag.example.com",
        **more,
    }
    return home.model_copy(update=given)


@dataclass
class InSlack:
    """A bot that is in Slack."""

    slack: FakeSlack
    bot: Bot
    state: ChatState

    async def idle(self, seconds: float = 20.0) -> None:
        """Wait until all is delivered and done."""
        await self.slack.settle()
        await until(lambda: self.state.waiting() == 0, seconds)
        await asyncio.sleep(0.05)
        await self.slack.settle()


@dataclass
class SlowAnswerer:
    """Says the first sentence of what was found so many times, with a pause before each."""

    times: int
    pause: float
    name: str = "slow"
    briefs: list[Brief] = field(default_factory=list)

    async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        self.briefs.append(brief)
        hit = next(hit for hit in brief.passages if LEAVE_SENTENCE in hit.chunk.text)
        start = hit.chunk.start + hit.chunk.text.index(LEAVE_SENTENCE)
        for _ in range(self.times):
            await asyncio.sleep(self.pause)
            yield Claim(LEAVE_SENTENCE, (cite(1, hit, (start, start + len(LEAVE_SENTENCE)), LEAVE_SENTENCE),))


async def until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for something; fails when it never comes."""
    end = asyncio.get_running_loop().time() + seconds
    while not true():
        assert asyncio.get_running_loop().time() < end, "it never came"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def in_slack(home: Settings, slack: FakeSlack, *, changed: Any = None, **more: Any) -> AsyncIterator[InSlack]:
    """A bot connected over Socket Mode. `changed` are other parts of it, `more` other settings."""
    async with running(slack_settings(home, slack, **more), **(changed or {})) as bot:
        ours = SlackBot(bot, ping_seconds=0.5)
        await ours.start()
        await ours.connect()
        await slack.connected()
        try:
            yield InSlack(slack, bot, ChatState(bot.memory))
        finally:
            await ours.stop()


def readers_file(folder: Path, text: str) -> Path:
    path = folder / "readers.toml"
    path.write_text(text)
    return path
