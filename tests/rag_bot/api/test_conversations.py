"""/v1/conversations and /v1/feedback."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient


@pytest.fixture
def answer(client: TestClient) -> dict[str, Any]:
    return dict(client.post("/v1/chat", json={"question": "How long is parental leave?"}).json())


def test_a_conversation_is_listed_and_read_whole(client: TestClient, answer: dict[str, Any]) -> None:
    [listed] = client.get("/v1/conversations").json()["conversations"]
    assert set(listed) == {"id", "title", "created_at", "updated_at"}
    assert (listed["id"], listed["title"]) == (answer["conversation_id"], "How long is parental leave?")
    whole = client.get(f"/v1/conversations/{listed['id']}").json()
    assert {key: whole[key] for key in listed} == listed
    [message] = whole["messages"]
    assert (message["question"], message["answer"], message["thumb"]) == ("How long is parental leave?", answer, None)


def test_the_list_comes_in_pages(client: TestClient) -> None:
    for n in range(5):
        client.post("/v1/chat", json={"question": f"question {n}"})
    titles, before = [], None
    for _ in range(3):
        page = client.get("/v1/conversations", params={"limit": 2} | ({"before": before} if before else {})).json()
        titles.append([each["title"] for each in page["conversations"]])
        before = page["next"]
    assert titles == [["question 4", "question 3"], ["question 2", "question 1"], ["question 0"]]
    assert before is None


def test_rename_and_delete(client: TestClient, answer: dict[str, Any]) -> None:
    path = f"/v1/conversations/{answer['conversation_id']}"
    renamed = client.patch(path, json={"title": "  Parental leave  "})
    assert (renamed.status_code, renamed.json()["title"]) == (200, "Parental leave")
    assert client.get(path).json()["title"] == "Parental leave"
    assert client.delete(path).status_code == 204
    for response in (client.get(path), client.delete(path), client.patch(path, json={"title": "x"})):
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": "   "}, {"title": "x" * 201}, {"title": None}])
def test_a_title_that_is_none_is_422(client: TestClient, answer: dict[str, Any], body: Any) -> None:
    response = client.patch(f"/v1/conversations/{answer['conversation_id']}", json=body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith("title: ")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x"])
def test_a_page_that_is_none_is_422(client: TestClient, query: str) -> None:
    assert client.get(f"/v1/conversations?{query}").status_code == 422


def test_feedback_is_kept(client: TestClient, answer: dict[str, Any]) -> None:
    body = {"answer_id": answer["answer_id"], "thumb": -1, "reason": "old", "right_source": "leave-2026.md"}
    response = client.post("/v1/feedback", json=body)
    assert (response.status_code, response.json()) == (200, body)
    message = client.get(f"/v1/conversations/{answer['conversation_id']}").json()["messages"][0]
    assert message["thumb"] == -1


@pytest.mark.parametrize(
    ("change", "status"),
    [({"answer_id": "nothing"}, 404), ({"thumb": 0}, 422), ({"thumb": 2}, 422), ({"reason": "x" * 4001}, 422)],
)
def test_feedback_that_can_not_be_taken(client: TestClient, answer: dict[str, Any], change: Any, status: int) -> None:
    response = client.post("/v1/feedback", json={"answer_id": answer["answer_id"], "thumb": 1} | change)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
