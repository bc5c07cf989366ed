"""A small index, made once and copied for each test; databases of both kinds for what is remembered."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rag_bot.bot import Bot
from rag_bot.settings import Settings
from tests import postgres
from tests.rag_bot.support import fill, running


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index of the test documents; only to be read."""
    return fill(tmp_path_factory.mktemp("filled") / "index").index


@pytest.fixture
def home(filled: Path, tmp_path: Path) -> Settings:
    """Settings of an index of the test documents that a test may change."""
    folder = tmp_path / "home"
    shutil.copytree(filled, folder)
    return Settings(index=folder)


@pytest.fixture
async def asked(home: Settings) -> AsyncIterator[Bot]:
    """A bot on the test documents."""
    async with running(home) as bot:
        yield bot


@pytest.fixture(scope="session")
def databases() -> Iterator[postgres.Databases]:
    """A PostgreSQL server; where there is none, the test is skipped."""
    try:
        with postgres.server() as found:
            yield found
    except postgres.Absent as absent:
        pytest.skip(str(absent))


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite3'}"
    fresh: str = request.getfixturevalue("databases").fresh()
    return fresh
