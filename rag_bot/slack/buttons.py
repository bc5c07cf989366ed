"""What is pressed under an answer, and the forms and reactions that go with it: thumbs, sharing, asking and saving."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rag_bot.chat_platform.types import Question
from rag_bot.chat_state import Kept
from rag_bot.slack import blocks
from rag_bot.slack.bodies import kept, thread_of, values_of
from rag_bot.slack.private import show_privately
from rag_bot.slack.text import plain
from rag_bot.slack.workplace import Workplace

THUMBS = {"+1": 1, "thumbsup": 1, "-1": -1, "thumbsdown": -1}


class Buttons:
    """Each listener takes what was pressed for good, or does it after Slack has been answered."""

    def __init__(self, here: Workplace) -> None:
        self._here = here

    async def ask_person(self, ack: Any, body: dict[str, Any]) -> None:
        """Call in the people who may know, once for each answer."""
        found = await self._answer(body)
        if found and self._here.bot.settings.slack_helpers and found.channel == self._here.key(body["channel"]["id"]):
            await self._here.job(body, "ask_person", thread_of(body), f"ask_person:{found.answer_id}", found.asked)
        await ack()

    async def share(self, ack: Any, body: dict[str, Any]) -> None:
        """Show in the channel what only the asker was shown."""
        found = await self._answer(body)
        if found and self._is_askers(found, body) and found.channel == self._here.key(body["channel"]["id"]):
            key = f"share:{found.answer_id}:{found.channel}"
            await self._here.job(body, "share", "", key, found.asked, answer_id=found.answer_id)
        await ack()

    async def show(self, ack: Any, body: dict[str, Any]) -> None:
        """Show an answer again to the one who asked."""
        found = await self._answer(body)
        await ack()
        if found and self._is_askers(found, body):
            self._here.later(self._show(replace(self._pressed(body), private=True), found.answer))

    async def _show(self, question: Question, answer: Mapping[str, Any]) -> None:
        desk = self._here.desk
        if await desk.may_show(answer, question):
            await show_privately(
                self._here.slack, question, await desk.shown(answer, question), self._here.bot.settings.public_url
            )

    async def _answer(self, body: Mapping[str, Any]) -> Kept | None:
        """The answer that a button belongs to."""
        found: Kept | None = await self._here.call(self._here.state.answer, str(body["actions"][0]["value"]))
        return found

    def _is_askers(self, found: Kept, body: Mapping[str, Any]) -> bool:
        return found.asker == self._here.key(body["user"]["id"])

    def _pressed(self, body: Mapping[str, Any]) -> Question:
        """Who pressed something, and where."""
        return self._here.asked_by(body["user"]["id"], body["channel"]["id"], body.get("response_url", ""))

    # --- an answer of people's, saved

    async def save(self, ack: Any, body: dict[str, Any]) -> None:
        """The helpers save what was answered in the thread."""
        await ack()
        self._here.later(self._open_save(body))

    async def _open_save(self, body: Mapping[str, Any]) -> None:
        pressed, slack = self._pressed(body), self._here.slack
        if not await self._may_save(pressed.user):
            await self._here.whisper(pressed, "Only those who are called in, and admins, save answers as documents.")
            return
        after, thread_ts = body["message"]["ts"], thread_of(body)
        thread = {"channel": pressed.channel, "ts": thread_ts, "oldest": after}
        said = [
            plain(str(message.get("text") or ""), self._here.workspace.bot_user)
            async for message in slack.pages("conversations.replies", "messages", **thread)
            if message.get("user") not in (None, self._here.workspace.bot_user) and message["ts"] > after
        ]
        asked = str(body["actions"][0].get("value") or "")
        closed = await self._here.people.closed(pressed.channel)
        keep = {"channel": pressed.channel, "thread_ts": thread_ts}
        view = blocks.save_form(asked, "\n\n".join(filter(None, said)), keep, closed=closed)
        await self._here.open(pressed, body["trigger_id"], view)

    async def _may_save(self, user: str) -> bool:
        if await self._here.is_admin(user):
            return True
        helpers = self._here.bot.settings.slack_helpers
        return bool(helpers) and user in (await self._here.slack.read("usergroups.users.list", usergroup=helpers))["users"]

    async def save_sent(self, ack: Any, body: dict[str, Any]) -> None:
        keep, values = kept(body), values_of(body)
        if await self._may_save(body["user"]["id"]):
            about = {"user": body["user"], "channel": {"id": keep["channel"]}}
            key = f"save:{keep['channel']}/{keep['thread_ts']}/{_digest(values)}"
            await self._here.job(
                about, "save", keep["thread_ts"], key, title=values["title"] or "", answer=values["text"] or ""
            )
        await ack()

    # --- feedback

    async def thumb(self, ack: Any, body: dict[str, Any]) -> None:
        """A thumb under an answer; of a bad one it is asked what was wrong."""
        value, _, answer_id = str(body["actions"][0]["value"]).partition(":")
        thumb, pressed = (1 if value == "1" else -1), self._pressed(body)
        await self._here.call(self._here.state.feedback, answer_id, pressed.person_key, thumb)
        await ack()
        if thumb > 0:
            self._here.later(self._here.whisper(pressed, "Thank you."))
        else:
            self._here.later(self._here.open(pressed, body["trigger_id"], blocks.feedback_form(answer_id)))

    async def feedback_sent(self, ack: Any, body: dict[str, Any]) -> None:
        values = values_of(body)
        reason = ": ".join(filter(None, [blocks.REASONS.get(values["reason"] or "", ""), values["words"]]))
        person, answer_id = self._here.key(body["user"]["id"]), kept(body)["answer_id"]
        await self._here.call(self._here.state.feedback, answer_id, person, -1, reason or None, values["right_source"])
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
        state, person = self._here.state, self._here.key(event["user"])
        found = await self._here.call(state.shown_in, f"{self._here.key(item['channel'])}/{item['ts']}")
        if found is None:
            return
        given = (await self._here.call(state.thumbs, found.answer_id)).get(person)
        if added and (given is None or given[0] != thumb):
            await self._here.call(state.feedback, found.answer_id, person, thumb)
        elif not added and given and given[0] == thumb:
            await self._here.call(state.feedback, found.answer_id, person, 0)


def _digest(values: Mapping[str, Any]) -> str:
    """The same for the same values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
