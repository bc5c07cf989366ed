"""What asks something: messages, mentions, the command and the shortcut; each is kept before Slack is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rag_bot.chat_platform.addressed import for_bot
from rag_bot.chat_platform.types import ALONE, ChannelKind, Question
from rag_bot.courtesy import courtesy
from rag_bot.slack.settings_form import SettingsForm
from rag_bot.slack.text import names, names_others, plain
from rag_bot.slack.workplace import Workplace

PARKED_SECONDS = 10.0
"""How long an unnamed reply in a thread is kept for the case that the message which called the bot in comes after it."""
SETTLE_SECONDS = 0.15
"""A follow-up waits so long for one that was written before it and comes later."""
HELP = (
    "Ask me something about the documents: `/ask How many days of leave do I get?` `/ask config` changes a channel's settings."
)
_KINDS: dict[str, ChannelKind] = {"im": "direct", "mpim": "group", "group": "group", "channel": "open"}
_SUBTYPES = {None, "file_share", "thread_broadcast"}


class Questions:
    """Each listener keeps what was asked, under keys by which it is known when it comes again."""

    def __init__(self, here: Workplace, form: SettingsForm) -> None:
        self._here, self._form = here, form

    async def message(self, event: dict[str, Any], body: dict[str, Any]) -> None:
        """A message in a channel that the bot is in, a mention (which comes as a message, too), a direct message."""
        user, bot_user = event.get("user"), self._here.workspace.bot_user
        if event.get("subtype") not in _SUBTYPES or not user or event.get("bot_id") or user == bot_user:
            return
        question = self._question(event)
        raw = str(event.get("text") or "")
        keys = [f"event:{body.get('event_id')}", f"message:{question.channel_key}/{question.ts}"]
        if question.kind == "direct":
            await self._direct(question, keys, event.get("files") or [])
        elif names(raw, bot_user):
            settings = await self._here.channel(question)
            question = replace(question, private=settings.private, text=question.text or "hello")
            await self._here.call(
                self._here.state.accept, keys, "question", question.thread_key, question.ts, question.as_dict()
            )
            await self._joined(question)
        elif event.get("thread_ts"):
            await self._followed(question, keys, raw)

    async def _direct(self, question: Question, keys: Sequence[str], files: Sequence[Mapping[str, Any]]) -> None:
        thread, ts = question.thread_key, question.ts
        if files:
            payload = {"question": question.as_dict(), "files": [_file(one) for one in files]}
            await self._here.call(self._here.state.accept, keys, "files", thread, ts, payload)
            if question.text:
                about = [f"message:{question.channel_key}/{ts}/text"]
                await self._here.call(self._here.state.accept, about, "question", thread, f"{ts}+", question.as_dict())
        elif question.text:
            await self._here.call(self._here.state.accept, keys, "question", thread, ts, question.as_dict())
        self._here.desk.nudge()

    async def _joined(self, question: Question) -> None:
        await self._here.call(self._here.state.join, question.thread_key, question.ts)
        await self._here.call(self._here.state.spoke, question.thread_key, question.ts, question.user, to_bot=True)
        self._here.desk.nudge()

    async def _followed(self, question: Question, keys: Sequence[str], raw: str) -> None:
        """A reply that does not name the bot: in a thread that it takes part in, it may be meant all the same."""
        settings = await self._here.channel(question)
        if not settings.follow or settings.private:
            return
        question = replace(question, followed=True)
        thread = await self._here.call(self._here.state.thread, question.thread_key)
        others = names_others(raw, self._here.workspace.bot_user)
        if not thread.joined:
            if not others and question.text:
                await self._here.call(
                    self._here.state.accept,
                    keys,
                    "question",
                    question.thread_key,
                    question.ts,
                    question.as_dict(),
                    state="parked",
                    wait=PARKED_SECONDS,
                )
            return
        meant = for_bot(thread, question.ts, question.user, question.text, names_others=others)
        if meant:
            question = replace(question, followed=False)
            accept = (keys, "question", question.thread_key, question.ts, question.as_dict())
            await self._here.call(self._here.state.accept, *accept, wait=SETTLE_SECONDS)
            self._here.desk.nudge()
        await self._here.call(self._here.state.spoke, question.thread_key, question.ts, question.user, to_bot=meant)

    def _question(self, event: Mapping[str, Any]) -> Question:
        channel = str(event["channel"])
        kind = _KINDS.get(str(event.get("channel_type")), "direct" if channel.startswith("D") else "open")
        ts = str(event["ts"])
        return Question(
            platform="slack",
            team=self._here.workspace.team,
            channel=channel,
            kind=kind,
            ts=ts,
            thread_ts=str(event.get("thread_ts") or ts),
            user=str(event["user"]),
            user_team=str(event.get("user_team") or event.get("team") or self._here.workspace.team),
            text=plain(str(event.get("text") or ""), self._here.workspace.bot_user),
        )

    async def command(self, ack: Any, body: dict[str, Any]) -> None:
        """`/ask QUESTION` answers the asker alone; `/ask config` opens the settings of the channel."""
        text = plain(str(body.get("text") or ""), self._here.workspace.bot_user)
        if text.lower() == "config":
            await ack()
            self._here.later(self._form.open(body["user_id"], body["channel_id"], body["trigger_id"], body["response_url"]))
            return
        if not text or text.lower() == "help" or courtesy(text):
            await ack(response_type="ephemeral", text=HELP)
            return
        question = self._here.asked_by(body["user_id"], body["channel_id"], body["response_url"])
        question = replace(question, text=text, private=True, thread_ts=ALONE)
        key = [f"command:{body['trigger_id']}"]
        await self._here.call(self._here.state.accept, key, "question", question.thread_key, question.ts, question.as_dict())
        await ack()
        self._here.desk.nudge()

    async def answer_this(self, ack: Any, body: dict[str, Any]) -> None:
        """The shortcut on a message: it is answered in its thread."""
        message = body["message"]
        question = self._here.asked_by(body["user"]["id"], body["channel"]["id"], body["response_url"])
        text = plain(str(message.get("text") or ""), self._here.workspace.bot_user)
        settings = await self._here.channel(question)
        question = replace(question, text=text, thread_ts=message.get("thread_ts") or message["ts"], private=settings.private)
        if text:
            key = [f"shortcut:{body['trigger_id']}"]
            await self._here.call(
                self._here.state.accept, key, "question", question.thread_key, question.ts, question.as_dict()
            )
            await self._joined(question)
        await ack()


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    """What is needed of a file to fetch it."""
    wanted = ("id", "name", "size", "url_private_download", "url_private", "file_access")
    return {name: file[name] for name in wanted if name in file}
