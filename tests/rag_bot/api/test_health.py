"""/health, /metrics, and the start of the bot in the background."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from ingest.errors import IndexMissing
from rag_bot.api import service
from rag_bot.api.place import Place
from tests.rag_bot.api.conftest import ToyBot, client_of, wait_until

PLACE = ("rag_bot_ready", "rag_bot_disk")


def test_live_and_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"live": True}
    assert client.get("/health/ready").json() == {"ready": True, "documents": 3, "chunks": 3}


@pytest.mark.parametrize("path", ["/", "/health/live", "/health/ready"])
def test_what_watches_a_service_may_ask_for_the_head_alone(client: TestClient, path: str) -> None:
    response = client.head(path)
    assert (response.status_code, response.content) == (200, b"")


def test_until_ready_every_answering_route_says_what_is_missing(client: TestClient, bot: ToyBot) -> None:
    bot.missing = "The models are being loaded."
    responses = [
        client.get("/health/ready"),
        client.post("/v1/chat", json={"question": "How long?"}),
        client.post("/v1/search", json={"query": "leave"}),
        client.get("/v1/documents"),
        client.post("/v1/documents", files={"file": ("a.txt", b"Words.")}),
    ]
    for response in responses:
        assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
        assert response.json()["detail"] == "The models are being loaded."
        assert int(response.headers["retry-after"]) >= 1
    openai = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]})
    assert (openai.status_code, openai.json()["error"]["message"]) == (503, "The models are being loaded.")
    assert client.get("/health/live").status_code == 200
    assert client.get("/metrics").status_code == 200


def test_the_service_answers_while_the_bot_starts(bot: ToyBot) -> None:
    go = asyncio.Event()

    class Slow(ToyBot):
        async def start(self) -> None:
            self.missing = "Starting."
            await go.wait()

    slow = Slow(bot.settings, bot.index.folder)
    slow.missing = "Starting."
    with client_of(slow) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
    assert slow.closed


def test_a_start_that_fails_is_said_and_tried_again(bot: ToyBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RETRY_SECONDS", 0.2)
    bot.failures = [IndexMissing("There is no index at /data.", "ingest add")] * 2
    with client_of(bot) as client:
        wait_until(lambda: bot.starts >= 1)
        response = client.get("/health/ready")
        assert (response.status_code, response.json()["detail"]) == (503, "There is no index at /data. ingest add")
        wait_until(lambda: client.get("/health/ready").status_code == 200)
    assert bot.starts == 3


def test_a_start_that_breaks_says_nothing_of_the_inside(bot: ToyBot) -> None:
    bot.failures = [RuntimeError("a secret inside")]
    with client_of(bot) as client:
        wait_until(lambda: bot.starts == 1)
        response = client.get("/health/ready")
    assert response.status_code == 503
    assert "secret" not in response.text


def test_metrics_count_what_happened(client: TestClient) -> None:
    for question in ("How long?", "unknown", "block", "broken", "", "late break"):
        client.post("/v1/chat", json={"question": question}, headers={"Accept": "text/event-stream"})
    client.post("/v1/chat", json={"question": "How long?"})
    client.get("/v1/documents/d-leave")
    client.get("/v1/documents/nothing")
    client.get("/some/where")
    lines = client.get("/metrics").text.splitlines()
    assert 'rag_bot_questions_total{outcome="answered"} 2.0' in lines
    assert 'rag_bot_questions_total{outcome="abstained"} 1.0' in lines
    assert 'rag_bot_questions_total{outcome="blocked"} 1.0' in lines
    assert 'rag_bot_questions_total{outcome="error"} 2.0' in lines
    assert 'rag_bot_step_seconds_count{step="retrieve"} 4.0' in lines
    assert 'rag_bot_requests_total{method="GET",route="/v1/documents/{document_id}",status="200"} 1.0' in lines
    assert 'rag_bot_requests_total{method="GET",route="/v1/documents/{document_id}",status="404"} 1.0' in lines
    assert 'rag_bot_requests_total{method="POST",route="/v1/chat",status="500"} 1.0' in lines
    assert 'rag_bot_requests_total{method="GET",route="other",status="404"} 1.0' in lines
    assert "rag_bot_documents 3.0" in lines
    assert "rag_bot_chunks 3.0" in lines
    assert "rag_bot_streams_open 0.0" in lines


def test_metrics_say_whether_it_is_ready_and_how_full_the_disk_is(client: TestClient, bot: ToyBot) -> None:
    bot.settings.index.mkdir(parents=True, exist_ok=True)
    numbers = dict(line.split(" ") for line in client.get("/metrics").text.splitlines() if line.startswith(PLACE))
    assert numbers["rag_bot_ready"] == "1.0"
    assert 0 < float(numbers["rag_bot_disk_free_bytes"]) <= float(numbers["rag_bot_disk_bytes"])
    bot.missing = "The models are being loaded."
    assert "rag_bot_ready 0.0" in client.get("/metrics").text.splitlines()


def test_metrics_go_on_where_the_disk_can_not_be_looked_at(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(Place(lambda: "The index is gone.", tmp_path / "gone"))
    assert registry.get_sample_value("rag_bot_ready") == 0
    assert registry.get_sample_value("rag_bot_disk_bytes") is None
