"""Who asks: a person who signed in, a program with an API key, or whoever sits at this machine where accounts are off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

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
    """

    id: str
    name: str
    role: Role
    permissions: frozenset[Permission]
    groups: frozenset[str] = frozenset()
    email: str = ""
    kind: Kind = "user"

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


LOCAL = Principal("local", "local", "admin", MAY["admin"], kind="local")
"""Who uses a service without accounts."""
