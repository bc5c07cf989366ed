"""A small index, made once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rag_bot.bot import Bot
from rag_bot.settings import Settings
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
