"""What the listeners share: the bot, what is remembered, Slack, and a few things that most of them do."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ingest.errors import IngestError
from rag_bot.chat_platform.channel import ChannelSettings
from rag_bot.chat_platform.desk import Desk
from rag_bot.chat_platform.types import ChannelKind, Question, Unreachable
from rag_bot.chat_state import ChatState
from rag_bot.errors import BotError
from rag_bot.slack.client import Limited, Refused, SlackClient, Unsure
from rag_bot.slack.people import People
from rag_bot.slack.private import whisper

if TYPE_CHECKING:
    from rag_bot.bot import Bot

T = TypeVar("T")
_log = logging.getLogger(__name__)
_LATE = {"expired_trigger_id", "exchanged_trigger_id", "trigger_expired"}
TOO_LATE = "That took too long for Slack to show a form. Please try it once more."


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the app is installed, as auth.test says."""

    team: str
    bot_user: str
    bot: str


class Workplace:
    """One workspace with a bot in it."""

    def __init__(
        self, bot: Bot, state: ChatState, desk: Desk, slack: SlackClient, people: People, workspace: Workspace
    ) -> None:
        self.bot, self.state, self.desk, self.slack, self.people = bot, state, desk, slack, people
        self.workspace = workspace
        self._soon: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in list(self._soon):
            task.cancel()
        await asyncio.gather(*self._soon, return_exceptions=True)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something after Slack has been answered; it may fail without harm."""

        async def safely() -> None:
            try:
                await work
            except (Refused, Limited, Unsure, Unreachable, BotError, IngestError) as error:
                _log.warning("%s", error)
            except Exception:
                _log.exception("Something that Slack asked for failed")

        task = asyncio.create_task(safely())
        self._soon.add(task)
        task.add_done_callback(self._soon.discard)

    async def call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Something that blocks, in a thread."""
        return await self.desk.call(function, *arguments, **named)

    def key(self, id: str) -> str:
        """A person or a channel of this workspace, as it is remembered."""
        return f"slack/{self.workspace.team}/{id}"

    def asked_by(self, user: str, channel: str, answer_to: str = "") -> Question:
        """A question that no message asks."""
        kind: ChannelKind = "direct" if channel.startswith("D") else "open"
        ts, team = f"{time.time():.6f}", self.workspace.team
        return Question("slack", team, channel, kind, ts, "", user, "", team, answer_to=answer_to)

    async def channel(self, question: Question) -> ChannelSettings:
        return ChannelSettings.of(await self.call(self.state.channel, question.channel_key))

    async def is_admin(self, user: str) -> bool:
        return await self.people.is_admin(user, self.bot.settings.slack_admins)

    async def job(self, body: Mapping[str, Any], kind: str, thread_ts: str, key: str, text: str = "", **payload: Any) -> None:
        """Have something done in the channel that a button was pressed in."""
        question = self.asked_by(body["user"]["id"], body["channel"]["id"], body.get("response_url", ""))
        question = replace(question, thread_ts=thread_ts, text=text)
        payload = {"question": question.as_dict(), **payload}
        await self.call(self.state.accept, [key], kind, question.thread_key, question.ts, payload)
        self.desk.nudge()

    async def open(self, question: Question, trigger: str, view: Mapping[str, Any]) -> None:
        """Show a form to whoever has just pressed something."""
        try:
            await self.slack.call("views.open", hurry=True, trigger_id=trigger, view=view)
        except Refused as refused:
            if refused.error not in _LATE:
                raise
            await self.whisper(question, TOO_LATE)

    async def whisper(self, question: Question, text: str) -> None:
        """Tell somebody something that may get lost."""
        with suppress(Unsure):
            await whisper(self.slack, question, text, [{"type": "section", "text": {"type": "mrkdwn", "text": text}}])
