"""Which names a service answers to."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from rag_bot.api.security import Security, allowed_hosts
from rag_bot.settings import Settings


@pytest.mark.parametrize(
    ("settings", "host", "allowed"),
    [
        (Settings(), "127.0.0.1:8000", True),
        (Settings(), "localhost", True),
        (Settings(), "[::1]:8000", True),
        (Settings(), "evil.example:8000", False),
        (Settings(), "", False),
        (Settings(hosts="bot.example, other"), "BOT.example:443", True),
        (Settings(hosts="*"), "evil.example", True),
        (Settings(host="0.0.0.0"), "bot.example", True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_service_on_a_loopback_address_answers_to_its_own_names(settings: Settings, host: str, allowed: bool) -> None:
    inner = Starlette(routes=[Route("/", lambda request: PlainTextResponse("here"))])
    response = TestClient(Security(inner, allowed_hosts(settings))).get("/", headers={"Host": host})
    assert response.status_code == (200 if allowed else 421)
    assert allowed or "RAG_BOT_HOSTS" in response.json()["detail"]
