"""One answer in Slack: streamed sentence by sentence where that can be, else posted whole; never twice, never in part."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rag_bot.chat_platform.pieces import split
from rag_bot.chat_platform.types import Keep, Question, Shown
from rag_bot.chat_state import Job
from rag_bot.slack import blocks
from rag_bot.slack.client import Gone, Limited, Refused, SlackClient, Unsure
from rag_bot.slack.markdown import Translator

_log = logging.getLogger(__name__)

ROLL_SECONDS = 240.0
"""Slack ends a stream about five minutes after it began, also one in use: a new one is begun before."""
GAP_SECONDS = 0.7
"""Between two appends: Slack takes about a hundred a minute."""
UPDATE_SECONDS = 1.5
AGAIN_SECONDS = 0.3
ALONE = "I am not in this channel, so that only you see this. Invite me, and I answer in the thread."
MESSAGE_CHARS = 10_000
"""Of an answer in one message. Slack takes 12,000 of Markdown in one."""
NOTE, ANSWER = "rag_bot_note", "rag_bot_answer"
"""Types of the metadata by which the bot knows its own messages again."""
UNKNOWN = "I was interrupted while I answered. If you see no answer to “{question}”, press the button."
_STATUS = {"search": "is searching the documents…", "read": "is reading what was found…", "answer": "is answering…"}
_CARDS = {"search": "Search the documents", "read": "Read what was found", "answer": "Answer, with proof"}
_ENDED = {"message_not_in_streaming_state", "message_not_found"}
_STOPPED = "stopped_by_user"

Known = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Which of these messages show an answer that is known already."""


@dataclass(frozen=True, slots=True)
class Home:
    """What replies need to know of the workspace. `public_url`: where the chat page is, for links to places."""

    slack: SlackClient
    bot_user: str
    public_url: str
    known: Known
    clock: Callable[[], float] = time.monotonic
    roll_seconds: float = ROLL_SECONDS


