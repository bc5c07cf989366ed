"""Accounts on SQLite and, where it is installed, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_bot.accounts.accounts import Accounts
from rag_bot.memory import Memory
from tests import postgres


@pytest.fixture(scope="session")
def databases() -> Iterator[postgres.Databases | str]:
    try:
        with postgres.server() as found:
            yield found
    except postgres.Absent as reason:
        yield str(reason)


@pytest.fixture(params=["sqlite", "postgresql"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Memory]:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    if request.param == "postgresql":
        found = request.getfixturevalue("databases")
        if isinstance(found, str):
            pytest.skip(found)
        url = found.fresh()
    memory = Memory(url)
    yield memory
    memory.close()


@pytest.fixture
def accounts(memory: Memory) -> Accounts:
    return Accounts(memory)
