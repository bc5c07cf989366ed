"""POST /v1/chat and /v1/search, whole and as events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag_bot.api import stream
from tests.rag_bot.api.conftest import LEAVE, ToyBot

EVENTS = {"Accept": "text/event-stream"}


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Names and data of server-sent events."""
    found = []
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_the_answer_object_comes_whole(client: TestClient) -> None:
    response = client.post("/v1/chat", json={"question": "How long is parental leave?"})
    answer = response.json()
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert set(answer) == {
        "answer", "abstained", "blocked", "sentences", "citations", "confidence", "question", "model", "conversation_id",
        "answer_id", "usage", "timings_ms", "notes", "counts", "rails",
    }  # fmt: skip
    assert answer["sentences"][0] == {"text": "Parental leave lasts sixteen weeks.", "citations": [1], "supported": True}
    for citation in answer["citations"]:
        text = client.get(f"/v1/documents/{citation['document_id']}/text").text
        assert text[citation["start"] : citation["end"]] == citation["quote"]


def test_events_come_in_order_and_end_with_the_answer_object(client: TestClient) -> None:
    response = client.post("/v1/chat", json={"question": "How long?"}, headers=EVENTS)
    events = events_of(response.text)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-store"
    assert [name for name, _ in events] == ["status", "sources", "sentence", "sentence", "done"]
    assert events[0][1] == {"step": "retrieve"}
    assert events[1][1]["hits"][0]["text"] == LEAVE
    sentence = events[2][1]
    assert (sentence["text"], sentence["supported"]) == ("Parental leave lasts sixteen weeks.", True)
    assert sentence["citations"][0] == {
        "n": 1, "document_id": "d-leave", "source": "leave.md", "title": "leave.md", "page": 1, "heading": ["Leave"],
        "start": 0, "end": 35, "quote": "Parental leave lasts sixteen weeks.", "place": None,
    }  # fmt: skip
    answer = events[-1][1]
    assert answer["answer"].startswith("Parental leave lasts sixteen weeks. [1]")
    assert "🦊" in answer["answer"]
    assert response.text.isascii()  # no U+2028 that a client could take for the end of a line


def test_a_refusal_by_a_rail_is_an_event_and_still_200(client: TestClient) -> None:
    events = events_of(client.post("/v1/chat", json={"question": "block"}, headers=EVENTS).text)
    refused = {"rail": "topic", "reason": "off-topic", "message": "That is not for here."}
    assert ("blocked", refused) in events
    response = client.post("/v1/chat", json={"question": "block"})
    assert (response.status_code, response.json()["blocked"]) == (200, refused)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json, text/event-stream;q=0.5", "application/json"),
        ("text/event-stream;q=0", "application/json"),
        ("TEXT/Event-Stream", "text/event-stream"),
        ("text/event-stream, */*", "text/event-stream"),
        ("text/event-stream, application/json;q=0.9", "text/event-stream"),
        ("text/event-stream;q=nonsense", "text/event-stream"),
    ],
)
def test_accept_chooses_the_form(client: TestClient, accept: str, kind: str) -> None:
    response = client.post("/v1/chat", json={"question": "How long?"}, headers={"Accept": accept})
    assert response.headers["content-type"].split(";")[0] == kind


def test_a_conversation_goes_on(client: TestClient, bot: ToyBot) -> None:
    first = client.post("/v1/chat", json={"question": "How long?"}).json()
    second = client.post("/v1/chat", json={"question": "And for fathers?", "conversation_id": first["conversation_id"]}).json()
    assert second["conversation_id"] == first["conversation_id"]
    assert [turn.question for turn in bot.turns] == ["How long?"]


@pytest.mark.parametrize("headers", [{}, EVENTS])
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"question": "  "}, 422, "The question is empty. Write one."),
        ({"question": "x" * 10_001}, 422, "too long"),
        ({"question": "How long?", "conversation_id": "nothing"}, 404, "no conversation 'nothing'"),
        ({"question": "How long?", "collection": "secret"}, 404, "no collection 'secret'"),
        ({}, 422, "question: Field required"),
        ({"question": 5}, 422, "question: "),
        ({"question": "How long?", "conversation_id": "x" * 65}, 422, "conversation_id: "),
        ([1], 422, "body: "),
    ],
)
def test_a_question_that_can_not_be_taken_is_a_problem(
    client: TestClient, headers: dict[str, str], body: Any, status: int, said: str
) -> None:
    response = client.post("/v1/chat", json=body, headers=headers)
    problem = response.json()
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    assert said in problem["detail"]
    assert set(problem) >= {"type", "title", "status", "detail"}


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b'{"question": "\\ud800"}'])
def test_a_body_that_is_not_json_text_is_a_problem(client: TestClient, body: bytes) -> None:
    response = client.post("/v1/chat", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]


def test_json_is_said_to_be_broken_where_it_is(client: TestClient) -> None:
    response = client.post("/v1/chat", content=b'{"question": }', headers={"Content-Type": "application/json"})
    assert response.json()["detail"] == "body: not JSON: Expecting value (character 13)."


def test_a_form_from_another_kind_of_client_is_told_what_to_send(client: TestClient) -> None:
    response = client.post("/v1/chat", content=b'{"question": "How long?"}', headers={"Content-Type": "text/plain"})
    assert response.status_code == 422
    assert "Content-Type: application/json" in response.json()["detail"]


def test_an_error_before_the_stream_has_its_own_status_and_says_nothing_of_the_inside(client: TestClient) -> None:
    for headers in ({}, EVENTS):
        response = client.post("/v1/chat", json={"question": "broken"}, headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
        assert "secret" not in response.text and "Traceback" not in response.text
        assert response.headers["x-content-type-options"] == "nosniff"


def test_an_error_in_the_stream_is_its_last_event(client: TestClient) -> None:
    response = client.post("/v1/chat", json={"question": "late break"}, headers=EVENTS)
    events = events_of(response.text)
    assert response.status_code == 200
    assert [name for name, _ in events] == ["status", "sources", "error"]
    assert (events[-1][1]["status"], events[-1][1]["title"]) == (500, "Something went wrong")
    assert "secret" not in response.text


def test_while_nothing_comes_comments_keep_the_connection(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE_SECONDS", 0.05)
    response = client.post("/v1/chat", json={"question": "slow"}, headers=EVENTS)
    assert response.text.count(": keep-alive\n\n") >= 2
    assert [name for name, _ in events_of(response.text)][-1] == "done"


def test_search_gives_hits(client: TestClient) -> None:
    response = client.post("/v1/search", json={"query": "leave", "k": 1, "mode": "keyword"})
    assert response.status_code == 200
    [hit] = response.json()["hits"]
    assert set(hit) == {"document_id", "source", "title", "page", "heading", "start", "end", "score", "text", "place"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": " "}, "The query is empty"),
        ({"query": "x" * 10_001}, "10,001 characters; 10,000 are allowed"),
        ({"query": "leave", "k": 0}, "k: "),
        ({"query": "leave", "k": 101}, "k: "),
        ({"query": "leave", "mode": "magic"}, "mode: "),
        ({}, "query: "),
    ],
)
def test_a_search_that_can_not_be_taken_is_a_problem(client: TestClient, body: Any, said: str) -> None:
    response = client.post("/v1/search", json=body)
    assert response.status_code == 422
    assert said in response.json()["detail"]
