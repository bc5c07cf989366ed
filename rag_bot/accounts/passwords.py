"""Passwords as argon2id hashes, with argon2-cffi's parameters (RFC 9106's low-memory ones: 64 MiB a hash)."""

from __future__ import annotations

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rag_bot.errors import BadAccount

SHORTEST, LONGEST = 12, 1024
_AT_ONCE = threading.BoundedSemaphore(2)  # each takes 64 MiB: many who sign in at once must not fill the memory
_hasher = PasswordHasher()


def hashed(password: str) -> str:
    """What is kept of a password. Raises BadAccount for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadAccount(
            f"The password has {len(password)} characters.", f"Take {SHORTEST} to {LONGEST}; a sentence does well."
        )
    with _AT_ONCE:
        return _hasher.hash(password)


def matches(kept: str, password: str) -> bool:
    """Whether the password is the one that was kept. Of nothing kept it takes as long to say no."""
    try:
        with _AT_ONCE:
            _hasher.verify(kept or _nobodys(), password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return bool(kept)


def outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return _hasher.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    return _hasher.hash("nobody has this password")
