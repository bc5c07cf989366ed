"""What only one person sees: an answer, or a word beside one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag_bot.chat_platform.pieces import split
from rag_bot.chat_platform.types import ALONE, Keep, Question, Shown, Unreachable
from rag_bot.chat_state import Job
from rag_bot.slack import blocks
from rag_bot.slack.client import Gone, Limited, Refused, SlackClient
from rag_bot.slack.markdown import Translator

if TYPE_CHECKING:
    from rag_bot.slack.messages import Home

UNKNOWN = "I was interrupted while I answered. If you see no answer to “{question}”, press the button."


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
        slack, question = self._home.slack, self._question
        if self._job.progress.get("sent") and shown.answer_id:
            text = UNKNOWN.format(question=blocks.notice(question.text))
            press = {"type": "actions", "elements": [blocks.button("show", "Show the answer", shown.answer_id)]}
            await whisper(slack, question, text, [blocks.section(text), press])
            return []
        await self._keep({"sent": True})
        try:
            await show_privately(slack, question, shown, self._home.public_url)
        except (Refused, Limited):  # certainly not sent
            await self._keep({"sent": False})
            raise
        return []


async def show_privately(slack: SlackClient, question: Question, shown: Shown, public_url: str) -> None:
    """Show the asker an answer with its sources, in as many messages as it takes."""
    *before, last = split(Translator().feed(shown.whole), blocks.MESSAGE_CHARS) or ["…"]
    for text in before:
        await whisper(slack, question, blocks.notice(text), [blocks.body(text)])
    tail = blocks.tail(replace(shown, offer_person=False), public_url)
    share = question.kind != "direct" and bool(shown.answer_id) and not shown.nothing_found
    tail += blocks.private_actions(shown.answer_id, share=share)
    await whisper(slack, question, blocks.notice(last), [blocks.body(last), *tail])


async def whisper(slack: SlackClient, question: Question, text: str, parts: list[dict[str, Any]]) -> None:
    """Show something to the asker alone. Raises Unreachable, Refused, Limited or Unsure."""
    message: dict[str, Any] = {"text": text, "blocks": parts}
    if question.answer_to:
        try:
            await slack.respond(question.answer_to, {"response_type": "ephemeral", **message})
            return
        except Unreachable:  # such an address takes five messages in half an hour
            pass
    in_thread = question.thread_ts if question.thread_ts not in (question.ts, ALONE, "") else None
    here: dict[str, Any] = {"channel": question.channel, "user": question.user, "thread_ts": in_thread}
    try:
        await slack.call("chat.postEphemeral", once=True, **here, **message)
    except Gone:
        if not question.answer_to:
            raise
        # Where the bot is no member, what was asked by a command or a button is answered in a direct message.
        await slack.call("chat.postMessage", once=True, channel=question.user, **message)
