"""All of the accounts behind one door, and who stands behind a key or a session."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rag_bot.accounts.audit import Audit
from rag_bot.accounts.keys import Keys
from rag_bot.accounts.quotas import Counting
from rag_bot.accounts.tables import secrets as _secrets
from rag_bot.accounts.types import Principal
from rag_bot.accounts.users import Users
from rag_bot.errors import BadAccount, NotFound
from rag_bot.memory import Memory, now

KNOWN_SECONDS = 2.0
"""How long a principal is known without asking the database: a key that is revoked works for so long at most."""
_KNOWN = 10_000


class Accounts:
    """Users, keys, quotas and the audit log of one database. Safe to call from several threads."""

    def __init__(self, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory, self._clock = memory, clock
        self.users, self.keys, self.audit, self.counting = Users(memory), Keys(memory), Audit(memory), Counting(memory)
        self._known: dict[str, tuple[float, Principal | None]] = {}
        self._lock = threading.Lock()

    def by_key(self, token: str) -> Principal | None:
        """Whoever comes with this API key; None for one that is not, or no longer, valid."""

        def look() -> Principal | None:
            key = self.keys.find(token)
            return key.principal if key else None

        return self._remembered(f"key {token}", look)

    def by_session(self, user_id: str, epoch: int) -> Principal | None:
        """Whoever has a session that was begun in this epoch; None where it is over."""

        def look() -> Principal | None:
            try:
                user = self.users.get(user_id)
            except NotFound:
                return None
            return user.principal if not user.disabled and user.epoch == epoch else None

        return self._remembered(f"session {user_id} {epoch}", look)

    def forget(self) -> None:
        """Ask the database again for everybody: something has changed."""
        with self._lock:
            self._known.clear()

    def secret(self, name: str) -> str:
        """A random text that all replicas know, made by the first that asks."""
        query = sa.select(_secrets.c.value).where(_secrets.c.name == name)
        for _ in range(2):
            with self._memory.transaction() as connection:
                found: str | None = connection.execute(query).scalar_one_or_none()
            if found:
                return found
            try:
                with self._memory.transaction(translate=False) as connection:
                    connection.execute(sa.insert(_secrets).values(name=name, value=secrets.token_urlsafe(48), at=now()))
            except IntegrityError:
                pass  # another replica was faster
        raise BadAccount(f"The secret {name} could not be made.", "Check the conversations' database.")

    def first_admin(self, password: str) -> bool:
        """Make the user `admin` where there is no user at all; whether that was so."""
        if self.users.any():
            return False
        try:
            self.users.add("admin", password, "admin")
        except BadAccount:
            if self.users.any():  # another replica was faster
                return False
            raise
        return True

    def close(self) -> None:
        self._memory.close()

    def _remembered(self, name: str, look: Callable[[], Principal | None]) -> Principal | None:
        at = self._clock()
        with self._lock:
            until, known = self._known.get(name, (0.0, None))
            if at < until:
                return known
        found = look()
        with self._lock:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[name] = (at + KNOWN_SECONDS, found)
        return found
