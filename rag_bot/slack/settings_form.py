"""The form of a channel's settings, for admins."""

from __future__ import annotations

from typing import Any

from rag_bot.chat_platform.channel import ChannelSettings, Hours
from rag_bot.slack import blocks
from rag_bot.slack.bodies import kept, values_of
from rag_bot.slack.workplace import Workplace


class SettingsForm:
    """Opened by `/ask config`, and from the home tab."""

    def __init__(self, here: Workplace) -> None:
        self._here = here

    async def config(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        channel = str(body["actions"][0]["value"])
        self._here.later(self.open(body["user"]["id"], channel, body["trigger_id"], ""))

    async def open(self, user: str, channel: str, trigger: str, answer_to: str) -> None:
        question = self._here.asked_by(user, channel, answer_to)
        if question.kind == "direct":
            await self._here.whisper(question, "A direct message has no settings. Type `/ask config` in a channel.")
        elif not await self._here.is_admin(user):
            await self._here.whisper(question, "Only admins of the workspace change a channel's settings.")
        else:
            settings, account = await self._here.channel(question), await self._here.people.account(user)
            form = blocks.channel_form(channel, settings, sorted(self._here.bot.readers.rules.collections), account.zone)
            await self._here.open(question, trigger, form)

    async def config_sent(self, ack: Any, body: dict[str, Any]) -> None:
        values, user = values_of(body), body["user"]["id"]
        if not await self._here.is_admin(user):
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
        question = self._here.asked_by(user, kept(body)["channel"])
        await self._here.call(self._here.state.configure, question.channel_key, settings.as_dict(), question.person_key)
        await ack()
