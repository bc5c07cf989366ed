"""The numbers of a process that answers in Slack alone."""

from __future__ import annotations

import httpx
import pytest

from rag_bot.build import build_bot
from rag_bot.settings import Settings
from rag_bot.slack.run import _Numbers
from tests.faults.replicas import free_port


@pytest.mark.parametrize(
    ("key", "given", "status"),
    [
        ("", "", 200),
        ("m" * 24, "", 401),
        ("m" * 24, "Bearer x", 401),
        ("m" * 24, "m" * 24, 401),
        ("m" * 24, "Bearer " + "m" * 24, 200),
    ],
)
async def test_a_key_for_the_numbers_is_asked_for_where_there_is_one(home: Settings, key: str, given: str, status: int) -> None:
    port = free_port()
    settings = Settings(**{**home.model_dump(exclude_unset=True), "metrics_key": key})
    bot = build_bot(settings)
    numbers = _Numbers(bot, port)
    await bot.start()
    try:
        await numbers.serve()
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": given} if given else {})
        assert answer.status_code == status
        assert ("rag_bot_documents" in answer.text) == (status == 200)
    finally:
        await numbers.close()
        await bot.close()
