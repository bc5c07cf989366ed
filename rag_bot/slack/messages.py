"""The bot's messages in a thread: posted once, found again after a kill, changed and taken away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bot.chat_platform.types import Keep, Question
from rag_bot.chat_state import Job
from rag_bot.slack import blocks
from rag_bot.slack.client import Gone, Refused, SlackClient, Unsure
from rag_bot.slack.private import whisper

_log = logging.getLogger(__name__)

AGAIN_SECONDS = 0.3
ALONE = "I am not in this channel, so that only you see this. Invite me, and I answer in the thread."
NOTE, ANSWER = "rag_bot_note", "rag_bot_answer"
"""Types of the metadata by which the bot knows its own messages again."""
ENDED = {"message_not_in_streaming_state", "message_not_found"}
STOPPED = "stopped_by_user"

Known = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Which of these messages show an answer that is known already."""


@dataclass(frozen=True, slots=True)
class Home:
    """What replies need to know of the workspace. `public_url`: where the chat page is, for links to places. Slack ends a
    stream about five minutes after it began, also one in use: after `roll_seconds` a new one is begun."""

    slack: SlackClient
    bot_user: str
    public_url: str
    known: Known
    clock: Callable[[], float] = time.monotonic
    roll_seconds: float = 240.0


class Messages:
    """The messages of one job. `posts` are those that are known, oldest first; `begun`: there may be others."""

    def __init__(self, home: Home, question: Question, job: Job, keep: Keep) -> None:
        self._home, self._question, self._job, self._keep = home, question, job, keep
        self.posts: list[str] = [str(ts) for ts in job.progress.get("posts", [])]
        self.begun = bool(job.progress.get("begun"))
        self.sure = not self.begun  # that no message stands in the thread which `posts` does not know

    @property
    def where(self) -> dict[str, Any]:
        return {"channel": self._question.channel}

    async def put(self, text: str, parts: list[dict[str, Any]]) -> Sequence[str]:
        """One message of blocks, posted once."""
        there = await self.all()
        if not there:
            await self._post(text, parts, f"{self._job.id}.0")
        return self.posts

    async def write(self, pieces: Sequence[str], tail: list[dict[str, Any]]) -> None:
        """Make the messages show these pieces: those that are there are changed, others posted, and what is over deleted."""
        there = await self.all()
        self.posts = there
        for at, text in enumerate(pieces):
            last = at == len(pieces) - 1
            parts = [blocks.body(text), *(tail if last else [])]
            if at < len(there):
                await self._rewrite(there[at], text, parts)
            else:
                await self._post(text, parts, f"{self._job.id}.{at}")
        for ts in there[len(pieces) :]:
            await self.gone(ts)
        self.posts = self.posts[: len(pieces)]
        await self._keep({"posts": self.posts})

    async def _rewrite(self, ts: str, text: str, parts: list[dict[str, Any]]) -> None:
        await self.stop(ts)
        update: dict[str, Any] = {
            "ts": ts,
            "text": blocks.notice(text),
            "blocks": parts,
            "metadata": self.metadata(str(self._job.id)),
        }
        await self._home.slack.call("chat.update", **self.where, **update)

    async def stop(self, ts: str) -> None:
        """End the stream of a message that may be streaming still."""
        try:
            await self._home.slack.call("chat.stopStream", **self.where, ts=ts)
        except Refused as refused:
            if refused.error not in ENDED | {STOPPED}:
                raise

    async def _post(self, text: str, parts: list[dict[str, Any]], part: str) -> None:
        """Post a message once: where the call breaks off, the thread is looked at before it is posted again."""
        message: dict[str, Any] = {"thread_ts": self._question.thread_ts or None, "text": blocks.notice(text), "blocks": parts}
        message |= {"metadata": self.metadata(part), "unfurl_links": False, "unfurl_media": False}
        for attempt in range(4):
            await self.mark()
            try:
                posted = await self._home.slack.call("chat.postMessage", once=True, **self.where, **message)
            except Unsure:
                await asyncio.sleep(AGAIN_SECONDS * 2**attempt)
                found = [one["ts"] for one in await self._strays() if _part_of(one) == part]
                if found:
                    await self.posted(str(found[0]))
                    return
                continue
            except Gone:
                if not self._question.answer_to:
                    raise
                alone = blocks.small(ALONE)  # whoever asked by a button or a command can be told all the same
                await whisper(self._home.slack, self._question, blocks.notice(text), [*parts, alone])
                return
            await self.posted(str(posted["ts"]))
            return
        raise Unsure("chat.postMessage broke off again and again")

    async def gone(self, ts: str) -> None:
        """Take a message away."""
        await self.stop(ts)
        try:
            await self._home.slack.call("chat.delete", **self.where, ts=ts)
        except Refused as refused:
            _log.warning("A message is left over: %s", refused)

    # --- what was posted, also by a process that was killed

    async def mark(self) -> None:
        """From here on a message may stand in the thread that nobody has noted."""
        if not self.begun:
            self.begun = True
            await self._keep({"begun": True})

    async def posted(self, ts: str) -> None:
        """Note a message that stands in the thread now."""
        self.posts.append(ts)
        await self._keep({"posts": self.posts})

    async def all(self) -> list[str]:
        """Every message of the job that stands in the thread, oldest first."""
        if self.sure:
            return list(self.posts)
        found = [str(message["ts"]) for message in await self._strays()]
        self.sure = True
        return sorted({*self.posts, *found})

    async def _strays(self) -> list[dict[str, Any]]:
        """The bot's messages in this thread that no answer is known to be shown in, but this one."""
        own: list[dict[str, Any]] = []
        method, thread = "conversations.history", {"oldest": self._question.ts, "include_all_metadata": True}
        if self._question.thread_ts:
            method, thread["ts"] = "conversations.replies", self._question.thread_ts
        async for message in self._home.slack.pages(method, "messages", **self.where, **thread):
            if message.get("user") != self._home.bot_user or message["ts"] <= self._question.ts:
                continue
            kind = (message.get("metadata") or {}).get("event_type")
            if (
                kind == NOTE
                or (not kind and not self._question.thread_ts)
                or (kind == ANSWER and _part_of(message).partition(".")[0] != str(self._job.id))
            ):
                continue
            own.append(message)
        keys = {message["ts"]: f"{self._question.channel_key}/{message['ts']}" for message in own}
        known = await self._home.known(list(keys.values()))
        return [message for message in own if keys[message["ts"]] not in known]

    def metadata(self, part: str) -> dict[str, Any]:
        """What a message of the job is known by."""
        return {"event_type": ANSWER, "event_payload": {"part": part}}


def _part_of(message: dict[str, Any]) -> str:
    metadata = message.get("metadata") or {}
    return str((metadata.get("event_payload") or {}).get("part", ""))
