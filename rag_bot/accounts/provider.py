"""A sign-in provider (OpenID Connect): the settings that name it, and what its claims make of a person."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from rag_bot.accounts.types import ROLES, Role, groups_of, name_of, role_of
from rag_bot.errors import BadAccount, BadSetting
from rag_bot.settings import Settings

_SUBJECT_CHARS = 255  # OpenID Connect Core 1.0, section 2


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a provider vouches for. `email` is empty where it is not to be relied on."""

    subject: str
    name: str
    email: str
    role: Role
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provider:
    """What the settings say of the provider. `roles` are by group; whoever is in none of these has `otherwise`."""

    issuer: str
    client_id: str
    client_secret: str
    label: str
    scopes: str
    groups_claim: str
    roles: Mapping[str, Role]
    otherwise: Role | None
    emails: Literal["verified", "any", "none"]

    @classmethod
    def of(cls, settings: Settings) -> Provider | None:
        """The provider, or None where none is named. Raises BadSetting."""
        issuer = settings.oidc_issuer.strip()
        if not issuer:
            return None
        if settings.auth != "on":
            raise BadSetting("RAG_BOT_OIDC_ISSUER needs accounts.", "Set RAG_BOT_AUTH=on.")
        address = urlsplit(issuer)
        if address.scheme != "https" and not (address.scheme == "http" and _here(address.hostname)):
            raise BadSetting(f"RAG_BOT_OIDC_ISSUER is {issuer!r}, which is no https address.", "Write it as the provider does.")
        if not settings.oidc_client_id:
            raise BadSetting("RAG_BOT_OIDC_ISSUER needs a client.", "Set RAG_BOT_OIDC_CLIENT_ID to the id that it has there.")
        if "openid" not in settings.oidc_scopes.split():
            raise BadSetting("RAG_BOT_OIDC_SCOPES lacks openid.", "Write for instance: openid profile email groups")
        return cls(
            issuer,
            settings.oidc_client_id,
            settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else "",
            settings.oidc_name or address.hostname or "",
            settings.oidc_scopes,
            settings.oidc_groups_claim,
            _roles(settings.oidc_roles),
            None if settings.oidc_role == "none" else settings.oidc_role,
            settings.oidc_emails,
        )

    @property
    def metadata_url(self) -> str:
        """Where it says what it is (OpenID Connect Discovery 1.0, section 4)."""
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    def is_named(self, issuer: object) -> bool:
        """Whether that is its name; one slash at the end more or less is none."""
        return isinstance(issuer, str) and issuer.rstrip("/") == self.issuer.rstrip("/")

    def person(self, claims: Mapping[str, Any]) -> Person:
        """Whom the claims are about. Raises BadAccount for somebody who may not come in, or of whom too little is said."""
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_CHARS:
            raise BadAccount("The provider does not say who signs in.")
        groups = self.groups(claims)
        roles = {self.roles[group] for group in groups if group in self.roles}
        role = max(roles, key=ROLES.index, default=self.otherwise)
        if role is None:
            raise BadAccount("None of this person's groups may use this service.", "RAG_BOT_OIDC_ROLES names those that may.")
        email = _text(claims.get("email"))
        if self.emails == "none" or (self.emails == "verified" and claims.get("email_verified") is not True):
            email = ""
        names = (claims.get(claim) for claim in ("preferred_username", "name", "email"))
        return Person(subject, next(filter(None, map(_text, names)), _text(subject) or "somebody"), email, role, groups)

    def groups(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """The groups that the claim names, without what can't be one. Raises BadAccount for more than anybody has."""
        named = found_in(claims, self.groups_claim)
        named = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        return groups_of([group for one in named if (group := _text(one)) and group != "*"])

    def complete(self, claims: Mapping[str, Any]) -> bool:
        """Whether all is there that is looked for; what is not may be had from the provider's userinfo."""
        wanted = [self.groups_claim] + ([] if self.emails == "none" else ["email"])
        return all(found_in(claims, claim) is not None for claim in wanted if claim)


def found_in(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name or, where there is none of that name, by the path to it (`realm_access.roles`); None without one."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _text(value: object) -> str:
    """A claim as a name on one line; empty for what can't be one."""
    try:
        return name_of(value) if isinstance(value, str) else ""
    except BadAccount:
        return ""


def _roles(setting: str) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    for pair in filter(None, (pair.strip() for pair in setting.split(","))):
        group, equals, role = pair.rpartition("=")
        try:
            roles[name_of(group)] = role_of(role.strip())
        except BadAccount as error:
            raise BadSetting(
                f"RAG_BOT_OIDC_ROLES has {pair!r}.", "Write GROUP=ROLE, parted by commas: editors=editor,it=admin"
            ) from error
        if not equals:
            raise BadSetting(f"RAG_BOT_OIDC_ROLES has {pair!r}.", "Write GROUP=ROLE, parted by commas: editors=editor,it=admin")
    return roles


def _here(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
