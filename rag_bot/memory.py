"""Conversations, feedback and what LLMs took, kept in a SQL database: SQLite by default, PostgreSQL for several machines."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rag_bot.database import Database
from rag_bot.errors import NotFound
from rag_bot.tables import conversations as _conversations
from rag_bot.tables import feedback as _feedback
from rag_bot.tables import turns as _turns
from rag_bot.tables import usage as _usage
from rag_bot.types import Answer, Turn, Usage

if TYPE_CHECKING:
    from rag_bot.settings import Settings

TITLE_CHARS = 80

UsageBy = Literal["day", "model", "conversation", "key", "all"]


@dataclass(frozen=True, slots=True)
class Spending:
    """What LLMs took for one day (UTC), model, conversation or key, or in all: `name` says which, empty where there is none.

    `cost` is in US dollars, `answers` the number of answers that tokens were taken for.
    """

    name: str
    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """One line of the list of conversations. Times are ISO 8601, UTC."""

    id: str
    title: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class SavedTurn:
    """A question as it was asked, its whole answer object, and the thumb it was given (1, -1 or None)."""

    question: str
    answer: Mapping[str, Any]
    at: str
    thumb: int | None = None


@dataclass(frozen=True, slots=True)
class SavedConversation:
    """A conversation with all its turns, oldest first."""

    conversation: Conversation
    turns: tuple[SavedTurn, ...]


class Memory:
    """What the bot remembers. Safe to call from several threads; every call is one transaction.

    Whatever goes wrong with the database is a `StateError`. Where an `owner` is given, another's conversation is none.
    """

    def __init__(self, database: Database | str) -> None:
        self.database = Database(database) if isinstance(database, str) else database

    @classmethod
    def of(cls, settings: Settings) -> Memory:
        """The memory that the settings name."""
        return cls(Database(settings.state_url, migrate=settings.state_migrate == "on"))

    def open(self) -> None:
        """Connect and bring the tables up to date; does nothing when that has been done."""
        self.database.open()

    def start(self) -> str:
        """The id of a new conversation: url-safe and not to be guessed. It is stored with its first answer."""
        self.open()
        return secrets.token_urlsafe(16)

    def turns(self, conversation_id: str, limit: int = 6, owner: str | None = None) -> list[Turn]:
        """The last turns of a conversation, oldest first, without those that a rail refused. Raises `NotFound`."""
        columns = _turns.c
        newest = (
            sa.select(columns.asked, columns.answer, columns.standalone, columns.abstained, columns.answer_object)
            .where(columns.conversation_id == conversation_id)
            .order_by(columns.position.desc())
            .limit(limit)
        )
        with self.transaction() as connection:
            _find(connection, conversation_id, owner)
            rows = connection.execute(newest).all()
        return [
            Turn(
                row.asked,
                row.answer,
                row.standalone,
                row.abstained,
                tuple(dict.fromkeys(c["document_id"] for c in row.answer_object["citations"])),
            )
            for row in reversed(rows)
            if not row.answer_object["blocked"]
        ]

    def save(
        self,
        asked: str,
        answer: Answer,
        *,
        new: bool = True,
        owner: str | None = None,
        spent: Mapping[str, Usage] = MappingProxyType({}),
    ) -> None:
        """Keep an answer as the next turn of its conversation, with what each LLM took for it (`spent`); a conversation that
        isn't there is made if it is `new`.

        Raises `NotFound` if it isn't: it was deleted while the answer was made. Nothing is kept then.
        """
        try:
            self._save(asked, answer, new, owner, spent)
        except IntegrityError:
            # Two answers made the same new conversation at once; the second finds it there.
            with self.database.translated():
                self._save(asked, answer, new, owner, spent)

    def conversations(self, limit: int = 50, before: str | None = None, owner: str | None = None) -> list[Conversation]:
        """Conversations, last used first; `before` is the `updated_at` of the last one seen, to go on from there."""
        columns = _conversations.c
        query = sa.select(_conversations).where(_owned(owner)).order_by(columns.updated_at.desc(), columns.id).limit(limit)
        if before is not None:
            query = query.where(columns.updated_at < before)
        with self.transaction() as connection:
            return [_conversation(row) for row in connection.execute(query)]

    def conversation(self, conversation_id: str, owner: str | None = None) -> SavedConversation:
        """A conversation with all its turns. Raises `NotFound`."""
        query = (
            sa.select(_turns.c.asked, _turns.c.answer_object, _turns.c.at, _feedback.c.thumb)
            .outerjoin(_feedback, _feedback.c.answer_id == _turns.c.answer_id)
            .where(_turns.c.conversation_id == conversation_id)
            .order_by(_turns.c.position)
        )
        with self.transaction() as connection:
            found = _find(connection, conversation_id, owner)
            rows = connection.execute(query).all()
        return SavedConversation(found, tuple(SavedTurn(row.asked, row.answer_object, row.at, row.thumb) for row in rows))

    def history(self, since: datetime | None = None, limit: int = 5_000) -> list[SavedTurn]:
        """The last turns of all conversations, oldest first; since a moment, or ever."""
        columns = _turns.c
        query = (
            sa.select(columns.asked, columns.answer_object, columns.at, _feedback.c.thumb)
            .outerjoin(_feedback, _feedback.c.answer_id == columns.answer_id)
            .order_by(columns.at.desc(), columns.id.desc())
            .limit(limit)
        )
        if since is not None:
            query = query.where(columns.at >= since.astimezone(UTC).isoformat(timespec="microseconds"))
        with self.transaction() as connection:
            rows = connection.execute(query).all()
        return [SavedTurn(row.asked, row.answer_object, row.at, row.thumb) for row in reversed(rows)]

    def rename(self, conversation_id: str, title: str, owner: str | None = None) -> Conversation:
        """Give a conversation another title. Raises `NotFound`."""
        change = sa.update(_conversations).where(_conversations.c.id == conversation_id).values(title=plain(title))
        with self.transaction() as connection:
            _find(connection, conversation_id, owner)
            connection.execute(change)
            return _find(connection, conversation_id)

    def delete(self, conversation_id: str, owner: str | None = None) -> None:
        """Forget a conversation with its turns and their feedback. Raises `NotFound`."""
        with self.transaction() as connection:
            _find(connection, conversation_id, owner)
            if not connection.execute(sa.delete(_conversations).where(_conversations.c.id == conversation_id)).rowcount:
                raise _unknown(conversation_id)

    def feedback(
        self, answer_id: str, thumb: int, reason: str | None = None, right_source: str | None = None, owner: str | None = None
    ) -> None:
        """Keep what a person says of an answer; the last word counts. Raises `NotFound`."""
        values = {
            "thumb": thumb,
            "reason": plain(reason) if reason is not None else None,
            "right_source": plain(right_source) if right_source is not None else None,
            "at": now(),
        }
        with self.transaction() as connection:
            # Deleting and writing in one transaction that first locks the answer's row: two thumbs at once don't collide.
            locked = sa.update(_turns).where(_turns.c.answer_id == answer_id).values(answer_id=answer_id)
            if owner is not None:
                # Of the one conversation: a list of all of one's own is only made where the answer is, though another's.
                own = sa.exists().where(_conversations.c.id == _turns.c.conversation_id, _owned(owner))
                locked = locked.where(own)
            if not connection.execute(locked).rowcount:
                raise NotFound(f"There is no answer {answer_id!r}.", "Use the answer_id of a kept answer.")
            connection.execute(sa.delete(_feedback).where(_feedback.c.answer_id == answer_id))
            connection.execute(sa.insert(_feedback).values(answer_id=answer_id, **values))

    def spent(self, answer_id: str, by_model: Mapping[str, Usage], conversation_id: str = "", key: str = "") -> None:
        """Keep what each LLM took for an answer. `conversation_id` is empty where the caller keeps the conversation."""
        rows = _spendings(answer_id, by_model, conversation_id, key)
        if rows:
            with self.transaction(often=True) as connection:
                connection.execute(sa.insert(_usage), rows)

    def spent_since(self, key: str, since: date) -> tuple[int, float]:
        """The tokens and the US dollars that LLMs took for a key since the beginning of a day (UTC)."""
        columns = _usage.c
        tokens, cost = sa.func.sum(columns.prompt_tokens + columns.completion_tokens), sa.func.sum(columns.cost)
        query = sa.select(tokens, cost).where(columns.key == key, columns.day >= since.isoformat())
        with self.transaction() as connection:
            row = connection.execute(query).one()
        return int(row[0] or 0), float(row[1] or 0.0)

    def usage(self, by: UsageBy = "day", since: date | None = None) -> list[Spending]:
        """What was spent, since the beginning of a day (UTC) or ever: days in order, else the dearest first."""
        columns = _usage.c
        names = {"day": columns.day, "model": columns.model, "conversation": columns.conversation_id, "key": columns.key}
        name = names.get(by, sa.literal(""))
        cost, completion = sa.func.sum(columns.cost), sa.func.sum(columns.completion_tokens)
        answers, prompt = sa.func.count(columns.answer_id.distinct()), sa.func.sum(columns.prompt_tokens)
        query = sa.select(name, answers, prompt, completion, cost).having(sa.func.count() > 0)
        query = query.group_by(name) if by in names else query
        query = query.order_by(name) if by == "day" else query.order_by(cost.desc(), completion.desc(), name)
        if since is not None:
            query = query.where(columns.day >= since.isoformat())
        with self.transaction() as connection:
            return [Spending(*row) for row in connection.execute(query)]

    def close(self) -> None:
        """Let go of the database; a later call opens it again."""
        self.database.close()

    def _save(self, asked: str, answer: Answer, new: bool, owner: str | None, spent: Mapping[str, Usage]) -> None:
        at, asked = now(), plain(asked)
        key = plain(answer.conversation_id)
        with self.transaction(translate=False, often=True) as connection:
            # The update comes first because it locks: turns of one conversation are then numbered one after another.
            touched = sa.update(_conversations).where(_conversations.c.id == key, _owned(owner)).values(updated_at=at)
            if not connection.execute(touched).rowcount:
                if not new:
                    raise NotFound(f"There is no conversation {key!r}.", "Begin a new one.")
                row = {"id": key, "title": _title(asked), "created_at": at, "updated_at": at, "owner": owner or ""}
                connection.execute(sa.insert(_conversations).values(row))
            last = sa.select(sa.func.max(_turns.c.position)).where(_turns.c.conversation_id == key)
            position = connection.execute(last).scalar()
            connection.execute(
                sa.insert(_turns).values(
                    conversation_id=key,
                    position=0 if position is None else position + 1,
                    answer_id=answer.answer_id,
                    asked=asked,
                    standalone=plain(answer.question),
                    answer=plain(answer.answer),
                    abstained=answer.abstained,
                    answer_object=answer.as_dict(),
                    at=at,
                )
            )
            if rows := _spendings(answer.answer_id, spent, key, owner or ""):
                connection.execute(sa.insert(_usage), rows)

    def transaction(self, *, translate: bool = True, often: bool = False) -> AbstractContextManager[sa.Connection]:
        """One transaction on the database, also for tables that others keep there: see `Database.transaction`."""
        return self.database.transaction(translate=translate, often=often)


def _spendings(answer_id: str, by_model: Mapping[str, Usage], conversation_id: str, key: str) -> list[dict[str, Any]]:
    at = now()
    place = {"at": at, "day": at[:10], "answer_id": answer_id, "conversation_id": conversation_id, "key": key}
    return [
        {
            **place,
            "model": model,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost": usage.cost,
        }
        for model, usage in by_model.items()
    ]


def _owned(owner: str | None) -> sa.ColumnElement[bool]:
    """Whose a conversation must be: the owner's, or anybody's where nobody is named."""
    return sa.true() if owner is None else _conversations.c.owner == owner


def _find(connection: sa.Connection, conversation_id: str, owner: str | None = None) -> Conversation:
    which = sa.select(_conversations).where(_conversations.c.id == plain(conversation_id), _owned(owner))
    row = connection.execute(which).one_or_none()
    if row is None:
        raise _unknown(conversation_id)
    return _conversation(row)


def _conversation(row: Any) -> Conversation:
    return Conversation(row.id, row.title, row.created_at, row.updated_at)


def _unknown(conversation_id: str) -> NotFound:
    return NotFound(f"There is no conversation {conversation_id!r}.", "Leave conversation_id out to begin a new one.")


def _title(asked: str) -> str:
    """The question on one line, cut at a word."""
    words = " ".join(asked.split())
    if len(words) <= TITLE_CHARS:
        return words
    room = words[:TITLE_CHARS]  # one character over what the dots leave, to see whether a word ends there
    cut = room.rfind(" ")
    return (room[:cut] if cut > 0 else room[:-1]) + "…"


def plain(text: str) -> str:
    """A text as every database takes it: without NUL, which PostgreSQL does not take, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()


def now() -> str:
    """ISO 8601 in UTC with microseconds: as text such times sort by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