class ThreadReply:
    """An answer in a thread that everybody there sees.

    While it streams, `_texts` holds what each message shows for certain. When Slack ends a stream, or a call breaks off so
    that nobody knows what is shown, streaming stops, and the messages are written anew from the whole text.
    """

    def __init__(self, home: Home, question: Question, job: Job, keep: Keep) -> None:
        self._home, self._question, self._job, self._keep = home, question, job, keep
        self._posts: list[str] = [str(ts) for ts in job.progress.get("posts", [])]
        self._begun = bool(job.progress.get("begun"))
        self._sure = not self._begun  # that no message stands in the thread which `_posts` does not know
        self._live = not self._begun
        self._open = self._stopped = self._halted = self._told = False
        self._texts: list[str] = []
        self._buffer, self._due, self._ends = "", 0.0, 0.0
        self._cards: dict[str, dict[str, Any]] = {}
        self._translator = Translator()

    @property
    def _where(self) -> dict[str, Any]:
        return {"channel": self._question.channel}

    async def step(self, step: str, detail: str = "") -> None:
        if step == "found":
            self._card("search", "complete", detail)
            return
        for name in _CARDS:
            if name == step:
                self._card(name, "in_progress")
                break
            self._card(name, "complete")
        if step in _STATUS and not self._open:
            await self._status(_STATUS[step])
        if step == "answer":
            await self._begin()

    async def add(self, text: str) -> None:
        self._buffer += self._translator.feed(text)
        if self._live and not self._open and not self._texts:
            await self._begin()
        if self._home.clock() >= self._due:
            await self._flush()

    async def drop(self) -> None:
        for ts in await self._all_posts():
            await self._gone(ts)
        if self._told:
            await self._status("")

    async def finish(self, shown: Shown) -> Sequence[str]:
        if self._stopped:  # whoever asked has pressed Stop: what stands there is enough
            return self._posts
        tail = blocks.tail(shown, self._home.public_url)
        whole = Translator().feed(shown.whole)
        if self._open and await self._close(whole, tail):
            return self._posts
        await self._write(split(whole, MESSAGE_CHARS) or ["…"], tail)
        return self._posts

    # --- streaming

    def _card(self, step: str, status: str, detail: str = "") -> None:
        card = self._cards.setdefault(step, {"type": "task_update", "id": step, "title": _CARDS[step]})
        card["status"] = status
        if detail:
            card["output"] = detail

    async def _status(self, status: str) -> None:
        """The line that says what is going on; Slack takes it away with the next message. Nobody waits for it."""
        self._told = True
        try:
            await self._home.slack.call(
                "assistant.threads.setStatus",
                hurry=True,
                channel_id=self._question.channel,
                thread_ts=self._question.thread_ts,
                status=status,
            )
        except (Refused, Limited, Unsure) as error:
            _log.debug("No status: %s", error)

    async def _begin(self) -> None:
        """Start a stream with what there is to show; where that can't be, the answer is posted when it is whole."""
        if not self._live or self._open:
            return
        chunks: list[dict[str, Any]] = [] if self._texts else list(self._cards.values())
        text, self._buffer = self._buffer, ""
        chunks += [{"type": "markdown_text", "text": text}] if text else []
        try:
            await self._mark()
            begun = await self._home.slack.call(
                "chat.startStream",
                once=True,
                hurry=True,
                **self._where,
                thread_ts=self._question.thread_ts,
                recipient_user_id=self._question.user,
                recipient_team_id=self._question.user_team or self._question.team,
                task_display_mode="timeline",
                chunks=chunks,
            )
        except (Refused, Limited, Unsure) as error:
            self._sure = self._sure and not isinstance(error, Unsure)
            self._live, self._buffer = False, text
            if isinstance(error, Gone) and not self._question.answer_to:
                raise
            return
        self._open, self._texts = True, [*self._texts, text]
        self._ends = self._home.clock() + self._home.roll_seconds
        self._due = self._home.clock() + GAP_SECONDS if text else 0.0
        await self._posted(str(begun["ts"]))

    async def _flush(self) -> None:
        if not self._buffer or self._stopped:
            return
        if not self._open:
            if self._posts and not self._live:
                await self._update()
            return
        if self._home.clock() >= self._ends or len(self._texts[-1]) + len(self._buffer) > MESSAGE_CHARS:
            await self._roll()
            return
        if await self._append(self._buffer):
            self._texts[-1] += self._buffer
            self._buffer = ""

    async def _append(self, text: str) -> bool:
        """Whether the stream shows the text now."""
        self._due = self._home.clock() + GAP_SECONDS
        try:
            chunks = [{"type": "markdown_text", "text": text}]
            await self._home.slack.call(
                "chat.appendStream", once=True, hurry=True, **self._where, ts=self._posts[-1], chunks=chunks
            )
        except Limited as limited:
            self._due = self._home.clock() + limited.seconds
            return False
        except (Refused, Unsure) as error:
            self._broken(error)
            return False
        return True

    async def _roll(self) -> None:
        """End this message's stream and go on in a new one."""
        try:
            await self._home.slack.call("chat.stopStream", **self._where, ts=self._posts[-1])
        except (Refused, Limited, Unsure) as error:
            self._broken(error)
            return
        self._open = False
        await self._begin_next()

    async def _begin_next(self) -> None:
        pieces = split(self._buffer, MESSAGE_CHARS)
        if len(pieces) > 1:  # more than a message holds at once
            self._live = False
            return
        self._buffer = self._buffer.lstrip("\n ")
        await self._begin()

    def _broken(self, error: Exception) -> None:
        self._stopped = isinstance(error, Refused) and error.error == _STOPPED
        self._open = self._live = False
        if not self._stopped:
            _log.info("A stream in %s has ended: %s", self._question.channel, error)

    async def _update(self) -> None:
        """In place of a stream that has ended: the message with all there is so far."""
        self._texts[-1:] = [self._texts[-1] + self._buffer] if self._texts else [self._buffer]
        self._buffer = ""
        text = self._texts[-1]
        if len(text) > MESSAGE_CHARS or not self._sure:
            return
        self._due = self._home.clock() + UPDATE_SECONDS
        try:
            if not self._halted:
                self._halted = True
                await self._stop(self._posts[-1])
            await self._home.slack.call(
                "chat.update",
                hurry=True,
                **self._where,
                ts=self._posts[-1],
                text=blocks.notice(text),
                blocks=[blocks.body(text)],
            )
        except (Refused, Limited, Unsure) as error:
            _log.debug("Not updated: %s", error)

    async def _close(self, whole: str, tail: list[dict[str, Any]]) -> bool:
        """End the stream with the rest of the text and what comes under it. False where the messages must be written anew."""
        said = "".join("".join([*self._texts, self._buffer]).split())
        if said != "".join(whole.split()) or len(self._texts[-1]) + len(self._buffer) > MESSAGE_CHARS:
            return False
        if self._home.clock() >= self._ends:
            return False
        for step in self._cards:
            self._card(step, "complete")
        chunks = [*([{"type": "markdown_text", "text": self._buffer}] if self._buffer else []), *self._last_cards()]
        try:
            # What breaks off here is written anew, which shows the same.
            await self._home.slack.call(
                "chat.stopStream",
                once=True,
                **self._where,
                ts=self._posts[-1],
                chunks=chunks,
                blocks=tail,
                metadata=self._metadata(str(self._job.id)),
            )
        except (Refused, Limited, Unsure) as error:
            if isinstance(error, Gone) and error.error not in _ENDED:
                raise
            self._broken(error)
            return self._stopped
        self._open = False
        return True

    def _last_cards(self) -> list[dict[str, Any]]:
        return list(self._cards.values()) if len(self._posts) == 1 else []

    # --- whole messages

    async def put(self, text: str, parts: list[dict[str, Any]]) -> Sequence[str]:
        """One message of blocks, posted once."""
        there = await self._all_posts()
        if not there:
            await self._post(text, parts, f"{self._job.id}.0")
        return self._posts

    async def _write(self, pieces: Sequence[str], tail: list[dict[str, Any]]) -> None:
        """Make the messages show these pieces: those that are there are changed, others posted, and what is over deleted."""
        there = await self._all_posts()
        self._posts = there
        for at, text in enumerate(pieces):
            last = at == len(pieces) - 1
            parts = [blocks.body(text), *(tail if last else [])]
            if at < len(there):
                await self._rewrite(there[at], text, parts)
            else:
                await self._post(text, parts, f"{self._job.id}.{at}")
        for ts in there[len(pieces) :]:
            await self._gone(ts)
        self._posts = self._posts[: len(pieces)]
        await self._keep({"posts": self._posts})

    async def _rewrite(self, ts: str, text: str, parts: list[dict[str, Any]]) -> None:
        await self._stop(ts)
        update: dict[str, Any] = {
            "ts": ts,
            "text": blocks.notice(text),
            "blocks": parts,
            "metadata": self._metadata(str(self._job.id)),
        }
        await self._home.slack.call("chat.update", **self._where, **update)

    async def _stop(self, ts: str) -> None:
        """End the stream of a message that may be streaming still."""
        try:
            await self._home.slack.call("chat.stopStream", **self._where, ts=ts)
        except Refused as refused:
            if refused.error not in _ENDED | {_STOPPED}:
                raise

    async def _post(self, text: str, parts: list[dict[str, Any]], part: str) -> None:
        """Post a message once: where the call breaks off, the thread is looked at before it is posted again."""
        message: dict[str, Any] = {"thread_ts": self._question.thread_ts or None, "text": blocks.notice(text), "blocks": parts}
        message |= {"metadata": self._metadata(part), "unfurl_links": False, "unfurl_media": False}
        for attempt in range(4):
            await self._mark()
            try:
                posted = await self._home.slack.call("chat.postMessage", once=True, **self._where, **message)
            except Unsure:
                await asyncio.sleep(AGAIN_SECONDS * 2**attempt)
                found = [one["ts"] for one in await self._strays() if _part_of(one) == part]
                if found:
                    await self._posted(str(found[0]))
                    return
                continue
            except Gone:
                if not self._question.answer_to:
                    raise
                alone = blocks.small(ALONE)  # whoever asked by a button or a command can be told all the same
                await whisper(self._home.slack, self._question, blocks.notice(text), [*parts, alone])
                return
            await self._posted(str(posted["ts"]))
            return
        raise Unsure("chat.postMessage broke off again and again")

    async def _gone(self, ts: str) -> None:
        await self._stop(ts)
        try:
            await self._home.slack.call("chat.delete", **self._where, ts=ts)
        except Refused as refused:
            _log.warning("A message is left over: %s", refused)

    # --- what was posted, also by a process that was killed

    async def _mark(self) -> None:
        """From here on a message may stand in the thread that nobody has noted."""
        if not self._begun:
            self._begun = True
            await self._keep({"begun": True})

    async def _posted(self, ts: str) -> None:
        self._posts.append(ts)
        await self._keep({"posts": self._posts})

    async def _all_posts(self) -> list[str]:
        if self._sure:
            return list(self._posts)
        found = [str(message["ts"]) for message in await self._strays()]
        self._sure = True
        return sorted({*self._posts, *found})

    async def _strays(self) -> list[dict[str, Any]]:
        """The bot's messages in this thread that no answer is known to be shown in, but this one."""
        own: list[dict[str, Any]] = []
        method, thread = "conversations.history", {"oldest": self._question.ts, "include_all_metadata": True}
        if self._question.thread_ts:
            method, thread["ts"] = "conversations.replies", self._question.thread_ts
        async for message in self._home.slack.pages(method, "messages", **self._where, **thread):
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

    def _metadata(self, part: str) -> dict[str, Any]:
        return {"event_type": ANSWER, "event_payload": {"part": part}}


