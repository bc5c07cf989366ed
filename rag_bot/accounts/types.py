"""Who asks: a person who signed in, a program with an API key, or whoever sits at this machine where accounts are off."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from rag_bot.errors import BadAccount

Role: TypeAlias = Literal["reader", "editor", "admin"]
Permission: TypeAlias = Literal["ask", "read", "write", "metrics", "admin"]
Kind: TypeAlias = Literal["user", "key", "local"]

ROLES: tuple[Role, ...] = get_args(Role)
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
MAY: dict[Role, frozenset[Permission]] = {
    "reader": frozenset({"ask", "read"}),
    "editor": frozenset({"ask", "read", "write"}),
    "admin": frozenset(PERMISSIONS),
}
"""What each role may do: ask questions, read documents, add and remove them, read the numbers, manage accounts."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a request comes from. `id` is what they own things by: `user:…`, `key:…` or `local`.

    `groups` decide which documents they read, `permissions` what they may do; an admin reads no more than their groups may.
    `email` and `person` are what the file of readers may know them by: never what they could have chosen themselves.
    `quotas` are their own; what they don't name is as the settings say.
    """

    id: str
    name: str
    role: Role
    permissions: frozenset[Permission]
    groups: frozenset[str] = frozenset()
    email: str = ""
    person: str = ""
    kind: Kind = "user"
    quotas: Mapping[str, float] = field(default_factory=dict, hash=False)

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


LOCAL = Principal("local", "local", "admin", MAY["admin"], kind="local")
"""Who uses a service without accounts."""


_NAME_CHARS = 200
_GROUPS = 200


def name_of(name: str) -> str:
    """A name of a user or a key, on one line. Raises BadAccount."""
    name = " ".join(name.split())
    if not 0 < len(name) <= _NAME_CHARS or not name.isprintable():
        raise BadAccount(f"{name[:40]!r} can't be a name.", f"Take 1 to {_NAME_CHARS} characters that can be shown.")
    return name


def role_of(role: str) -> Role:
    """Raises BadAccount."""
    if role not in ROLES:
        raise BadAccount(f"There is no role {role!r}.", f"There are {', '.join(ROLES)}.")
    return role


def permissions_of(named: Collection[str], role: str) -> tuple[Permission, ...]:
    """Those named, or all that the role has where none is. Raises BadAccount for one that the role does not have."""
    may = MAY[role_of(role)]
    if strange := sorted(set(named) - may):
        raise BadAccount(
            f"A {role} has no permission {strange[0]!r}.", f"There are {', '.join(p for p in PERMISSIONS if p in may)}."
        )
    return tuple(permission for permission in PERMISSIONS if permission in (named or may))


def groups_of(named: Collection[str]) -> tuple[str, ...]:
    """Names of groups, each once. Raises BadAccount."""
    groups = tuple(dict.fromkeys(name_of(group) for group in named))
    if len(groups) > _GROUPS or "*" in groups:
        raise BadAccount("These can't be the groups.", f"Name at most {_GROUPS}; `*` is no group, it stands for everyone.")
    return groups
