"""One answer in Slack: streamed sentence by sentence where that can be, else posted whole; never twice, never in part."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from rag_bot.chat_platform.pieces import split
from rag_bot.chat_platform.types import Keep, Question, Shown
from rag_bot.chat_state import Job
from rag_bot.slack import blocks
from rag_bot.slack.blocks import MESSAGE_CHARS
from rag_bot.slack.client import Gone, Limited, Refused, Unsure
from rag_bot.slack.markdown import Translator
from rag_bot.slack.messages import ENDED, STOPPED, Home, Messages

_log = logging.getLogger(__name__)

GAP_SECONDS = 0.7
"""Between two appends: Slack takes about a hundred a minute."""
UPDATE_SECONDS = 1.5
_STATUS = {"search": "is searching the documents…", "read": "is reading what was found…", "answer": "is answering…"}
_CARDS = {"search": "Search the documents", "read": "Read what was found", "answer": "Answer, with proof"}


class ThreadReply:
    """An answer in a thread that everybody there sees.

    While it streams, `_texts` holds what each message shows for certain. When Slack ends a stream, or a call breaks off so
    that nobody knows what is shown, streaming stops, and the messages are written anew from the whole text.
    """

    def __init__(self, home: Home, question: Question, job: Job, keep: Keep) -> None:
        self._home, self._question, self._job = home, question, job
        self._messages = Messages(home, question, job, keep)
        self._live = not self._messages.begun
        self._open = self._stopped = self._halted = self._told = False
        self._texts: list[str] = []
        self._buffer, self._due, self._ends = "", 0.0, 0.0
        self._cards: dict[str, dict[str, Any]] = {}
        self._translator = Translator()

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
        for ts in await self._messages.all():
            await self._messages.gone(ts)
        if self._told:
            await self._status("")

    async def finish(self, shown: Shown) -> Sequence[str]:
        if self._stopped:  # whoever asked has pressed Stop: what stands there is enough
            return self._messages.posts
        tail = blocks.tail(shown, self._home.public_url)
        whole = Translator().feed(shown.whole)
        if self._open and await self._close(whole, tail):
            return self._messages.posts
        await self._messages.write(split(whole, MESSAGE_CHARS) or ["…"], tail)
        return self._messages.posts

    async def put(self, text: str, parts: list[dict[str, Any]]) -> Sequence[str]:
        """One message of blocks, posted once."""
        return await self._messages.put(text, parts)

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
            await self._messages.mark()
            begun = await self._home.slack.call(
                "chat.startStream",
                once=True,
                hurry=True,
                **self._messages.where,
                thread_ts=self._question.thread_ts,
                recipient_user_id=self._question.user,
                recipient_team_id=self._question.user_team or self._question.team,
                task_display_mode="timeline",
                chunks=chunks,
            )
        except (Refused, Limited, Unsure) as error:
            self._messages.sure = self._messages.sure and not isinstance(error, Unsure)
            self._live, self._buffer = False, text
            if isinstance(error, Gone) and not self._question.answer_to:
                raise
            return
        self._open, self._texts = True, [*self._texts, text]
        self._ends = self._home.clock() + self._home.roll_seconds
        self._due = self._home.clock() + GAP_SECONDS if text else 0.0
        await self._messages.posted(str(begun["ts"]))

    async def _flush(self) -> None:
        if not self._buffer or self._stopped:
            return
        if not self._open:
            if self._messages.posts and not self._live:
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
                "chat.appendStream", once=True, hurry=True, **self._messages.where, ts=self._messages.posts[-1], chunks=chunks
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
            await self._home.slack.call("chat.stopStream", **self._messages.where, ts=self._messages.posts[-1])
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
        self._stopped = isinstance(error, Refused) and error.error == STOPPED
        self._open = self._live = False
        if not self._stopped:
            _log.info("A stream in %s has ended: %s", self._question.channel, error)

    async def _update(self) -> None:
        """In place of a stream that has ended: the message with all there is so far."""
        self._texts[-1:] = [self._texts[-1] + self._buffer] if self._texts else [self._buffer]
        self._buffer = ""
        text = self._texts[-1]
        if len(text) > MESSAGE_CHARS or not self._messages.sure:
            return
        self._due = self._home.clock() + UPDATE_SECONDS
        try:
            if not self._halted:
                self._halted = True
                await self._messages.stop(self._messages.posts[-1])
            await self._home.slack.call(
                "chat.update",
                hurry=True,
                **self._messages.where,
                ts=self._messages.posts[-1],
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
                **self._messages.where,
                ts=self._messages.posts[-1],
                chunks=chunks,
                blocks=tail,
                metadata=self._messages.metadata(str(self._job.id)),
            )
        except (Refused, Limited, Unsure) as error:
            if isinstance(error, Gone) and error.error not in ENDED:
                raise
            self._broken(error)
            return self._stopped
        self._open = False
        return True

    def _last_cards(self) -> list[dict[str, Any]]:
        return list(self._cards.values()) if len(self._messages.posts) == 1 else []
