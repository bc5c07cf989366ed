"""The app's own tabs: Home, with what one may ask and has asked, and Messages, with questions to begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rag_bot.chat_platform.channel import ChannelSettings
from rag_bot.chat_platform.types import Question
from rag_bot.rails.masking import to_mask
from rag_bot.readers import PRIVATE, Person
from rag_bot.slack import blocks
from rag_bot.slack.workplace import Workplace

_TITLE = 60  # characters of a suggested prompt's title


class Tabs:
    """Filled anew each time that somebody opens them."""

    def __init__(self, here: Workplace) -> None:
        self._here = here

    async def home_opened(self, event: dict[str, Any]) -> None:
        if event.get("tab") == "messages":
            self._here.later(self._suggest(event["user"], event["channel"]))
        else:
            self._here.later(self._publish(event["user"]))

    async def _publish(self, user: str) -> None:
        question = self._alone(user, "D")
        admin = await self._here.is_admin(user)
        configured = await self._here.call(self._here.state.configured) if admin else {}
        prefix = self._here.key("")
        tab = blocks.HomeTab(
            collections=await self._here.call(self._may_ask, await self._reads(question), question),
            recent=await self._here.call(self._here.state.recent, question.person_key),
            files=await self._here.call(self._own_files, question),
            admin=admin,
            channels={
                channel.removeprefix(prefix): ChannelSettings.of(settings)
                for channel, settings in configured.items()
                if channel.startswith(prefix)
            },
        )
        await self._here.slack.call("views.publish", user_id=user, view=blocks.home(tab))

    def _alone(self, user: str, channel: str) -> Question:
        """Somebody with the bot, with nobody reading along."""
        return replace(self._here.asked_by(user, channel), kind="direct")

    async def _reads(self, question: Question) -> Sequence[Person]:
        return await self._here.people.who_sees(question, self._here.bot.readers)

    def _may_ask(self, people: Sequence[Person], question: Question) -> list[tuple[str, int]]:
        """The collections in which there is something for somebody, all documents first, with how many there are."""
        readers, documents = self._here.bot.readers, self._here.bot.index.documents()
        found = []
        for name in ("", *sorted(readers.rules.collections)):
            allowed = readers.scope(people, question.owner, name)
            if count := sum(map(allowed, documents)):
                found.append((name or "All documents", count))
        return found

    def _own_files(self, question: Question) -> list[tuple[str, str]]:
        mine = f"{PRIVATE}{question.person_key}/"
        found = [info for info in self._here.bot.index.documents() if info.source.startswith(mine)]
        return [(info.document_id, info.source.removeprefix(mine)) for info in found]

    async def remove_file(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        self._here.later(self._remove_file(body["user"]["id"], str(body["actions"][0]["value"])))

    async def _remove_file(self, user: str, document_id: str) -> None:
        question = self._alone(user, "D")
        if document_id in dict(await self._here.call(self._own_files, question)):
            await self._here.bot.remove(document_id)
        await self._publish(user)

    async def _suggest(self, user: str, channel: str) -> None:
        """Questions to begin with, from documents that the person may read."""
        question = self._alone(user, channel)
        allowed = await self._here.call(self._here.bot.readers.scope, await self._reads(question), question.owner)
        prompts = await self._here.call(self._prompts, allowed)
        if prompts:
            await self._here.slack.call("assistant.threads.setSuggestedPrompts", channel_id=channel, prompts=prompts)

    def _prompts(self, allowed: Callable[[Any], bool]) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for info in self._here.bot.index.documents():
            if len(found) == 4:
                break
            if not allowed(info) or info.chunks > 500 or any(map(to_mask, self._here.bot.index.findings(info.document_id))):
                continue  # (titles and headings are shown here as they are)
            chunks = self._here.bot.index.chunks_of(info.document_id)
            heading = next((chunk.heading[-1] for chunk in chunks if chunk.heading and chunk.heading[-1] != info.title), "")
            asked = f"What does {info.title} say about {heading}?" if heading else f"What does {info.title} say?"
            asked = " ".join(asked.split())
            found.append({"title": asked if len(asked) <= _TITLE else asked[: _TITLE - 1] + "…", "message": asked[:500]})
        return found
