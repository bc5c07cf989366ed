"""How much each principal may use in a minute or a day, counted in the database so that all replicas count together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from rag_bot.accounts.tables import counters as _counters
from rag_bot.accounts.types import Principal
from rag_bot.errors import BadAccount
from rag_bot.memory import Memory

MINUTE, DAY = 60, 86_400
_TIDY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Quotas:
    """What a principal may use; 0: no limit. Days are those of UTC, `cost_per_day` is in US dollars."""

    questions_per_minute: float = 0
    questions_per_day: float = 0
    uploads_per_day: float = 0
    tokens_per_day: float = 0
    cost_per_day: float = 0

    def of(self, principal: Principal) -> Quotas:
        """These, but for what the principal has of its own."""
        return Quotas(**{each.name: principal.quotas.get(each.name, getattr(self, each.name)) for each in fields(self)})


QuotaName: TypeAlias = Literal["questions_per_minute", "questions_per_day", "uploads_per_day", "tokens_per_day", "cost_per_day"]
NAMES: tuple[QuotaName, ...] = get_args(QuotaName)


def quotas_of(given: Mapping[Any, float]) -> dict[str, float]:
    """Quotas that a key is given. Raises BadAccount."""
    for name, amount in given.items():
        if name not in NAMES:
            raise BadAccount(f"There is no quota {name!r}.", f"There are {', '.join(NAMES)}.")
        if not (math.isfinite(amount) and amount >= 0):
            raise BadAccount(f"The quota {name} can't be {amount}.", "Take a number that is 0 (no limit) or more.")
    return dict(given)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a quota is used: `limit` in `seconds`, `left` of it, and the seconds until it begins anew."""

    name: str
    limit: float
    seconds: int
    left: float
    reset: int

    @property
    def over(self) -> bool:
        return self.left < 0


class _Over(Exception):
    """Undoes what was taken."""


class Counting:
    """Counts in windows of a minute or a day that begin for everybody at the same moment.

    Safe to call from several threads; raises StateError where the database fails.
    """

    def __init__(self, memory: Memory, clock: Callable[[], float] = time.time) -> None:
        self._memory, self._clock = memory, clock
        self._tidied = 0.0

    def question(self, principal: Principal, quotas: Quotas) -> list[Standing]:
        """Take one question; nothing is taken where a standing is `over`."""
        windows = [
            ("minute", "questions", MINUTE, quotas.questions_per_minute),
            ("day", "questions", DAY, quotas.questions_per_day),
        ]
        return [*self._take(principal, windows), *self._spent(principal, quotas)]

    def upload(self, principal: Principal, quotas: Quotas) -> list[Standing]:
        """Take one upload; nothing is taken where it is `over`."""
        return self._take(principal, [("uploads", "uploads", DAY, quotas.uploads_per_day)])

    def attempts(self, whose: str, limit: int, seconds: int) -> Standing:
        """Count something that is tried, such as signing in, which is counted also when it is over the limit."""
        now = self._clock()
        with self._memory.transaction() as connection:
            amount = self._add(connection, whose, f"tries/{seconds}", seconds, now)
        return Standing("tries", limit, seconds, limit - amount, _reset(now, seconds))

    def forgive(self, whose: str, seconds: int) -> None:
        """Begin to count anew what was tried."""
        gone = sa.delete(_counters).where(_counters.c.principal == whose, _counters.c.what == f"tries/{seconds}")
        with self._memory.transaction() as connection:
            connection.execute(gone)

    def _take(self, principal: Principal, windows: Sequence[tuple[str, str, int, float]]) -> list[Standing]:
        now, standings = self._clock(), []
        limited = [window for window in windows if window[3]]
        if not limited:
            return []
        self._tidy(now)
        with suppress(_Over), self._memory.transaction(often=True) as connection:
            for name, what, seconds, limit in limited:
                amount = self._add(connection, principal.id, f"{what}/{seconds}", seconds, now)
                standings.append(Standing(name, limit, seconds, limit - amount, _reset(now, seconds)))
            if any(standing.over for standing in standings):
                raise _Over
        return standings

    def _spent(self, principal: Principal, quotas: Quotas) -> list[Standing]:
        if not (quotas.tokens_per_day or quotas.cost_per_day):
            return []
        now = self._clock()
        tokens, cost = self._memory.spent_since(principal.id, datetime.fromtimestamp(now, UTC).date())
        # What an answer will take is known when it is there: the last question of a day may go over.
        pairs = [("tokens", quotas.tokens_per_day, tokens), ("cost", quotas.cost_per_day, cost)]
        return [
            Standing(name, limit, DAY, limit - used if used < limit else -1.0, _reset(now, DAY))
            for name, limit, used in pairs
            if limit
        ]

    def _add(self, connection: sa.Connection, whose: str, what: str, seconds: int, now: float) -> float:
        window = str(int(now // seconds))
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(_counters)
        row = {"principal": whose, "what": what, "window": window, "amount": 1.0, "until": (int(now // seconds) + 1) * seconds}
        adding = insert.values(row).on_conflict_do_update(
            index_elements=["principal", "what", "window"], set_={"amount": _counters.c.amount + 1.0}
        )
        return float(connection.execute(adding.returning(_counters.c.amount)).scalar_one())

    def _tidy(self, now: float) -> None:
        """Forget windows that are over."""
        if now - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = now
        with self._memory.transaction() as connection:
            connection.execute(sa.delete(_counters).where(_counters.c.until < now))


def _reset(now: float, seconds: int) -> int:
    return max(1, math.ceil(seconds - now % seconds))
