"""What chat platforms need to be remembered: events taken, threads and who works on them, answers, feedback, settings.

Everything stands in the conversations' database, so that it holds over restarts and for several processes at once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rag_bot.chat_tables import answers as _answers
from rag_bot.chat_tables import channels as _channels
from rag_bot.chat_tables import feedback as _feedback
from rag_bot.chat_tables import jobs as _jobs
from rag_bot.chat_tables import posts as _posts
from rag_bot.chat_tables import seen as _seen
from rag_bot.chat_tables import threads as _threads
from rag_bot.memory import Memory, SavedTurn, now, plain
from rag_bot.types import Answer

KEPT_SECONDS = 7 * 24 * 3600
"""How long it is remembered that an event was taken; the last retry of a platform comes far earlier."""

State = Literal["waiting", "parked", "done"]


class LeaseLost(Exception):
    """Another process has taken the thread over; whatever this one still does of it must not be kept."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done in a thread: what came in (`payload`), and how far whoever had it before got (`progress`)."""

    id: int
    thread: str
    kind: str
    attempts: int
    payload: Mapping[str, Any]
    progress: Mapping[str, Any]
    holder: str


@dataclass(frozen=True, slots=True)
class Thread:
    """What is known of a thread: whether the bot takes part, and who spoke last and to whom (never what was said).

    `since` is the position of what first called the bot in, as long as that is known.
    """

    joined: bool = False
    last_ts: str = ""
    last_speaker: str = ""
    last_to_bot: bool = False
    since: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given, with the question. `answer` is the public answer object, and whether it is `personal`."""

    answer_id: str
    thread: str
    channel: str
    asker: str
    asked: str
    answer: Mapping[str, Any]
    at: str


class ChatState:
    """Safe to call from several threads; every call is one transaction. Raises StateError where the database fails."""

    def __init__(self, memory: Memory, clock: Callable[[], float] = time.time) -> None:
        self._memory, self._clock = memory, clock

    def open(self) -> None:
        """Open the database; does nothing when that has been done."""
        self._memory.open()

    def transaction(self) -> Any:
        return self._memory.transaction(translate=False)

    # --- what comes in

    def accept(
        self,
        keys: Sequence[str],
        kind: str,
        thread: str,
        position: str,
        payload: Mapping[str, Any],
        *,
        state: State = "waiting",
        wait: float = 0.0,
    ) -> bool:
        """Take something on for good; False when one of its `keys` was taken before. `wait` is in seconds."""
        at = self._clock()
        self._thread_row(thread)
        try:
            with self.transaction() as connection:
                connection.execute(sa.insert(_seen), [{"key": key, "at": at} for key in keys])
                row = {"thread": thread, "position": position, "kind": kind, "state": state, "due": at + wait, "at": at}
                connection.execute(sa.insert(_jobs).values(**row, attempts=0, payload=dict(payload), progress={}))
        except IntegrityError:
            return False
        return True

    def _thread_row(self, thread: str) -> None:
        with self.transaction() as connection:
            if connection.execute(sa.select(_threads.c.thread).where(_threads.c.thread == thread)).one_or_none():
                return
        try:
            with self.transaction() as connection:
                connection.execute(sa.insert(_threads).values(thread=thread))
        except IntegrityError:
            pass  # another process was first

    # --- threads

    def thread(self, thread: str) -> Thread:
        columns = _threads.c
        query = sa.select(columns.joined, columns.last_ts, columns.last_speaker, columns.last_to_bot)
        with self.transaction() as connection:
            row = connection.execute(query.where(columns.thread == thread)).one_or_none()
            asked = (_jobs.c.thread == thread, _jobs.c.kind == "question", _jobs.c.state != "parked")
            since = connection.execute(sa.select(sa.func.min(_jobs.c.position)).where(*asked)).scalar()
        return Thread(row.joined, row.last_ts, row.last_speaker, row.last_to_bot, since or "") if row else Thread()

    def join(self, thread: str, position: str = "") -> None:
        """The bot takes part from `position` on; what came after it, and was put by until this was known, is to be done now."""
        self._thread_row(thread)
        with self.transaction() as connection:
            connection.execute(sa.update(_threads).where(_threads.c.thread == thread).values(joined=True))
            later = (_jobs.c.state == "parked", _jobs.c.position > position)
            parked = sa.update(_jobs).where(_jobs.c.thread == thread, *later)
            connection.execute(parked.values(state="waiting", due=self._clock()))

    def spoke(self, thread: str, ts: str, speaker: str, *, to_bot: bool) -> None:
        """Note who spoke last; what was said earlier than that changes nothing."""
        change = sa.update(_threads).where(_threads.c.thread == thread, _threads.c.last_ts < ts)
        with self.transaction() as connection:
            connection.execute(change.values(last_ts=ts, last_speaker=speaker, last_to_bot=to_bot))

    # --- work

    def take(self, seconds: float) -> Job | None:
        """The next job of a thread that nobody works on, the thread leased for so many seconds; None if there is none."""
        at, jobs, threads = self._clock(), _jobs.c, _threads.c
        free = (
            sa.select(jobs.thread)
            .join(_threads, threads.thread == jobs.thread)
            .where(jobs.state == "waiting", jobs.due <= at, threads.until < at)
            .group_by(jobs.thread)
            .order_by(sa.func.min(jobs.id))
            .limit(8)
        )
        first = sa.select(_jobs).where(jobs.state == "waiting").order_by(jobs.position, jobs.id).limit(1)
        with self.transaction() as connection:
            found = connection.execute(free).scalars().all()
        for thread in found:
            holder = secrets.token_urlsafe(12)
            lease = sa.update(_threads).where(threads.thread == thread, threads.until < at)
            with self.transaction() as connection:
                if not connection.execute(lease.values(holder=holder, until=at + seconds)).rowcount:
                    continue
                row = connection.execute(first.where(jobs.thread == thread)).one_or_none()
                if row is None or row.due > at:  # done meanwhile, or the thread's first one is not due yet
                    connection.execute(sa.update(_threads).where(threads.thread == thread).values(holder="", until=0.0))
                    continue
                connection.execute(sa.update(_jobs).where(jobs.id == row.id).values(attempts=row.attempts + 1))
            return Job(row.id, row.thread, row.kind, row.attempts + 1, row.payload, row.progress, holder)
        return None

    def renew(self, job: Job, seconds: float) -> None:
        """Keep the thread. Raises LeaseLost."""
        change = sa.update(_threads).where(_threads.c.thread == job.thread, _threads.c.holder == job.holder)
        with self.transaction() as connection:
            if not connection.execute(change.values(until=self._clock() + seconds)).rowcount:
                raise LeaseLost(job.thread)

    def progress(self, job: Job, progress: Mapping[str, Any]) -> None:
        """Remember how far a job has come. Raises LeaseLost."""
        with self.transaction() as connection:
            self._hold(connection, job)
            connection.execute(sa.update(_jobs).where(_jobs.c.id == job.id).values(progress=dict(progress)))

    def done(self, job: Job) -> None:
        """The job is done, and the thread free; what came in is not needed any more. Raises LeaseLost."""
        with self.transaction() as connection:
            self._hold(connection, job)
            change = sa.update(_jobs).where(_jobs.c.id == job.id)
            connection.execute(change.values(state="done", payload={}, progress={}))
            self._free(connection, job)

    def later(self, job: Job, seconds: float) -> None:
        """Give the job back, to be done after so many seconds. Raises LeaseLost."""
        with self.transaction() as connection:
            self._hold(connection, job)
            connection.execute(sa.update(_jobs).where(_jobs.c.id == job.id).values(due=self._clock() + seconds))
            self._free(connection, job)

    def waiting(self) -> int:
        """How many jobs there are to do."""
        with self.transaction() as connection:
            count = sa.select(sa.func.count()).select_from(_jobs).where(_jobs.c.state == "waiting")
            return int(connection.execute(count).scalar() or 0)

    def tidy(self) -> None:
        """Forget what was put by for nothing, and events so old that they won't come again."""
        at = self._clock()
        with self.transaction() as connection:
            connection.execute(sa.delete(_jobs).where(_jobs.c.state == "parked", _jobs.c.due < at))
            connection.execute(sa.delete(_jobs).where(_jobs.c.state == "done", _jobs.c.at < at - KEPT_SECONDS))
            connection.execute(sa.delete(_seen).where(_seen.c.at < at - KEPT_SECONDS))

    @staticmethod
    def _hold(connection: Any, job: Job) -> None:
        # An update that changes nothing locks the row: nobody takes the thread between this and what follows.
        held = sa.update(_threads).where(_threads.c.thread == job.thread, _threads.c.holder == job.holder)
        if not connection.execute(held.values(holder=job.holder)).rowcount:
            raise LeaseLost(job.thread)

    @staticmethod
    def _free(connection: Any, job: Job) -> None:
        connection.execute(sa.update(_threads).where(_threads.c.thread == job.thread).values(holder="", until=0.0))

    # --- answers

    def keep(
        self, answer: Answer, asked: str, *, thread: str, position: str, channel: str, asker: str, personal: bool = False
    ) -> None:
        """Keep an answer with its question: the receipt that feedback is stored with, and what a follow-up leans on.

        `personal`: it was made for people who see personal data that others don't.
        """
        kept = answer.as_dict() | ({"personal": True} if personal else {})
        row = {"thread": thread, "position": position, "channel": channel, "asker": asker, "asked": plain(asked)}
        with self.transaction() as connection:
            same = (_answers.c.thread == thread, _answers.c.position == position)  # made before the process was killed
            connection.execute(sa.delete(_answers).where(*same))
            connection.execute(sa.insert(_answers).values(answer_id=answer.answer_id, answer_object=kept, at=now(), **row))

    def posted(self, answer_id: str, posts: Sequence[str]) -> None:
        """These messages show that answer."""
        with self.transaction() as connection:
            connection.execute(sa.delete(_posts).where(_posts.c.post.in_(posts)))
            if posts:
                connection.execute(sa.insert(_posts), [{"post": post, "answer_id": answer_id} for post in posts])

    def known_posts(self, posts: Sequence[str]) -> set[str]:
        """Those of some messages that show an answer."""
        with self.transaction() as connection:
            return set(connection.execute(sa.select(_posts.c.post).where(_posts.c.post.in_(posts))).scalars())

    def shown_in(self, post: str) -> Kept | None:
        """The answer that a message shows."""
        query = sa.select(_answers).join(_posts, _posts.c.answer_id == _answers.c.answer_id).where(_posts.c.post == post)
        return self._one(query)

    def answer(self, answer_id: str) -> Kept | None:
        return self._one(sa.select(_answers).where(_answers.c.answer_id == answer_id))

    def turns(self, thread: str, before: str, limit: int = 6) -> list[Kept]:
        """The last answers of a thread to what was asked before, oldest first."""
        query = sa.select(_answers).where(_answers.c.thread == thread, _answers.c.position < before)
        return list(reversed(self._all(query.order_by(_answers.c.position.desc()).limit(limit))))

    def recent(self, asker: str, limit: int = 5) -> list[Kept]:
        """What somebody asked last, newest first."""
        query = sa.select(_answers).where(_answers.c.asker == asker).order_by(_answers.c.at.desc()).limit(limit)
        return self._all(query)

    def history(self, since: datetime | None = None, limit: int = 5_000) -> list[SavedTurn]:
        """The last answers, oldest first, as `Memory.history` gives those of conversations. The thumb is most people's."""
        columns = _answers.c
        given = sa.select(_feedback.c.answer_id, sa.func.sum(_feedback.c.thumb).label("sum")).group_by(_feedback.c.answer_id)
        thumbs = given.subquery()
        query = (
            sa.select(columns.asked, columns.answer_object, columns.at, thumbs.c.sum)
            .outerjoin(thumbs, thumbs.c.answer_id == columns.answer_id)
            .order_by(columns.at.desc(), columns.answer_id)
            .limit(limit)
        )
        if since is not None:
            query = query.where(columns.at >= since.astimezone(UTC).isoformat(timespec="microseconds"))
        with self.transaction() as connection:
            rows = connection.execute(query).all()
        found = [SavedTurn(r.asked, r.answer_object, r.at, None if not r.sum else 1 if r.sum > 0 else -1) for r in rows]
        return found[::-1]

    def _one(self, query: Any) -> Kept | None:
        return next(iter(self._all(query)), None)

    def _all(self, query: Any) -> list[Kept]:
        with self.transaction() as connection:
            rows = connection.execute(query).all()
        return [Kept(r.answer_id, r.thread, r.channel, r.asker, r.asked, r.answer_object, r.at) for r in rows]

    # --- feedback and settings

    def feedback(
        self, answer_id: str, person: str, thumb: int, reason: str | None = None, right_source: str | None = None
    ) -> None:
        """Keep what somebody says of an answer; everybody's last word counts, and 0 takes it back."""
        mine = (_feedback.c.answer_id == answer_id, _feedback.c.person == person)
        row = {"thumb": thumb, "reason": reason and plain(reason), "right_source": right_source and plain(right_source)}
        with self.transaction() as connection:
            connection.execute(sa.update(_answers).where(_answers.c.answer_id == answer_id).values(answer_id=answer_id))
            connection.execute(sa.delete(_feedback).where(*mine))
            if thumb:
                connection.execute(sa.insert(_feedback).values(answer_id=answer_id, person=person, at=now(), **row))

    def thumbs(self, answer_id: str) -> dict[str, tuple[int, str | None, str | None]]:
        """Person to thumb, reason and right source."""
        columns = _feedback.c
        query = sa.select(columns.person, columns.thumb, columns.reason, columns.right_source)
        with self.transaction() as connection:
            rows = connection.execute(query.where(columns.answer_id == answer_id)).all()
        return {row.person: (row.thumb, row.reason, row.right_source) for row in rows}

    def channel(self, channel: str) -> Mapping[str, Any]:
        """A channel's settings as they were stored; empty where there are none."""
        with self.transaction() as connection:
            row = connection.execute(sa.select(_channels.c.settings).where(_channels.c.channel == channel)).one_or_none()
        return dict(row[0]) if row else {}

    def configured(self) -> dict[str, Mapping[str, Any]]:
        """Every channel that has settings."""
        with self.transaction() as connection:
            rows = connection.execute(sa.select(_channels.c.channel, _channels.c.settings).order_by(_channels.c.channel))
            return {row.channel: dict(row.settings) for row in rows}

    def configure(self, channel: str, settings: Mapping[str, Any], person: str) -> None:
        row = {"channel": channel, "settings": dict(settings), "changed_by": person, "at": now()}
        try:
            self._configure(row)
        except IntegrityError:  # two at once made the row: the second finds it there
            self._configure(row)

    def _configure(self, row: Mapping[str, Any]) -> None:
        with self.transaction() as connection:
            connection.execute(sa.delete(_channels).where(_channels.c.channel == row["channel"]))
            connection.execute(sa.insert(_channels).values(**row))


def history(memory: Memory, since: datetime | None = None, limit: int = 5_000) -> list[SavedTurn]:
    """The last questions wherever they were asked, oldest first: in conversations and on chat platforms."""
    turns = [*memory.history(since, limit), *ChatState(memory).history(since, limit)]
    return sorted(turns, key=lambda turn: turn.at)[-limit:]
