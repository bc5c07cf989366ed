"""Bodies that are too large, questions that are too many, and too many at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rag_bot.api.limits import MINUTE, Rate, address_of
from rag_bot.settings import Settings
from tests.rag_bot.api.conftest import ToyBot, client_of

QUESTION = {"question": "How long?"}


@pytest.fixture
def small(settings: Settings, folder: Path) -> Iterator[TestClient]:
    bot = ToyBot(settings.model_copy(update={"max_body_bytes": 1024, "max_file_bytes": 5000}), folder)
    with client_of(bot) as client:
        yield client


def in_pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 100):
        yield body[start : start + 100]


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/search", "/v1/feedback", "/v1/nothing"])
def test_a_body_over_the_limit_is_413(small: TestClient, path: str) -> None:
    response = small.post(path, json={"question": "x" * 1024})
    assert (response.status_code, response.headers["content-type"]) == (413, "application/problem+json")
    assert "1,024 bytes" in response.json()["detail"]


def test_a_body_in_pieces_is_counted_while_it_comes(small: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    large = json.dumps({"question": "x" * 5000}).encode()
    response = small.post("/v1/chat", content=in_pieces(large), headers=headers)
    assert (response.status_code, response.json()["title"]) == (413, "Too large")
    fits = small.post("/v1/chat", content=in_pieces(json.dumps({"question": "How long?"}).encode()), headers=headers)
    assert fits.status_code == 200


def test_an_upload_in_pieces_is_counted_too(small: TestClient) -> None:
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = start + b"x" * 100_000 + b"\r\n--b--\r\n"
    response = small.post("/v1/documents", content=in_pieces(body), headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert response.status_code == 413


def test_openais_clients_are_told_in_their_form(small: TestClient) -> None:
    for body in (json.dumps({"messages": "x" * 5000}).encode(),):
        whole = small.post("/v1/chat/completions", content=body)
        pieces = small.post("/v1/chat/completions", content=in_pieces(body), headers={"Content-Type": "application/json"})
        for response in (whole, pieces):
            assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


def test_a_length_that_is_no_number_does_no_harm(small: TestClient) -> None:
    assert small.post("/v1/search", json={"query": "x"}, headers={"Content-Length": "many"}).status_code in (200, 400)


def test_questions_over_the_rate_are_429(settings: Settings, folder: Path) -> None:
    bot = ToyBot(settings.model_copy(update={"rate_per_minute": 3}), folder)
    with client_of(bot) as client:
        statuses = [client.post("/v1/chat", json=QUESTION).status_code for _ in range(2)]
        statuses.append(client.post("/v1/search", json={"query": "leave"}).status_code)
        refused = client.post("/v1/chat", json=QUESTION)
        openai = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]})
        others = [client.get("/health/live").status_code, client.get("/v1/conversations").status_code]
    assert statuses == [200, 200, 200]
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (openai.status_code, openai.json()["error"]["type"]) == (429, "rate_limit_error")
    assert others == [200, 200]


def test_the_rate_is_by_address_and_passes_with_time() -> None:
    now = 1000.0
    rate = Rate(2, clock=lambda: now)
    assert [rate.wait("a"), rate.wait("a"), rate.wait("b")] == [0, 0, 0]
    now += 20
    assert rate.wait("a") == MINUTE - 20
    now += 40
    assert [rate.wait("a"), rate.wait("a")] == [0, 0]
    assert rate.wait("a") == MINUTE


def test_addresses_that_are_gone_are_forgotten() -> None:
    now = 1000.0
    rate = Rate(1, clock=lambda: now)
    for n in range(10_000):
        rate.wait(f"address {n}")
    now += 2 * MINUTE
    rate.wait("one more")
    assert len(rate._times) == 1


def test_an_ipv6_client_is_its_network() -> None:
    assert (
        address_of({"client": ("2001:db8:1:2:3:4:5:6", 1)})
        == address_of({"client": ("2001:db8:1:2::9", 1)})
        == "2001:db8:1:2::/64"
    )
    assert address_of({"client": ("10.0.0.7", 1)}) == "10.0.0.7"
    assert address_of({"client": None}) == "unknown"


def test_more_at_once_than_allowed_are_503(settings: Settings, folder: Path) -> None:
    bot = ToyBot(settings.model_copy(update={"max_concurrent": 1}), folder)
    with client_of(bot) as client:
        first = threading.Thread(target=client.post, args=("/v1/chat",), kwargs={"json": {"question": "slow"}})
        first.start()
        assert bot.working.wait(10)
        refused = client.post("/v1/chat", json=QUESTION)
        live = client.get("/health/live")
        first.join()
        after = client.post("/v1/chat", json=QUESTION)
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert int(refused.headers["retry-after"]) >= 1
    assert (live.status_code, after.status_code) == (200, 200)
