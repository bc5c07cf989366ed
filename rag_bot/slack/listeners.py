"""Bolt's listeners, the same for Socket Mode and HTTP: each takes what came in for good, then acknowledges it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from ingest.errors import IngestError
from rag_bot.chat_platform.addressed import for_bot
from rag_bot.chat_platform.channel import ChannelSettings, Hours
from rag_bot.chat_platform.desk import Desk
from rag_bot.chat_platform.pieces import split
from rag_bot.chat_platform.types import ChannelKind, Question, Unreachable
from rag_bot.chat_state import ChatState
from rag_bot.courtesy import courtesy
from rag_bot.errors import BotError
from rag_bot.rails.masking import to_mask
from rag_bot.readers import PRIVATE
from rag_bot.slack import blocks
from rag_bot.slack.client import Limited, Refused, SlackClient, Unsure, library_log
from rag_bot.slack.markdown import Translator
from rag_bot.slack.people import People
from rag_bot.slack.reply import MESSAGE_CHARS, whisper
from rag_bot.slack.text import names, names_others, plain

if TYPE_CHECKING:
    from rag_bot.bot import Bot

_log = logging.getLogger(__name__)

THUMBS = {"+1": 1, "thumbsup": 1, "-1": -1, "thumbsdown": -1}
PARKED_SECONDS = 10.0
"""How long an unnamed reply in a thread is kept for the case that the message which called the bot in comes after it."""
SETTLE_SECONDS = 0.15
"""A follow-up waits so long for one that was written before it and comes later."""
HELP = (
    "Ask me something about the documents: `/ask How many days of leave do I get?` `/ask config` changes a channel's settings."
)
_KINDS: dict[str, ChannelKind] = {"im": "direct", "mpim": "group", "group": "group", "channel": "open"}
_SUBTYPES = {None, "file_share", "thread_broadcast"}
_TITLE = 60  # characters of a suggested prompt's title


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the app is installed, as auth.test says."""

    team: str
    bot_user: str
    bot: str


