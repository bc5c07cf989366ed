"""Slack as the desk sees it: who reads along, replies, what is said beside answers, and the jobs that are no questions."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ingest.errors import IndexBusy, IngestError
from ingest.types import LedgerEntry
from rag_bot.chat_platform.types import Keep, Question, Reply, Shown
from rag_bot.chat_state import ChatState, Job
from rag_bot.readers import PRIVATE, Person
from rag_bot.slack import blocks
from rag_bot.slack.client import Limited, Refused, SlackClient, Unsure
from rag_bot.slack.markdown import cut, to_mrkdwn
from rag_bot.slack.messages import NOTE, Home
from rag_bot.slack.people import People
from rag_bot.slack.private import PrivateReply, whisper
from rag_bot.slack.reply import ThreadReply
from rag_bot.slack.text import plain

if TYPE_CHECKING:
    from rag_bot.bot import Bot
    from rag_bot.chat_platform.desk import Desk

_log = logging.getLogger(__name__)
_UNSAFE = re.compile(r"[^\w.,()\[\] -]+")
_NOT_EVERYBODY = "Not everybody in this channel may read the sources of that answer, so that I can't share it."
CALLED = "<!subteam^{group}> <@{user}> asked something that the documents don't answer:\n> {question}"


class SlackPlatform:
    """One workspace. `desk` is set once there is one."""

    name = "slack"

    def __init__(self, bot: Bot, state: ChatState, home: Home, people: People, helpers: str) -> None:
        self._bot, self._state, self._home, self._people, self._helpers = bot, state, home, people, helpers
        self.desk: Desk | None = None

    @property
    def slack(self) -> SlackClient:
        return self._home.slack

    async def people(self, question: Question) -> Sequence[Person]:
        return await self._people.who_sees(question, self._bot.readers)

    async def opening(self, question: Question) -> str:
        thread: dict[str, Any] = {"channel": question.channel, "ts": question.thread_ts, "limit": 1}
        try:
            found = (await self.slack.read("conversations.replies", hurry=True, **thread)).get("messages") or [{}]
        except (Refused, Limited, Unsure) as error:
            _log.debug("What a thread began with is not known: %s", error)
            return ""
        first = found[0]
        if first.get("ts") != question.thread_ts or first.get("user") in (None, self._home.bot_user):
            return ""
        return plain(str(first.get("text") or ""), self._home.bot_user)

    def reply(self, question: Question, job: Job, keep: Keep) -> Reply:
        kind = PrivateReply if question.private else ThreadReply
        return kind(self._home, question, job, keep)

    async def tell(self, question: Question, text: str) -> None:
        parts = [{"type": "section", "text": {"type": "mrkdwn", "text": to_mrkdwn(text)}}]
        try:
            if question.kind != "direct":
                await whisper(self.slack, question, blocks.notice(text), parts)
                return
            metadata = {"event_type": NOTE, "event_payload": {}}
            await self.slack.call(
                "chat.postMessage",
                once=True,
                channel=question.channel,
                thread_ts=question.thread_ts,
                text=blocks.notice(text),
                blocks=parts,
                metadata=metadata,
            )
        except Unsure as error:  # better not at all than twice
            _log.info("%s", error)

    async def lasting(self, question: Question) -> None:
        """A direct message's thread gets its first question as a title."""
        if question.kind != "direct" or question.thread_ts != question.ts:
            return
        title: dict[str, Any] = {
            "channel_id": question.channel,
            "thread_ts": question.thread_ts,
            "title": cut(question.text, 100),
        }
        try:
            await self.slack.call("assistant.threads.setTitle", hurry=True, **title)
        except (Refused, Limited, Unsure) as error:
            _log.debug("No title: %s", error)

    # --- jobs that are no questions

    async def handle(self, job: Job, keep: Keep) -> None:
        question = Question.of(job.payload["question"])
        reply = ThreadReply(self._home, question, job, keep)
        if job.kind == "files":
            text = await self._take_files(question, job.payload["files"])
            await reply.finish(Shown(text, "", feedback=False))
        elif job.kind == "save":
            text = await self._save(question, str(job.payload["title"]), str(job.payload["answer"]))
            await reply.finish(Shown(text, "", feedback=False))
        elif job.kind == "ask_person":
            await self._call_in(question, reply)
        elif job.kind == "share":
            await self._share(question, str(job.payload["answer_id"]), reply)
        else:
            _log.error("Nobody knows what a job %r is.", job.kind)

    async def _take_files(self, question: Question, files: Sequence[Mapping[str, Any]]) -> str:
        """Take files in for their owner alone, and say what the ledger says."""
        lines = []
        for file in files[:10]:
            name = safe_name(str(file.get("name") or file.get("id") or "file"))
            entry = await self._take_file(f"{PRIVATE.partition(':')[2]}{question.person_key}/{name}", file)
            lines.append(f"- {_in_code(name)}: {_ledger(entry)}")
        if len(files) > 10:
            lines.append(f"- {len(files) - 10} more were left out: send ten at a time.")
        lines.append("\nOnly you can ask about what you send me here.")
        return "\n".join(lines)

    async def _take_file(self, source: str, file: Mapping[str, Any]) -> LedgerEntry:
        most = self._bot.settings.max_file_bytes
        try:
            if file.get("file_access") == "check_file_info":  # of another organisation: the rest must be asked for
                file = (await self.slack.read("files.info", file=file["id"]))["file"]
            if int(file.get("size") or 0) > most:
                raise ValueError(f"it is larger than the limit ({most:,} bytes)")
            url = str(file.get("url_private_download") or file.get("url_private") or "")
            data = await self.slack.download(url, most)
            return await self._bot.upload(source, data)
        except (ValueError, Refused) as error:
            return LedgerEntry(source, None, "failed", str(error))
        except IndexBusy:
            raise  # another program writes: it is tried again
        except IngestError as error:
            return LedgerEntry(source, None, "failed", f"{error} {error.hint}".strip())

    async def _save(self, question: Question, title: str, text: str) -> str:
        """Save what people answered in a thread; from a closed channel it is for that channel alone."""
        name = f"{safe_name(cut(title, 80)).strip('. ') or 'answer'} {question.thread_ts.partition('.')[0]}.md"
        open_to_all = question.kind == "open" and not await self._people.closed(question.channel)
        folder = "slack/answers" if open_to_all else f"{PRIVATE.partition(':')[2]}{question.channel_key}"
        entry = await self._bot.upload(f"{folder}/{name}", f"# {title}\n\n{text}\n".encode())
        readers = "everybody" if open_to_all else "this channel"
        return f"The answer is saved as a document for {readers}: {_ledger(entry)}."

    async def _call_in(self, question: Question, reply: ThreadReply) -> None:
        """Call in the people who may know."""
        asked = to_mrkdwn(cut(question.text, 1000))
        text = CALLED.format(group=self._helpers, user=question.user, question=asked.replace("\n", " "))
        section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
        save = {
            "type": "actions",
            "elements": [blocks.button("save", "Save the answer as a document", cut(question.text, 500))],
        }
        await reply.put(cut(f"Somebody asked: {question.text}", 200), [section, save])

    async def _share(self, question: Question, answer_id: str, reply: ThreadReply) -> None:
        """Show everybody in the channel what one person was answered, if all of them may read its sources."""
        assert self.desk
        kept = await self.desk.call(self._state.answer, answer_id)
        if kept is None or kept.asker != question.person_key:
            return
        if not await self.desk.may_show(kept.answer, question):
            await self.tell(question, _NOT_EVERYBODY)
            return
        shown = await self.desk.shown(kept.answer, question)
        asked = f"> {cut(kept.asked, 500)}\n\n"
        posts = await reply.finish(replace(shown, before=asked, notes=(), offer_person=False))
        await self.desk.call(self._state.posted, answer_id, [f"{question.channel_key}/{ts}" for ts in posts])


def safe_name(name: str) -> str:
    """A file's name without what names of folders and odd signs would do to it."""
    name = PurePosixPath(name.replace("\\", "/")).name
    return _UNSAFE.sub("_", name).strip()[:180] or "file"


def _in_code(text: str) -> str:
    return "`" + text.replace("`", "'") + "`"


def _ledger(entry: LedgerEntry) -> str:
    if entry.status in ("failed", "quarantined"):
        return f"{entry.status}: {entry.reason}"
    passages = "1 passage" if entry.chunks == 1 else f"{entry.chunks} passages"
    return f"{entry.status}, {passages}" + (f"; {entry.reason}" if entry.reason else "")
