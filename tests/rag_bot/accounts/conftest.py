"""Accounts on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_bot.accounts.accounts import Accounts
from rag_bot.memory import Memory


@pytest.fixture
def memory(state_url: str) -> Iterator[Memory]:
    memory = Memory(state_url)
    yield memory
    memory.close()


@pytest.fixture
def accounts(memory: Memory) -> Accounts:
    return Accounts(memory)