class PrivateReply:
    """An answer that only the asker sees: nothing streams, nobody can look later whether it arrived."""

    def __init__(self, home: Home, question: Question, job: Job, keep: Keep) -> None:
        self._home, self._question, self._job, self._keep = home, question, job, keep

    async def step(self, step: str, detail: str = "") -> None:
        return None

    async def add(self, text: str) -> None:
        return None

    async def drop(self) -> None:
        return None

    async def finish(self, shown: Shown) -> Sequence[str]:
        if self._job.progress.get("sent") and shown.answer_id:
            asked = blocks.notice(self._question.text)
            press = {"type": "actions", "elements": [blocks.button("show", "Show the answer", shown.answer_id)]}
            text = UNKNOWN.format(question=asked)
            section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
            await self._try(text, [section, press])
            return []
        await self._keep({"sent": True})
        try:
            await self._say(shown)
        except (Refused, Limited):  # certainly not sent
            await self._keep({"sent": False})
            raise
        return []

    async def _say(self, shown: Shown) -> None:
        pieces = split(Translator().feed(shown.whole), MESSAGE_CHARS) or ["…"]
        for at, text in enumerate(pieces):
            tail = []
            if at == len(pieces) - 1:
                tail = blocks.tail(replace(shown, offer_person=False), self._home.public_url)
                share = self._question.kind != "direct" and bool(shown.answer_id) and not shown.nothing_found
                tail += blocks.private_actions(shown.answer_id, share=share)
            await self._try(blocks.notice(text), [blocks.body(text), *tail])

    async def _try(self, text: str, parts: list[dict[str, Any]]) -> None:
        await whisper(self._home.slack, self._question, text, parts)


async def whisper(slack: SlackClient, question: Question, text: str, parts: list[dict[str, Any]]) -> None:
    """Show something to the asker alone. Raises Unreachable, Refused, Limited or Unsure."""
    if question.answer_to:
        await slack.respond(question.answer_to, {"response_type": "ephemeral", "text": text, "blocks": parts})
        return
    in_thread = question.thread_ts if question.thread_ts != question.ts else None
    await slack.call(
        "chat.postEphemeral",
        once=True,
        channel=question.channel,
        user=question.user,
        thread_ts=in_thread,
        text=text,
        blocks=parts,
    )


def _part_of(message: dict[str, Any]) -> str:
    metadata = message.get("metadata") or {}
    return str((metadata.get("event_payload") or {}).get("part", ""))
