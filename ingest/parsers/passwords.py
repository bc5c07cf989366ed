"""The passwords that encrypted files are tried with, while a file is read; files inside a file are tried with the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from ingest.errors import Encrypted

_TRIED: ContextVar[tuple[str, ...]] = ContextVar("passwords", default=())


@contextmanager
def trying(passwords: Sequence[str]) -> Iterator[None]:
    """Within the block, `passwords` are tried in turn."""
    token = _TRIED.set(tuple(passwords))
    try:
        yield
    finally:
        _TRIED.reset(token)


def tried() -> tuple[str, ...]:
    """What to try, in this order."""
    return _TRIED.get()


def locked() -> Encrypted:
    """The refusal of a file that none of the passwords opens; it names none of them."""
    if tried():
        return Encrypted("needs a password, and none in RAG_BOT_PASSWORDS opens it", hint="Add its password there.")
    return Encrypted("needs a password: RAG_BOT_PASSWORDS names none", hint="Put its password there.")
