"""Conversations, feedback and what LLMs took, kept in a SQL database: SQLite by default, PostgreSQL for several machines."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from rag_bot.errors import NotFound, StateError
from rag_bot.types import Answer, Turn, Usage

SCHEMA_VERSION = 1
TITLE_CHARS = 80
BUSY_SECONDS = 10

_metadata = sa.MetaData()
_version = sa.Table("schema_version", _metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
_conversations = sa.Table(
    "conversations",
    _metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("owner", sa.String(64), nullable=False, default="", server_default="", index=True),
    # Times are ISO 8601 in UTC with microseconds: as text they sort by time in every database.
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("updated_at", sa.String(32), nullable=False, index=True),
)
_turns = sa.Table(
    "turns",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("conversation_id", sa.ForeignKey(_conversations.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("answer_id", sa.String(64), nullable=False, unique=True),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("standalone", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("abstained", sa.Boolean, nullable=False),
    sa.Column("answer_object", sa.JSON, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.UniqueConstraint("conversation_id", "position"),
)
_feedback = sa.Table(
    "feedback",
    _metadata,
    sa.Column("answer_id", sa.ForeignKey(_turns.c.answer_id, ondelete="CASCADE"), primary_key=True),
    sa.Column("thumb", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("right_source", sa.Text),
    sa.Column("at", sa.String(32), nullable=False),
)
# What was spent stays spent: no row here goes with its conversation.
_usage = sa.Table(
    "usage",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("day", sa.String(10), nullable=False, index=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("conversation_id", sa.String(64), nullable=False),
    sa.Column("answer_id", sa.String(64), nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("completion_tokens", sa.Integer, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
)
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

    The database is opened and its tables made at the first call, or by `open`. Whatever goes wrong with it is a `StateError`.
    """

    def __init__(self, url: str) -> None:
        self._lock = threading.Lock()
        self._ready = False
        try:
            self._url = sa.make_url(url)
            self._engine = _engine(self._url)
        except ArgumentError as error:
            shown = url if "@" not in url else f"{url.partition('://')[0]}://…"  # it may hold a password
            raise StateError(
                f"RAG_BOT_STATE is {shown!r}, which is not a database's URL.",
                "Write it like sqlite:////var/lib/rag-bot/state.sqlite3 or postgresql+pg8000://user@host/name.",
            ) from error
        except ImportError as error:
            raise StateError(
                f"The driver of RAG_BOT_STATE is not installed: {error.name}.", f"pip install {error.name}"
            ) from error

    def open(self) -> None:
        """Connect and make the tables; does nothing when that has been done."""
        with self._lock:
            if self._ready:
                return
            folder = _folder(self._url)
            if folder is not None and not folder.is_dir():
                raise StateError(
                    f"The conversations can't be kept in {self._url.database}: there is no folder {folder}.",
                    "Make the folder, or set RAG_BOT_STATE to another place.",
                )
            with self._translated():
                # Other processes may make the same at the same moment: who loses finds the tables, then the version.
                for attempt in range(3):
                    try:
                        self._prepare()
                        break
                    except SQLAlchemyError:
                        if attempt == 2:
                            raise
            self._ready = True

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

    def save(self, asked: str, answer: Answer, *, new: bool = True, owner: str = "") -> None:
        """Keep an answer as the next turn of its conversation; one that isn't there is made if it is `new`.

        Raises `NotFound` if it isn't: it was deleted while the answer was made.
        """
        try:
            self._save(asked, answer, new, owner)
        except IntegrityError:
            # Two answers made the same new conversation at once; the second finds it there.
            with self._translated():
                self._save(asked, answer, new, owner)

    def conversations(self, limit: int = 50, before: str | None = None, owner: str | None = None) -> list[Conversation]:
        """Conversations, last used first; `before` is the `updated_at` of the last one seen, to go on from there."""
        columns = _conversations.c
        query = sa.select(_conversations).order_by(columns.updated_at.desc(), columns.id).limit(limit)
        if before is not None:
            query = query.where(columns.updated_at < before)
        if owner is not None:
            query = query.where(columns.owner == owner)
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
                locked = locked.where(
                    _turns.c.conversation_id.in_(sa.select(_conversations.c.id).where(_conversations.c.owner == owner))
                )
            if not connection.execute(locked).rowcount:
                raise NotFound(f"There is no answer {answer_id!r}.", "Use the answer_id of a kept answer.")
            connection.execute(sa.delete(_feedback).where(_feedback.c.answer_id == answer_id))
            connection.execute(sa.insert(_feedback).values(answer_id=answer_id, **values))

    def spent(self, answer_id: str, by_model: Mapping[str, Usage], conversation_id: str = "", key: str = "") -> None:
        """Keep what each LLM took for an answer. `conversation_id` is empty where the caller keeps the conversation."""
        at = now()
        place = {"at": at, "day": at[:10], "answer_id": answer_id, "conversation_id": conversation_id, "key": key}
        rows = [
            {
                **place,
                "model": model,
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "cost": usage.cost,
            }
            for model, usage in by_model.items()
        ]
        if rows:
            with self.transaction() as connection:
                connection.execute(sa.insert(_usage), rows)

    def spent_since(self, key: str, since: date) -> tuple[int, float]:
        columns = _usage.c
        sums = sa.select(
            sa.func.coalesce(sa.func.sum(columns.prompt_tokens + columns.completion_tokens), 0),
            sa.func.coalesce(sa.func.sum(columns.cost), 0.0),
        )
        with self.transaction() as connection:
            row = connection.execute(sums.where(columns.key == key, columns.day >= since.isoformat())).one()
        return int(row[0]), float(row[1])

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
        self._engine.dispose()

    def _save(self, asked: str, answer: Answer, new: bool, owner: str) -> None:
        at, asked = now(), plain(asked)
        key = answer.conversation_id
        with self.transaction(translate=False) as connection:
            # The update comes first because it locks: turns of one conversation are then numbered one after another.
            touched = (
                sa.update(_conversations)
                .where(_conversations.c.id == key, _conversations.c.owner == owner)
                .values(updated_at=at)
            )
            if not connection.execute(touched).rowcount:
                if not new:
                    raise NotFound(f"There is no conversation {key!r}.", "Begin a new one.")
                row = {"id": key, "title": _title(asked), "created_at": at, "updated_at": at, "owner": owner}
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

    def _prepare(self) -> None:
        with self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            _metadata.create_all(connection)
            from rag_bot.accounts.tables import metadata

            metadata.create_all(connection)
            versions: Sequence[int] = connection.execute(sa.select(_version.c.version)).scalars().all()
            if not versions:
                connection.execute(sa.insert(_version).values(version=SCHEMA_VERSION))
            elif max(versions) != SCHEMA_VERSION:
                raise StateError(
                    f"The database {self._url} has schema version {max(versions)}; this program knows {SCHEMA_VERSION}.",
                    "Use the version of rag-bot that made it, or set RAG_BOT_STATE to a new database.",
                )

    @contextmanager
    def transaction(self, *, translate: bool = True) -> Iterator[sa.Connection]:
        """One transaction on the database, also for tables that others keep there. Without `translate` an IntegrityError
        comes as it is; all else is a StateError."""
        self.open()
        with self._translated(keep=() if translate else (IntegrityError,)), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self, keep: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        try:
            yield
        except keep:
            raise
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            raise StateError(
                f"The conversations' database {self._url} can't be used: {cause}.",
                "Check that it can be reached and written to, or set RAG_BOT_STATE to another place.",
            ) from error


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True)
    connect = {"check_same_thread": False, "timeout": BUSY_SECONDS}
    if _folder(url) is None:
        # In memory every connection would be a database of its own: there is one, lent to one thread at a time.
        engine = sa.create_engine(url, poolclass=sa.QueuePool, pool_size=1, max_overflow=0, connect_args=connect)
    else:
        engine = sa.create_engine(url, connect_args=connect)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _folder(url: sa.URL) -> Path | None:
    """The folder that SQLite's file stands in; None for another database, or one in memory."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:" or url.query.get("uri"):
        return None
    return Path(url.database).absolute().parent


def _find(connection: sa.Connection, conversation_id: str, owner: str | None = None) -> Conversation:
    row = connection.execute(sa.select(_conversations).where(_conversations.c.id == conversation_id)).one_or_none()
    if row is None or (owner is not None and row.owner != owner):
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
