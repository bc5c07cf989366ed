"""The people who sign in: with a name and a password kept here, or through a sign-in provider that vouches for them."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rag_bot.accounts import passwords
from rag_bot.accounts.tables import users as _users
from rag_bot.accounts.types import MAY, Principal, Role, groups_of, name_of, role_of
from rag_bot.errors import AccountConflict, BadAccount, NotFound
from rag_bot.memory import Memory, now, plain

LOCAL = "local"
"""The issuer of those whose password is kept here."""


@dataclass(frozen=True, slots=True)
class User:
    """A person. `epoch` is part of each of their sessions: a session of another epoch is over. Times are ISO 8601, UTC."""

    id: str
    name: str
    email: str
    issuer: str
    role: Role
    groups: tuple[str, ...]
    epoch: int
    disabled: bool
    created_at: str
    signed_in_at: str | None = None

    @property
    def principal(self) -> Principal:
        person = self.name if self.issuer == LOCAL else ""  # a provider may let people choose theirs
        return Principal(f"user:{self.id}", self.name, self.role, MAY[self.role], frozenset(self.groups), self.email, person)


class Users:
    """The users in the database. Safe to call from several threads; raises StateError where the database fails."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def add(self, name: str, password: str, role: Role = "reader", *, groups: Collection[str] = (), email: str = "") -> User:
        """A user who signs in with this password. Raises BadAccount, also for a name that is taken."""
        name = name_of(name).lower()
        return self._insert(name, LOCAL, name, role_of(role), groups_of(groups), email, passwords.hashed(password))

    def seen(self, issuer: str, subject: str, name: str, email: str, role: Role, groups: Collection[str]) -> User:
        """The user that a sign-in provider vouches for, made at the first time; what it says of them now holds.

        Raises BadAccount where they are disabled here."""
        which = (_users.c.issuer == issuer) & (_users.c.subject == subject)
        values = {"email": email.lower(), "role": role, "groups": list(groups_of(groups)), "signed_in_at": now()}
        for _ in range(2):
            with self._memory.transaction() as connection:
                connection.execute(sa.update(_users).where(which, ~_users.c.disabled).values(values))
                row = connection.execute(sa.select(_users).where(which)).one_or_none()
            if row is not None:
                break
            try:
                self._insert(self._free(name_of(name).lower()), issuer, subject, role, groups_of(groups), email.lower(), "")
            except BadAccount:  # another replica made the same at this moment
                continue
        if row is None or row.disabled:
            raise BadAccount("This account can't be used.", "Ask an admin of this service.")
        return _user(row)

    def sign_in(self, name: str, password: str) -> User | None:
        """The user, if the password is theirs and they may come in. It takes as long to say no to a name that is unknown."""
        named = sa.select(_users).where(_users.c.name == plain(name).strip().lower(), _users.c.issuer == LOCAL)
        with self._memory.transaction() as connection:
            row = connection.execute(named).one_or_none()
        if not passwords.matches(row.password if row else "", password) or row is None or row.disabled:
            return None
        values: dict[str, Any] = {"signed_in_at": now()}
        if passwords.outdated(row.password):
            values["password"] = passwords.hashed(password)
        with self._memory.transaction() as connection:
            connection.execute(sa.update(_users).where(_users.c.id == row.id).values(values))
        return _user(row)

    def get(self, user_id: str) -> User:
        """Raises NotFound."""
        with self._memory.transaction() as connection:
            row = connection.execute(sa.select(_users).where(_users.c.id == user_id)).one_or_none()
        if row is None:
            raise _unknown(user_id)
        return _user(row)

    def named(self, name: str) -> User:
        """Raises NotFound."""
        with self._memory.transaction() as connection:
            row = connection.execute(sa.select(_users).where(_users.c.name == plain(name).strip().lower())).one_or_none()
        if row is None:
            raise _unknown(name)
        return _user(row)

    def list(self) -> list[User]:
        """All users, by name."""
        with self._memory.transaction() as connection:
            return [_user(row) for row in connection.execute(sa.select(_users).order_by(_users.c.name))]

    def any(self) -> bool:
        """Whether there is one at all."""
        with self._memory.transaction() as connection:
            return connection.execute(sa.select(_users.c.id).limit(1)).first() is not None

    def change(
        self,
        user_id: str,
        *,
        role: str | None = None,
        groups: Collection[str] | None = None,
        email: str | None = None,
        disabled: bool | None = None,
        password: str | None = None,
    ) -> User:
        """Change what is given. A new password and `disabled` end the user's sessions. Raises NotFound or BadAccount, also
        where no admin would be left."""
        values: dict[str, Any] = {}
        if role is not None:
            values["role"] = role_of(role)
        if groups is not None:
            values["groups"] = list(groups_of(groups))
        if email is not None:
            values["email"] = email.strip().lower()
        if disabled is not None:
            values["disabled"] = disabled
        if password is not None:
            values["password"] = passwords.hashed(password)
        if password is not None or disabled:
            values["epoch"] = _users.c.epoch + 1
        with self._memory.transaction() as connection:
            self._lock_admins(connection)
            row = connection.execute(sa.select(_users).where(_users.c.id == user_id)).one_or_none()
            if row is None:
                raise _unknown(user_id)
            if password is not None and row.issuer != LOCAL:
                raise AccountConflict(f"{row.name} signs in through {row.issuer}.", "The password is changed there.")
            if values:
                connection.execute(sa.update(_users).where(_users.c.id == user_id).values(values))
            self._keep_an_admin(connection, row)
            return _user(connection.execute(sa.select(_users).where(_users.c.id == user_id)).one())

    def end_sessions(self, user_id: str) -> None:
        """Sign a user out everywhere. Raises NotFound."""
        with self._memory.transaction() as connection:
            ended = sa.update(_users).where(_users.c.id == user_id).values(epoch=_users.c.epoch + 1)
            if not connection.execute(ended).rowcount:
                raise _unknown(user_id)

    def remove(self, user_id: str) -> User:
        """Take a user out; what they own stays, unseen. Raises NotFound, or BadAccount where no admin would be left."""
        with self._memory.transaction() as connection:
            self._lock_admins(connection)
            row = connection.execute(sa.select(_users).where(_users.c.id == user_id)).one_or_none()
            if row is None:
                raise _unknown(user_id)
            connection.execute(sa.delete(_users).where(_users.c.id == user_id))
            self._keep_an_admin(connection, row)
        return _user(row)

    @staticmethod
    def _lock_admins(connection: sa.Connection) -> None:
        """Two admins who take each other's role away do so one after the other. (SQLite has one writer anyway.)"""
        connection.execute(sa.select(_users.c.id).where(_users.c.role == "admin").order_by(_users.c.id).with_for_update()).all()

    @staticmethod
    def _keep_an_admin(connection: sa.Connection, before: Any) -> None:
        """Raises BadAccount, and so undoes the transaction, if the last admin has just gone."""
        admins = sa.select(_users.c.id).where(_users.c.role == "admin", ~_users.c.disabled).limit(1)
        if before.role == "admin" and not before.disabled and connection.execute(admins).first() is None:
            raise AccountConflict(f"{before.name} is the only admin.", "Make another one first.")

    def _free(self, name: str) -> str:
        """A name that nobody has: two providers may know the same one."""
        with self._memory.transaction() as connection:
            taken = set(connection.execute(sa.select(_users.c.name).where(_users.c.name.startswith(name))).scalars())
        return next(one for one in (name, *(f"{name} ({n})" for n in range(2, len(taken) + 3))) if one not in taken)

    def _insert(
        self, name: str, issuer: str, subject: str, role: Role, groups: tuple[str, ...], email: str, password: str
    ) -> User:
        user = User(f"usr_{secrets.token_hex(8)}", name, email.strip().lower(), issuer, role, groups, 0, False, now())
        row = {column: getattr(user, column) for column in User.__slots__} | {"groups": list(groups)}
        try:
            with self._memory.transaction(translate=False) as connection:
                connection.execute(sa.insert(_users).values(row | {"subject": subject, "password": password}))
        except IntegrityError as error:
            raise AccountConflict(f"There is a user {name!r} already.", "Take another name.") from error
        return user


def _user(row: Any) -> User:
    values = {column: getattr(row, column) for column in User.__slots__}
    return User(**values | {"groups": tuple(row.groups)})


def _unknown(user: str) -> NotFound:
    return NotFound(f"There is no user {user!r}.", "rag-bot users list shows who there is.")
