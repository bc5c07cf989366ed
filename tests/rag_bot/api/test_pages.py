"""The chat page's files, the reference at /docs, headers, and problems outside of any route."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ingest.errors import IngestError
from rag_bot.api import problems
from rag_bot.errors import BotError, Busy
from rag_bot.settings import Settings
from tests.rag_bot.api.conftest import ToyBot, client_of

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def test_the_chat_page_and_its_files(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    own = re.findall(r'(?:src|href)="(static/[^"#]+)"', page.text)
    assert own
    for path in own:
        assert client.get(f"/{path}").status_code == 200, path


def test_static_files_are_kept_and_asked_about(client: TestClient) -> None:
    first = client.get("/static/index.html")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/static/index.html", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/static/nothing.js", "/static/../app.py", "/static/%2e%2e/app.py", "/static/"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/static/index.html"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/v1/documents"),
        ("GET", "/nothing"),
        ("PUT", "/v1/chat"),
        ("POST", "/v1/chat"),
    ],
)
def test_every_answer_has_the_strict_headers(client: TestClient, method: str, path: str) -> None:
    headers = client.request(method, path).headers
    assert headers["content-security-policy"] == CSP
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache")


def test_docs_name_every_route_and_load_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"<b>{method.upper()}</b> {path}</h3>" in page
    assert "<script" not in page and "http:" not in page and "https:" not in page and "style=" not in page
    assert "What to ask the documents." in page
    assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")


def test_docs_are_well_formed(client: TestClient) -> None:
    class Balance(HTMLParser):
        void = frozenset({"meta", "link", "br"})

        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in self.void:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(client.get("/docs").text)
    assert parser.open == []


def test_the_description_has_every_route_of_the_contract(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == {
        ("post", "/v1/chat"), ("post", "/v1/search"), ("post", "/v1/chat/completions"), ("get", "/v1/models"),
        ("get", "/v1/models/{model}"), ("post", "/v1/documents"), ("get", "/v1/documents"),
        ("get", "/v1/documents/{document_id}"), ("get", "/v1/documents/{document_id}/text"),
        ("get", "/v1/jobs/{job_id}"), ("get", "/v1/jobs/{job_id}/events"), ("delete", "/v1/jobs/{job_id}"),
        ("get", "/v1/documents/{document_id}/file"), ("get", "/v1/documents/{document_id}/boxes"),
        ("delete", "/v1/documents/{document_id}"),
        ("get", "/v1/conversations"), ("get", "/v1/conversations/{conversation_id}"),
        ("patch", "/v1/conversations/{conversation_id}"), ("delete", "/v1/conversations/{conversation_id}"),
        ("get", "/v1/collections"), ("get", "/v1/session"), ("post", "/v1/session"), ("delete", "/v1/session"),
        ("post", "/v1/session/password"), ("get", "/v1/users"), ("post", "/v1/users"), ("patch", "/v1/users/{user_id}"),
        ("delete", "/v1/users/{user_id}"), ("get", "/v1/keys"), ("post", "/v1/keys"), ("delete", "/v1/keys/{key_id}"),
        ("get", "/v1/audit"), ("get", "/v1/session/oidc"), ("get", "/v1/session/oidc/callback"),
        ("post", "/v1/feedback"), ("get", "/health/live"), ("get", "/health/ready"), ("get", "/metrics"),
    }  # fmt: skip


def test_what_is_not_there_and_what_is_not_taken(client: TestClient) -> None:
    missing = client.get("/v1/nothing")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    assert "/v1/nothing" in missing.json()["detail"] and "/docs" in missing.json()["detail"]
    wrong = client.get("/v1/chat")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["detail"] == "/v1/chat does not take GET; it takes POST. See /docs."
    assert client.get("/v1/chat/completions").json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_of_another_site_can_not_write(client: TestClient, headers: dict[str, str], status: int) -> None:
    response = client.post("/v1/search", json={"query": "leave"}, headers=headers)
    assert response.status_code == status
    assert client.get("/v1/documents", headers=headers).status_code == 200


def every_error(root: type[Exception]) -> set[type[Exception]]:
    return {root}.union(*(every_error(cls) for cls in root.__subclasses__()))


def test_every_error_of_both_trees_has_its_own_problem() -> None:
    ours = {
        cls for cls in every_error(IngestError) | every_error(BotError) if cls.__module__ in ("ingest.errors", "rag_bot.errors")
    }
    assert set(problems.KINDS) == ours
    for cls in ours:
        problem = problems.problem_of(cls("What is wrong.", "What to do."))
        assert problem.detail == "What is wrong. What to do."
        assert (problem.retry_after is not None) == (problem.status in (429, 503)), cls
    assert problems.problem_of(Busy("Too much.", retry_after=7)).retry_after == 7


def test_an_error_that_is_none_of_ours_is_said_without_its_words() -> None:
    problem = problems.problem_of(KeyError("password"))
    assert (problem.status, "password" in str(problem)) == (500, False)


def test_a_route_that_breaks_is_a_problem_with_headers(bot: ToyBot, client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)

    @app.get("/v1/breaks")
    def breaks() -> None:
        raise ZeroDivisionError("a secret inside")

    response = client.get("/v1/breaks")
    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in response.text
    assert response.headers["content-security-policy"] == CSP


def test_other_settings_make_other_limits(settings: Settings, folder: Path) -> None:
    bot = ToyBot(settings.model_copy(update={"max_question_chars": 5}), folder)
    with client_of(bot) as client:
        assert client.post("/v1/search", json={"query": "123456"}).status_code == 422
        assert client.post("/v1/search", json={"query": "12345"}).status_code == 200