class Listeners:
    """What is done with everything that Slack sends."""

    def __init__(
        self, bot: Bot, state: ChatState, desk: Desk, slack: SlackClient, people: People, workspace: Workspace, secret: str
    ) -> None:
        self._bot, self._state, self._desk, self._slack, self._people = bot, state, desk, slack, people
        self._workspace, self._settings = workspace, bot.settings
        self._soon: set[asyncio.Task[None]] = set()
        self.app = self._app(secret)

    def _app(self, secret: str) -> Any:
        authorized = AuthorizeResult(
            enterprise_id=None,
            team_id=self._workspace.team,
            bot_user_id=self._workspace.bot_user,
            bot_id=self._workspace.bot,
            bot_token="",
        )

        async def authorize(**_: object) -> Any:
            return authorized

        # Listeners run to their end before Slack is answered: what is acknowledged has been kept.
        app = AsyncApp(
            name="rag-bot",
            logger=library_log(),
            signing_secret=secret,
            authorize=authorize,
            process_before_response=True,
            attaching_conversation_kwargs_enabled=False,
        )
        app.event("app_mention")(self.message)
        app.event("message")(self.message)
        app.event("app_home_opened")(self.home_opened)
        app.event("reaction_added")(self.reacted)
        app.event("reaction_removed")(self.unreacted)
        app.command("/ask")(self.command)
        app.shortcut("answer_this")(self.answer_this)
        for name, action in {
            "feedback": self.thumb,
            "ask_person": self.ask_person,
            "share": self.share,
            "show": self.show,
            "save": self.save,
            "config": self.config,
            "remove_file": self.remove_file,
        }.items():
            app.action(name)(action)
        app.view("feedback")(self.feedback_sent)
        app.view("save")(self.save_sent)
        app.view("config")(self.config_sent)
        return app

    async def close(self) -> None:
        for task in list(self._soon):
            task.cancel()
        await asyncio.gather(*self._soon, return_exceptions=True)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
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

    async def _call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return await self._desk.call(function, *arguments, **named)

    # --- messages

    async def message(self, event: dict[str, Any], body: dict[str, Any]) -> None:
        """A message in a channel that the bot is in, a mention (which comes as a message, too), a direct message."""
        user, bot_user = event.get("user"), self._workspace.bot_user
        if event.get("subtype") not in _SUBTYPES or not user or event.get("bot_id") or user == bot_user:
            return
        question = self._question(event)
        raw = str(event.get("text") or "")
        keys = [f"event:{body.get('event_id')}", f"message:{question.channel_key}/{question.ts}"]
        if question.kind == "direct":
            await self._direct(question, keys, event.get("files") or [])
        elif names(raw, bot_user):
            settings = await self._channel(question)
            question = replace(question, private=settings.private, text=question.text or "hello")
            await self._call(self._state.accept, keys, "question", question.thread_key, question.ts, question.as_dict())
            await self._joined(question)
        elif event.get("thread_ts"):
            await self._followed(question, keys, raw)

    async def _direct(self, question: Question, keys: Sequence[str], files: Sequence[Mapping[str, Any]]) -> None:
        thread, ts = question.thread_key, question.ts
        if files:
            payload = {"question": question.as_dict(), "files": [_file(one) for one in files]}
            await self._call(self._state.accept, keys, "files", thread, ts, payload)
            if question.text:
                about = [f"message:{question.channel_key}/{ts}/text"]
                await self._call(self._state.accept, about, "question", thread, f"{ts}+", question.as_dict())
        elif question.text:
            await self._call(self._state.accept, keys, "question", thread, ts, question.as_dict())
        self._desk.nudge()

    async def _joined(self, question: Question) -> None:
        await self._call(self._state.join, question.thread_key)
        await self._call(self._state.spoke, question.thread_key, question.ts, question.user, to_bot=True)
        self._desk.nudge()

    async def _followed(self, question: Question, keys: Sequence[str], raw: str) -> None:
        """A reply that does not name the bot: in a thread that it takes part in, it may be meant all the same."""
        settings = await self._channel(question)
        if not settings.follow or settings.private:
            return
        question = replace(question, followed=True)
        thread = await self._call(self._state.thread, question.thread_key)
        others = names_others(raw, self._workspace.bot_user)
        if not thread.joined:
            if not others and question.text:
                await self._call(
                    self._state.accept,
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
            await self._call(self._state.accept, *accept, wait=SETTLE_SECONDS)
            self._desk.nudge()
        await self._call(self._state.spoke, question.thread_key, question.ts, question.user, to_bot=meant)

    def _question(self, event: Mapping[str, Any]) -> Question:
        channel = str(event["channel"])
        kind = _KINDS.get(str(event.get("channel_type")), "direct" if channel.startswith("D") else "open")
        ts = str(event["ts"])
        return Question(
            platform="slack",
            team=self._workspace.team,
            channel=channel,
            kind=kind,
            ts=ts,
            thread_ts=str(event.get("thread_ts") or ts),
            user=str(event["user"]),
            user_team=str(event.get("user_team") or event.get("team") or self._workspace.team),
            text=plain(str(event.get("text") or ""), self._workspace.bot_user),
        )

    async def _channel(self, question: Question) -> ChannelSettings:
        return ChannelSettings.of(await self._call(self._state.channel, question.channel_key))

    # --- commands, shortcuts, buttons

    async def command(self, ack: Any, body: dict[str, Any]) -> None:
        """`/ask QUESTION` answers the asker alone; `/ask config` opens the settings of the channel."""
        text = plain(str(body.get("text") or ""), self._workspace.bot_user)
        if text.lower() == "config":
            await ack()
            self._later(self._open_config(body["user_id"], body["channel_id"], body["trigger_id"], body["response_url"]))
            return
        if not text or text.lower() == "help" or courtesy(text):
            await ack(response_type="ephemeral", text=HELP)
            return
        question = self._asked_by(body["user_id"], body["channel_id"], body["response_url"])
        question = replace(question, text=text, private=True, thread_ts="command")
        key = [f"command:{body['trigger_id']}"]
        await self._call(self._state.accept, key, "question", question.thread_key, question.ts, question.as_dict())
        await ack()
        self._desk.nudge()

    async def answer_this(self, ack: Any, body: dict[str, Any]) -> None:
        """The shortcut on a message: it is answered in its thread."""
        message = body["message"]
        question = self._asked_by(body["user"]["id"], body["channel"]["id"], body["response_url"])
        text = plain(str(message.get("text") or ""), self._workspace.bot_user)
        settings = await self._channel(question)
        question = replace(question, text=text, thread_ts=message.get("thread_ts") or message["ts"], private=settings.private)
        if text:
            key = [f"shortcut:{body['trigger_id']}"]
            await self._call(self._state.accept, key, "question", question.thread_key, question.ts, question.as_dict())
            await self._joined(question)
        await ack()

    def _asked_by(self, user: str, channel: str, answer_to: str = "") -> Question:
        """A question that no message asks."""
        kind: ChannelKind = "direct" if channel.startswith("D") else "open"
        ts, team = f"{time.time():.6f}", self._workspace.team
        return Question("slack", team, channel, kind, ts, "", user, "", team, answer_to=answer_to)

    async def _job(self, body: Mapping[str, Any], kind: str, thread_ts: str, key: str, text: str = "", **payload: Any) -> None:
        """Have something done in the channel that a button was pressed in."""
        question = self._asked_by(body["user"]["id"], body["channel"]["id"], body.get("response_url", ""))
        question = replace(question, thread_ts=thread_ts, text=text)
        payload = {"question": question.as_dict(), **payload}
        await self._call(self._state.accept, [key], kind, question.thread_key, question.ts, payload)
        self._desk.nudge()

    async def ask_person(self, ack: Any, body: dict[str, Any]) -> None:
        """Call in the people who may know, once for each answer."""
        answer_id = str(body["actions"][0]["value"])
        kept = await self._call(self._state.answer, answer_id)
        if kept and self._settings.slack_helpers and self._is_here(kept.channel, body):
            await self._job(body, "ask_person", _thread_of(body), f"ask_person:{answer_id}", kept.asked)
        await ack()

    async def share(self, ack: Any, body: dict[str, Any]) -> None:
        """Show in the channel what only the asker was shown."""
        answer_id = str(body["actions"][0]["value"])
        kept = await self._call(self._state.answer, answer_id)
        if kept and kept.asker == self._person(body) and self._is_here(kept.channel, body):
            await self._job(body, "share", "", f"share:{answer_id}:{kept.channel}", kept.asked, answer_id=answer_id)
        await ack()

    async def show(self, ack: Any, body: dict[str, Any]) -> None:
        """Show an answer again to the one who asked."""
        kept = await self._call(self._state.answer, str(body["actions"][0]["value"]))
        await ack()
        if kept and kept.asker == self._person(body):
            question = self._asked_by(body["user"]["id"], body["channel"]["id"], body.get("response_url", ""))
            self._later(self._show(replace(question, private=True), kept.answer))

    async def _show(self, question: Question, answer: Mapping[str, Any]) -> None:
        if await self._desk.may_show(answer, question):
            shown = await self._desk.shown(answer, question)
            tail = blocks.tail(replace(shown, offer_person=False), self._settings.public_url)
            text = blocks.body(split(Translator().feed(shown.whole), MESSAGE_CHARS)[0])
            await whisper(self._slack, question, blocks.notice(shown.text), [text, *tail])

    async def save(self, ack: Any, body: dict[str, Any]) -> None:
        """The helpers save what was answered in the thread."""
        await ack()
        self._later(self._open_save(body))

    async def _open_save(self, body: Mapping[str, Any]) -> None:
        user, channel, thread_ts = body["user"]["id"], body["channel"]["id"], _thread_of(body)
        if not await self._may_save(user):
            question = self._asked_by(user, channel, body.get("response_url", ""))
            await self._whisper(question, "Only those who are called in, and admins, save answers as documents.")
            return
        thread = {"channel": channel, "ts": thread_ts, "oldest": body["message"]["ts"]}
        said = [
            plain(str(message.get("text") or ""), self._workspace.bot_user)
            async for message in self._slack.pages("conversations.replies", "messages", **thread)
            if message.get("user") not in (None, self._workspace.bot_user) and message["ts"] > body["message"]["ts"]
        ]
        asked = str(body["actions"][0].get("value") or "")
        keep = {"channel": channel, "thread_ts": thread_ts}
        view = blocks.save_form(asked, "\n\n".join(filter(None, said)), keep)
        await self._slack.call("views.open", trigger_id=body["trigger_id"], view=view)

    async def _may_save(self, user: str) -> bool:
        if await self._people.is_admin(user, self._settings.slack_admins):
            return True
        if not self._settings.slack_helpers:
            return False
        members = await self._slack.read("usergroups.users.list", usergroup=self._settings.slack_helpers)
        return user in members["users"]

    async def save_sent(self, ack: Any, body: dict[str, Any]) -> None:
        keep, values = _kept(body), _values(body)
        if await self._may_save(body["user"]["id"]):
            about = {"user": body["user"], "channel": {"id": keep["channel"]}}
            key = f"save:{keep['channel']}/{keep['thread_ts']}/{_digest(values)}"
            await self._job(about, "save", keep["thread_ts"], key, title=values["title"] or "", answer=values["text"] or "")
        await ack()

    # --- feedback

    async def thumb(self, ack: Any, body: dict[str, Any]) -> None:
        """A thumb under an answer; of a bad one it is asked what was wrong."""
        value, _, answer_id = str(body["actions"][0]["value"]).partition(":")
        await self._call(self._state.feedback, answer_id, self._person(body), 1 if value == "1" else -1)
        await ack()
        if value == "1":
            question = self._asked_by(body["user"]["id"], body["channel"]["id"], body.get("response_url", ""))
            self._later(self._whisper(question, "Thank you."))
        else:
            form = blocks.feedback_form(answer_id)
            self._later(self._open(body["trigger_id"], form))

    async def feedback_sent(self, ack: Any, body: dict[str, Any]) -> None:
        values = _values(body)
        reason = ": ".join(filter(None, [blocks.REASONS.get(values["reason"] or "", ""), values["words"]]))
        person, answer_id = self._person(body), _kept(body)["answer_id"]
        await self._call(self._state.feedback, answer_id, person, -1, reason or None, values["right_source"])
        await ack()

    async def reacted(self, event: dict[str, Any]) -> None:
        await self._reaction(event, added=True)

    async def unreacted(self, event: dict[str, Any]) -> None:
        await self._reaction(event, added=False)

    async def _reaction(self, event: Mapping[str, Any], *, added: bool) -> None:
        thumb = THUMBS.get(str(event.get("reaction", "")).partition("::")[0])
        item = event.get("item") or {}
        if thumb is None or item.get("type") != "message":
            return
        kept = await self._call(self._state.shown_in, f"slack/{self._workspace.team}/{item['channel']}/{item['ts']}")
        if kept is None:
            return
        person = f"slack/{self._workspace.team}/{event['user']}"
        given = (await self._call(self._state.thumbs, kept.answer_id)).get(person)
        if added and (given is None or given[0] != thumb):
            await self._call(self._state.feedback, kept.answer_id, person, thumb)
        elif not added and given and given[0] == thumb:
            await self._call(self._state.feedback, kept.answer_id, person, 0)

    # --- settings of channels

    async def config(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        channel = str(body["actions"][0]["value"])
        self._later(self._open_config(body["user"]["id"], channel, body["trigger_id"], ""))

    async def _open_config(self, user: str, channel: str, trigger: str, answer_to: str) -> None:
        question = self._asked_by(user, channel, answer_to)
        if question.kind == "direct":
            await self._whisper(question, "A direct message has no settings. Type `/ask config` in a channel.")
        elif not await self._people.is_admin(user, self._settings.slack_admins):
            await self._whisper(question, "Only admins of the workspace change a channel's settings.")
        else:
            settings, account = await self._channel(question), await self._people.account(user)
            form = blocks.channel_form(channel, settings, sorted(self._bot.readers.rules.collections), account.zone)
            await self._open(trigger, form)

    async def config_sent(self, ack: Any, body: dict[str, Any]) -> None:
        values, user = _values(body), body["user"]["id"]
        if not await self._people.is_admin(user, self._settings.slack_admins):
            await ack(response_action="errors", errors={"collection": "Only admins change a channel's settings."})
            return
        hours = None
        if values["days"]:
            days = tuple(sorted(int(day) for day in values["days"]))
            try:
                hours = Hours(days, values["start"] or "", values["end"] or "", (values["zone"] or "").strip())
            except ValueError as error:
                await ack(response_action="errors", errors={"zone": str(error)})
                return
        switches = values["switches"] or []
        settings = ChannelSettings(
            collection=(values["collection"] or "c:")[2:],
            tone=values["tone"] or "plain",
            follow="follow" in switches,
            sure="sure" in switches,
            private="private" in switches,
            hours=hours,
        )
        question = self._asked_by(user, _kept(body)["channel"])
        await self._call(self._state.configure, question.channel_key, settings.as_dict(), question.person_key)
        await ack()

    # --- the app's own tabs

    async def home_opened(self, event: dict[str, Any]) -> None:
        if event.get("tab") == "messages":
            self._later(self._suggest(event["user"], event["channel"]))
        else:
            self._later(self._publish(event["user"]))

    async def _publish(self, user: str) -> None:
        question = self._asked_by(user, "D")
        admin = await self._people.is_admin(user, self._settings.slack_admins)
        configured = await self._call(self._state.configured) if admin else {}
        prefix = f"slack/{self._workspace.team}/"
        tab = blocks.HomeTab(
            collections=sorted(self._bot.readers.rules.collections),
            recent=await self._call(self._state.recent, question.person_key),
            files=await self._call(self._own_files, question),
            admin=admin,
            channels={
                channel.removeprefix(prefix): ChannelSettings.of(settings)
                for channel, settings in configured.items()
                if channel.startswith(prefix)
            },
        )
        await self._slack.call("views.publish", user_id=user, view=blocks.home(tab))

    def _own_files(self, question: Question) -> list[tuple[str, str]]:
        mine = f"{PRIVATE}{question.person_key}/"
        found = [info for info in self._bot.index.documents() if info.source.startswith(mine)]
        return [(info.document_id, info.source.removeprefix(mine)) for info in found]

    async def remove_file(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        self._later(self._remove_file(body["user"]["id"], str(body["actions"][0]["value"])))

    async def _remove_file(self, user: str, document_id: str) -> None:
        question = self._asked_by(user, "D")
        if document_id in dict(await self._call(self._own_files, question)):
            await self._bot.remove(document_id)
        await self._publish(user)

    async def _suggest(self, user: str, channel: str) -> None:
        """Questions to begin with, from documents that the person may read."""
        question = replace(self._asked_by(user, channel), kind="direct")
        people = await self._people.who_sees(question, self._bot.readers)
        allowed = await self._call(self._bot.readers.scope, people, question.owner)
        prompts = await self._call(self._prompts, allowed)
        if prompts:
            await self._slack.call("assistant.threads.setSuggestedPrompts", channel_id=channel, prompts=prompts)

    def _prompts(self, allowed: Callable[[Any], bool]) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for info in self._bot.index.documents():
            if len(found) == 4:
                break
            if not allowed(info) or info.chunks > 500 or any(map(to_mask, self._bot.index.findings(info.document_id))):
                continue  # (titles and headings are shown here as they are)
            chunks = self._bot.index.chunks_of(info.document_id)
            heading = next((chunk.heading[-1] for chunk in chunks if chunk.heading and chunk.heading[-1] != info.title), "")
            asked = f"What does {info.title} say about {heading}?" if heading else f"What does {info.title} say?"
            asked = " ".join(asked.split())
            found.append({"title": asked if len(asked) <= _TITLE else asked[: _TITLE - 1] + "…", "message": asked[:500]})
        return found

    # --- helpers

    async def _open(self, trigger: str, view: Mapping[str, Any]) -> None:
        await self._slack.call("views.open", hurry=True, trigger_id=trigger, view=view)

    async def _whisper(self, question: Question, text: str) -> None:
        with suppress(Unsure):
            await whisper(self._slack, question, text, [{"type": "section", "text": {"type": "mrkdwn", "text": text}}])

    def _person(self, body: Mapping[str, Any]) -> str:
        return f"slack/{self._workspace.team}/{body['user']['id']}"

    def _is_here(self, channel_key: str, body: Mapping[str, Any]) -> bool:
        return channel_key == f"slack/{self._workspace.team}/{body['channel']['id']}"


def _digest(values: Mapping[str, Any]) -> str:
    """The same for the same values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _thread_of(body: Mapping[str, Any]) -> str:
    message, container = body.get("message") or {}, body.get("container") or {}
    return str(message.get("thread_ts") or container.get("thread_ts") or message.get("ts") or container["message_ts"])


def _kept(body: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(body["view"]["private_metadata"]))


def _values(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a form was filled with, by the names of its inputs."""
    found: dict[str, Any] = {}
    for block in body["view"]["state"]["values"].values():
        for name, state in block.items():
            if "selected_options" in state:
                found[name] = [one["value"] for one in state["selected_options"] or []]
            elif "selected_option" in state:
                found[name] = (state["selected_option"] or {}).get("value")
            else:
                found[name] = state.get("value") or state.get("selected_time")
    return found


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    """What is needed of a file to fetch it."""
    wanted = ("id", "name", "size", "url_private_download", "url_private", "file_access")
    return {name: file[name] for name in wanted if name in file}
