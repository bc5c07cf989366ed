"""Which permission each route needs. What is not named here needs `admin`, so that a route can't be forgotten open."""

from __future__ import annotations

import re

from rag_bot.accounts.types import Permission

_READING = "GET|HEAD"
_RULES: tuple[tuple[str, str, Permission | None], ...] = (
    # Public: the page and its parts, the reference, health, signing in, and what Slack signs itself.
    (r"/|/static/.*|/docs|/docs/.*|/openapi\.json|/health/(live|ready)", _READING, None),
    (r"/v1/session(/.*)?", "GET|HEAD|POST|DELETE", None),
    (r"/slack/events", "POST", None),
    (r"/v1/(chat|search|chat/completions|feedback)", "POST", "ask"),
    (r"/v1/models(/.*)?|/v1/collections", _READING, "ask"),
    (r"/v1/conversations", _READING, "ask"),
    (r"/v1/conversations/[^/]+", "GET|HEAD|PATCH|DELETE", "ask"),
    (r"/v1/documents(/.*)?", _READING, "read"),
    (r"/v1/documents(/.*)?", "POST|DELETE", "write"),
    (r"/v1/jobs/.*", "GET|HEAD|DELETE", "write"),
    (r"/metrics", _READING, "metrics"),
)
_COMPILED = tuple((re.compile(path), frozenset(methods.split("|")), permission) for path, methods, permission in _RULES)


def needed(method: str, path: str) -> Permission | None:
    """The permission that a request needs; None: it is for everybody."""
    for pattern, methods, permission in _COMPILED:
        if method in methods and pattern.fullmatch(path):
            return permission
    return "admin"
