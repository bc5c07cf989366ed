"""API keys: made once and shown once; only the hash of a key's secret half is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from rag_bot.accounts.tables import api_keys as _keys
from rag_bot.accounts.types import MAY, Permission, Principal, Role, groups_of, name_of, permissions_of
from rag_bot.errors import NotFound
from rag_bot.memory import Memory, now

_LETTERS = string.ascii_letters + string.digits
_TOKEN = re.compile(r"(rb_[A-Za-z0-9]{10})_([A-Za-z0-9]{40})")  # 238 bits of chance: nothing slower than SHA-256 is needed
_USED_SECONDS = 60  # between two notes that a key was used


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. `id` is how the key begins. Times are ISO 8601, UTC; `quotas` go before the settings."""

    id: str
    name: str
    role: Role
    permissions: tuple[Permission, ...]
    groups: tuple[str, ...]
    quotas: Mapping[str, float]
    created_by: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None
    used_at: str | None = None

    @property
    def valid(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now())

    @property
    def principal(self) -> Principal:
        """Who comes with this key."""
        permissions = MAY[self.role] & frozenset(self.permissions)
        return Principal(
            f"key:{self.id}", self.name, self.role, permissions, frozenset(self.groups), kind="key", quotas=self.quotas
        )


class Keys:
    """The keys in the database. Safe to call from several threads; raises StateError where the database fails."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def create(
        self,
        name: str,
        role: Role = "reader",
        *,
        permissions: Collection[str] = (),
        groups: Collection[str] = (),
        quotas: Mapping[str, float] | None = None,
        days: float | None = None,
        created_by: str = "",
    ) -> tuple[Key, str]:
        """A new key, and the whole of it, which nobody can see again. `permissions` are all of the role's where none is named;
        `days` is how long it is valid. Raises BadAccount."""
        key_id, secret = f"rb_{_random(10)}", _random(40)
        until = datetime.now(UTC) + timedelta(days=days) if days is not None else None
        key = Key(
            id=key_id,
            name=name_of(name),
            role=role,
            permissions=permissions_of(permissions, role),
            groups=groups_of(groups),
            quotas=dict(quotas or {}),
            created_by=created_by,
            created_at=now(),
            expires_at=until.isoformat(timespec="microseconds") if until else None,
        )
        row = {
            **{column: getattr(key, column) for column in Key.__slots__},
            "permissions": list(key.permissions),
            "groups": list(key.groups),
            "hash": _hash(secret),
        }
        with self._memory.transaction() as connection:
            connection.execute(sa.insert(_keys).values(row))
        return key, f"{key_id}_{secret}"

    def list(self) -> list[Key]:
        """All keys, newest first."""
        with self._memory.transaction() as connection:
            return [_key(row) for row in connection.execute(sa.select(_keys).order_by(_keys.c.created_at.desc()))]

    def revoke(self, key_id: str) -> Key:
        """Make a key worthless; one that is already stays so. Raises NotFound."""
        with self._memory.transaction() as connection:
            which = sa.update(_keys).where(_keys.c.id == key_id)
            connection.execute(which.where(_keys.c.revoked_at.is_(None)).values(revoked_at=now()))
            row = connection.execute(sa.select(_keys).where(_keys.c.id == key_id)).one_or_none()
        if row is None:
            raise NotFound(f"There is no key {key_id!r}.", "rag-bot keys list shows what there is.")
        return _key(row)

    def find(self, token: str) -> Key | None:
        """The valid key that this text is, if it is one; notes that it was used."""
        parts = _TOKEN.fullmatch(token)
        if not parts:
            return None
        with self._memory.transaction() as connection:
            row = connection.execute(sa.select(_keys).where(_keys.c.id == parts[1])).one_or_none()
            if not hmac.compare_digest(row.hash if row else "", _hash(parts[2])) or row is None:
                return None
            key = _key(row)
            if key.valid and (key.used_at is None or key.used_at < _ago(_USED_SECONDS)):
                connection.execute(sa.update(_keys).where(_keys.c.id == key.id).values(used_at=now()))
        return key if key.valid else None


def _key(row: Any) -> Key:
    values = {column: getattr(row, column) for column in Key.__slots__}
    return Key(**values | {"permissions": tuple(row.permissions), "groups": tuple(row.groups)})


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="microseconds")
