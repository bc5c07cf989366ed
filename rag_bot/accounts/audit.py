"""The audit log: who did what to what, when and from where; never what was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from rag_bot.accounts.tables import audit as _audit
from rag_bot.memory import Memory, now, plain

Outcome: TypeAlias = Literal["done", "refused", "failed"]
_COLUMNS = ("at", "actor", "action", "object", "outcome", "address", "trace_id", "detail")
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `actor` is a principal's id, `object` the id of what it was done to. `at` is ISO 8601, UTC."""

    action: str
    actor: str = ""
    object: str = ""
    outcome: Outcome = "done"
    address: str = ""
    trace_id: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    id: int = 0


class Audit:
    """The log in the database: lines are added and, when they are old, dropped; none is ever changed.

    Safe to call from several threads; raises StateError where the database fails.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def add(self, line: Line) -> None:
        row = {column: getattr(line, column) for column in _COLUMNS}
        row |= {"at": line.at or now(), "object": plain(line.object)[:_LONGEST], "detail": dict(line.detail)}
        with self._memory.transaction(often=True) as connection:
            connection.execute(sa.insert(_audit).values(row))

    def lines(
        self, limit: int = 100, before: int | None = None, actor: str = "", action: str = "", since: datetime | None = None
    ) -> list[Line]:
        """The latest lines, newest first; `before` is the id of the last one seen, `action` how its name begins."""
        columns = _audit.c
        query = sa.select(_audit).order_by(columns.id.desc()).limit(limit)
        if before is not None:
            query = query.where(columns.id < before)
        if actor:
            query = query.where(columns.actor == plain(actor))
        if action:
            query = query.where(columns.action.startswith(plain(action), autoescape=True))
        if since is not None:
            query = query.where(columns.at >= since.astimezone(UTC).isoformat(timespec="microseconds"))
        with self._memory.transaction() as connection:
            return [Line(**{name: getattr(row, name) for name in (*_COLUMNS, "id")}) for row in connection.execute(query)]

    def forget(self, days: float) -> int:
        """Drop lines that are older than so many days; how many there were."""
        until = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
        with self._memory.transaction() as connection:
            return int(connection.execute(sa.delete(_audit).where(_audit.c.at < until)).rowcount)
