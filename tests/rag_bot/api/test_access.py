"""Accounts at the door: nobody unknown comes in, nobody does more than they may, nobody sees what is not theirs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from ingest.build import open_pipeline
from rag_bot.accounts.accounts import Accounts
from rag_bot.api.permissions import needed
from rag_bot.build import build_bot
from rag_bot.confidence import Calibration
from rag_bot.memory import Memory
from rag_bot.settings import Settings
from tests.rag_bot.api.conftest import BY_WORDS, client_of, wait_until

WORDS = "correct horse battery"
PAY = "The salary of the boss is nine thousand euros a month."
GARAGE = "The garage closes at ten in the evening."
ASK_PAY = "What is the salary of the boss a month?"


@dataclass
class Company:
    """A running service with two groups: `hr` reads all, the others not what is in `hr/`."""

    client: TestClient
    accounts: Accounts
    settings: Settings
    documents: dict[str, str] = field(default_factory=dict)

    def key(self, role: Any = "reader", *groups: str, **more: Any) -> dict[str, str]:
        """The headers of a new key."""
        _, token = self.accounts.keys.create("test", role, groups=groups, **more)
        return {"Authorization": f"Bearer {token}"}

    def get(self, path: str, headers: dict[str, str]) -> Any:
        return self.client.get(path, headers=headers)

    def ask(self, question: str, headers: dict[str, str], **more: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/chat", headers=headers, json={"question": question, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def company(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Company]:
    monkeypatch.setattr(Calibration, "load", lambda *_: BY_WORDS)
    readers = tmp_path / "readers.toml"
    readers.write_text('[documents]\n"upload:hr/" = ["hr"]\n[collections]\nbuildings = ["upload:garage.md"]\n')
    more = {"auth": "on", "admin_password": WORDS, "metrics_key": "m" * 24, "readers": readers, **getattr(request, "param", {})}
    settings = Settings(**{**settings.model_dump(exclude_unset=True), **more})
    with open_pipeline(settings) as pipeline:
        for name, text in (("garage.md", GARAGE), ("hr/pay.md", PAY)):
            assert pipeline.upload(name, text.encode()).status == "added"
    memory = Memory(settings.state_url)
    with client_of(build_bot(settings)) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        found = Company(client, Accounts(memory), settings)
        for info in client.get("/v1/documents", headers=found.key("reader", "hr")).json()["documents"]:
            found.documents[info["source"]] = info["document_id"]
        yield found
    memory.close()


def signed_in(company: Company, name: str = "admin", password: str = WORDS) -> dict[str, str]:
    """Sign the client in; the header that writing needs."""
    answer = company.client.post("/v1/session", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": company.client.cookies["rag_bot_csrf"]}


# --- who comes in


def test_whoever_finds_the_service_ready_can_sign_in(real_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on, first_admin = Event(), Event(), Accounts.first_admin

    def slowly(self: Accounts, password: str) -> bool:
        started.set()
        assert go_on.wait(30)
        return first_admin(self, password)

    monkeypatch.setattr(Accounts, "first_admin", slowly)
    settings = real_settings.model_copy(update={"auth": "on", "admin_password": SecretStr(WORDS)})
    with client_of(build_bot(settings)) as client:
        assert started.wait(30)
        assert client.get("/health/ready").status_code == 503
        go_on.set()
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert client.post("/v1/session", json={"name": "admin", "password": WORDS}).status_code == 200


def test_nobody_unknown_gets_past_the_door(company: Company) -> None:
    paths = company.client.get("/openapi.json").json()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method in methods:
            public = needed(method.upper(), re.sub(r"{\w+}", "x", path)) is None
            answer = company.client.request(method, re.sub(r"{\w+}", "x", path), json={})
            assert (answer.status_code == 401) != public or path == "/v1/session/password", (method, path)
            if not public:
                asked += 1
                assert "Bearer" in answer.headers["www-authenticate"]
    assert asked > 25


def test_a_route_that_no_rule_names_is_for_admins() -> None:
    assert needed("GET", "/v1/forgotten") == "admin"
    assert needed("PUT", "/v1/documents/x") == "admin"
    assert needed("POST", "/v1/chat/") == "admin"
    assert needed("GET", "//v1/keys") == "admin"
    assert needed("POST", "/health/live") == "admin"


def test_the_page_and_its_health_need_no_name(company: Company) -> None:
    for path in ("/", "/static/app.js", "/docs", "/health/live", "/health/ready", "/v1/session"):
        assert company.client.get(path).status_code == 200, path
    assert "set-cookie" not in company.client.get("/").headers
    assert company.client.get("/health/ready").json() == {"ready": True}  # how much there is, is nobody's business


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer rb_x", "Basic YWRtaW46YWRtaW4=", "rb_", "Bearer é"])
def test_what_is_no_key_lets_nobody_in(company: Company, value: str) -> None:
    answer = company.client.get("/v1/documents", headers={b"Authorization": value.encode("latin-1")})
    assert answer.status_code == 401


def test_a_revoked_key_is_out_at_once_where_it_was_revoked(company: Company) -> None:
    headers, admin = company.key(), company.key("admin")
    assert company.get("/v1/documents", headers).status_code == 200
    key_id = headers["Authorization"].removeprefix("Bearer ").rpartition("_")[0]
    assert company.client.delete(f"/v1/keys/{key_id}", headers=admin).status_code == 200
    assert company.get("/v1/documents", headers).status_code == 401


def test_the_metrics_key_opens_the_metrics_alone(company: Company) -> None:
    headers = {"Authorization": "Bearer " + "m" * 24}
    assert company.get("/metrics", headers).status_code == 200
    assert company.get("/v1/documents", headers).status_code == 403
    assert company.get("/metrics", company.key("editor")).status_code == 403
    assert company.get("/metrics", company.key("admin", permissions=["metrics"])).status_code == 200


ROUTES = {
    ("POST", "/v1/search"): "ask",
    ("GET", "/v1/conversations"): "ask",
    ("GET", "/v1/documents"): "read",
    ("DELETE", "/v1/documents/nothing"): "write",
    ("GET", "/v1/jobs/" + "0" * 32): "write",
    ("GET", "/metrics"): "metrics",
    ("GET", "/v1/users"): "admin",
    ("GET", "/v1/keys"): "admin",
    ("GET", "/v1/audit"): "admin",
}


@pytest.mark.parametrize("permission", ["ask", "read", "write", "metrics", "admin"])
def test_a_permission_opens_its_own_routes_alone(company: Company, permission: str) -> None:
    headers = company.key("admin", permissions=[permission])
    for (method, path), wanted in ROUTES.items():
        answer = company.client.request(method, path, headers=headers, json={"query": "garage"} if method == "POST" else None)
        assert (answer.status_code == 403) == (wanted != permission), (method, path)


# --- sessions


def test_a_session_reads_and_writes_with_the_page_s_token(company: Company) -> None:
    token = signed_in(company)
    assert company.client.get("/v1/session").json()["principal"]["role"] == "admin"
    assert company.client.get("/v1/documents").status_code == 200
    forged = company.client.post("/v1/keys", json={"name": "robot"})
    assert forged.status_code == 403 and forged.json()["type"].endswith("forged")
    assert company.client.post("/v1/keys", json={"name": "robot"}, headers=token).status_code == 201
    wrong = {"X-CSRF-Token": token["X-CSRF-Token"][:-2]}
    assert company.client.post("/v1/keys", json={"name": "robot"}, headers=wrong).status_code == 403

    assert company.client.delete("/v1/session", headers=token).status_code == 204
    assert company.client.get("/v1/documents").status_code == 401


def test_a_cookie_that_was_tampered_with_is_none(company: Company) -> None:
    signed_in(company)
    cookie = company.client.cookies["rag_bot_session"]
    company.client.cookies.clear()
    payload, _, rest = cookie.partition(".")
    for forged in (payload + "." + rest[:-3] + "AAA", "eyJ1c2VyIjogInVzcl8wIiwgImVwb2NoIjogMH0=." + rest, "x", ""):
        answer = company.client.get("/v1/documents", headers={"Cookie": f"rag_bot_session={forged}"})
        assert answer.status_code == 401


def test_signing_out_everywhere_and_a_new_password_end_other_sessions(company: Company) -> None:
    company.accounts.users.add("ada", WORDS)
    token = signed_in(company, "ada")
    elsewhere = dict(company.client.cookies)
    changed = company.client.post("/v1/session/password", json={"old": WORDS, "new": "another long password"}, headers=token)
    assert changed.status_code == 204
    assert company.client.get("/v1/documents").status_code == 200  # this one goes on
    here = dict(company.client.cookies)
    company.client.cookies.clear()
    cookie = {"Cookie": f"rag_bot_session={elsewhere['rag_bot_session']}"}
    assert company.client.get("/v1/documents", headers=cookie).status_code == 401

    both = {"Cookie": "; ".join(f"{name}={value}" for name, value in here.items()), "X-CSRF-Token": here["rag_bot_csrf"]}
    assert company.client.delete("/v1/session?everywhere=true", headers=both).status_code == 204
    company.client.cookies.clear()
    assert company.client.get("/v1/documents", headers=both).status_code == 401


def test_a_disabled_user_is_out(company: Company) -> None:
    ada = company.accounts.users.add("ada", WORDS)
    signed_in(company, "ada")
    admin = company.key("admin")
    cookies = {"Cookie": f"rag_bot_session={company.client.cookies['rag_bot_session']}"}
    company.client.cookies.clear()
    assert company.client.get("/v1/documents", headers=cookies).status_code == 200
    assert company.client.patch(f"/v1/users/{ada.id}", json={"disabled": True}, headers=admin).status_code == 200
    company.client.cookies.clear()
    assert company.client.get("/v1/documents", headers=cookies).status_code == 401
    assert company.client.post("/v1/session", json={"name": "ada", "password": WORDS}).status_code == 401


def test_passwords_are_not_guessed_for_long(company: Company) -> None:
    statuses = [
        company.client.post("/v1/session", json={"name": f"admin{n % 3 or ''}", "password": "wrong wrong wrong"}).status_code
        for n in range(12)
    ]
    assert statuses[0] == 401 and statuses[-1] == 429
    late = company.client.post("/v1/session", json={"name": "admin", "password": WORDS})
    assert late.status_code == 429 and int(late.headers["retry-after"]) > 0


def test_an_error_of_signing_in_says_not_what_was_wrong(company: Company) -> None:
    unknown = company.client.post("/v1/session", json={"name": "nobody", "password": WORDS})
    wrong = company.client.post("/v1/session", json={"name": "admin", "password": "x" * 20})
    assert unknown.json() == wrong.json()


# --- what is read


def test_search_answers_and_lists_hold_only_what_one_may_read(company: Company) -> None:
    hr, other = company.key("reader", "hr"), company.key()
    assert PAY in company.ask(ASK_PAY, hr)["answer"]
    refused = company.ask(ASK_PAY, other)
    assert refused["abstained"] and "nine" not in str(refused) and "pay.md" not in str(refused)
    for mode in ("hybrid", "dense", "keyword"):
        body = {"query": "salary of the boss", "k": 100, "mode": mode}
        found = company.client.post("/v1/search", headers=other, json=body).json()["hits"]
        assert all(hit["source"] == "upload:garage.md" for hit in found)
    assert [info["source"] for info in company.get("/v1/documents", other).json()["documents"]] == ["upload:garage.md"]
    events = company.client.post("/v1/chat", headers={**other, "Accept": "text/event-stream"}, json={"question": ASK_PAY}).text
    assert "nine" not in events and "pay.md" not in events
    completion = {"model": "quote", "messages": [{"role": "user", "content": ASK_PAY}]}
    assert "nine" not in company.client.post("/v1/chat/completions", headers=other, json=completion).text


def test_a_foreign_document_is_as_one_that_is_not_there(company: Company) -> None:
    editor, foreign = company.key("editor"), company.documents["upload:hr/pay.md"]
    for suffix in ("", "/text", "/file", "/boxes?start=0&end=4"):
        there = company.get(f"/v1/documents/{foreign}{suffix}", editor)
        absent = company.get(f"/v1/documents/{'0' * 16}{suffix}", editor)
        assert there.status_code == absent.status_code == 404
        assert there.text.replace(foreign, "0" * 16) == absent.text
        assert set(there.headers) == set(absent.headers)
    assert company.client.delete(f"/v1/documents/{foreign}", headers=editor).status_code == 404
    assert company.get(f"/v1/documents/{foreign}/text", company.key("reader", "hr")).text == PAY


def test_an_admin_reads_no_more_than_their_groups(company: Company) -> None:
    admin = company.key("admin")
    assert company.get(f"/v1/documents/{company.documents['upload:hr/pay.md']}/text", admin).status_code == 404
    assert company.ask(ASK_PAY, admin)["abstained"]


def test_a_person_reads_by_the_groups_of_the_readers_file(company: Company) -> None:
    readers = company.settings.readers
    assert readers is not None
    readers.write_text(readers.read_text() + '[people]\n"ada@example.com" = ["hr"]\nbob = ["hr"]\n')
    company.accounts.users.add("ada", WORDS, email="ada@example.com")
    company.accounts.users.add("bob", WORDS)
    company.accounts.users.add("eve", WORDS)
    seen = {}
    for name in ("ada", "bob", "eve"):
        signed_in(company, name)
        seen[name] = len(company.client.get("/v1/documents").json()["documents"])
        company.client.cookies.clear()
    assert seen == {"ada": 2, "bob": 2, "eve": 1}


def test_a_collection_holds_its_own_documents(company: Company) -> None:
    hr = company.key("reader", "hr")
    assert company.get("/v1/collections", hr).json() == {"collections": ["default", "buildings"]}
    assert company.ask(ASK_PAY, hr, collection="buildings")["abstained"]
    assert company.ask(ASK_PAY, hr, collection="default")["answer"].startswith(PAY)
    answer = company.client.post("/v1/chat", headers=hr, json={"question": ASK_PAY, "collection": "nonesuch"})
    assert answer.status_code == 404


# --- what is one's own


def test_conversations_belong_to_who_had_them(company: Company) -> None:
    ada, bob = company.key("reader", "hr"), company.key("reader", "hr")
    mine = company.ask(ASK_PAY, ada)
    conversation, answer_id = mine["conversation_id"], mine["answer_id"]
    assert [one["id"] for one in company.get("/v1/conversations", ada).json()["conversations"]] == [conversation]
    assert company.get("/v1/conversations", bob).json()["conversations"] == []

    def tried(name: str) -> list[tuple[int, str]]:
        path = f"/v1/conversations/{name}"
        answers = [
            company.get(path, bob),
            company.client.patch(path, headers=bob, json={"title": "mine"}),
            company.client.delete(path, headers=bob),
            company.client.post("/v1/chat", headers=bob, json={"question": "And now?", "conversation_id": name}),
        ]
        return [(one.status_code, one.text.replace(name, "-")) for one in answers]

    assert tried(conversation) == tried("nonesuch")
    assert {status for status, _ in tried(conversation)} == {404}
    thumb = {"answer_id": answer_id, "thumb": -1}
    assert company.client.post("/v1/feedback", headers=bob, json=thumb).status_code == 404
    assert company.client.post("/v1/feedback", headers=ada, json=thumb).status_code == 200
    assert company.ask("And in a year?", ada, conversation_id=conversation)["conversation_id"] == conversation


def test_an_answer_is_withheld_once_its_document_may_not_be_read_any_more(company: Company) -> None:
    readers = company.settings.readers
    assert readers is not None
    ada = company.accounts.users.add("ada", WORDS, groups=["hr"])
    headers = signed_in(company, "ada")
    told = company.ask(ASK_PAY, headers)
    path = f"/v1/conversations/{told['conversation_id']}"
    assert PAY in str(company.client.get(path).json())

    company.accounts.users.change(ada.id, groups=[])
    time.sleep(2.1)  # another process has changed it: the service knows it two seconds later
    shown = company.client.get(path).json()["messages"][0]
    assert shown["withheld"] and "nine" not in str(shown) and "pay.md" not in str(shown)
    follow_up = company.ask("And how much is that in a year?", headers, conversation_id=told["conversation_id"])
    assert "nine" not in str(follow_up) and "boss" not in follow_up["question"]


def test_an_answer_is_withheld_once_its_document_is_gone(company: Company) -> None:
    hr, editor = company.key("reader", "hr"), company.key("editor", "hr")
    told = company.ask(ASK_PAY, hr)
    assert company.client.delete(f"/v1/documents/{company.documents['upload:hr/pay.md']}", headers=editor).status_code == 200
    shown = company.get(f"/v1/conversations/{told['conversation_id']}", hr).json()["messages"][0]
    assert shown["withheld"] and "nine" not in str(shown)


def test_jobs_belong_to_who_sent_the_upload(company: Company) -> None:
    ada, bob = company.key("editor"), company.key("editor")
    sent = company.client.post(
        "/v1/documents",
        headers={**ada, "Prefer": "respond-async"},
        files={"file": ("plan.md", b"The plan is to leave at noon.")},
    )
    job = sent.json()["job_id"]
    assert "owner" not in sent.json()
    for suffix in ("", "/events"):
        theirs, absent = company.get(f"/v1/jobs/{job}{suffix}", bob), company.get(f"/v1/jobs/{'0' * 32}{suffix}", bob)
        assert theirs.status_code == absent.status_code == 404
        assert theirs.text.replace(job, "0" * 32) == absent.text
    assert company.client.delete(f"/v1/jobs/{job}", headers=bob).status_code == 404
    wait_until(lambda: company.get(f"/v1/jobs/{job}", ada).json()["state"] == "done")


def test_an_upload_goes_where_its_sender_may_read(company: Company) -> None:
    hr, other = company.key("editor", "hr"), company.key("editor")
    file = {"file": ("pay.md", b"The boss earns nothing at all.")}
    for headers, status in ((other, 403), (hr, 201)):
        answer = company.client.post("/v1/documents", headers=headers, files=file, data={"folder": "/hr/"})
        assert answer.status_code == status, answer.text
    assert answer.json()["source"] == "upload:hr/pay.md" and answer.json()["status"] == "replaced"
    for folder in ("private", "Private/x", "..", "hr/../x", "a\x07b", "x.zip!"):
        answer = company.client.post("/v1/documents", headers=hr, files=file, data={"folder": folder})
        assert answer.status_code == 422, folder


# --- quotas and the log


@pytest.mark.parametrize("company", [{"rate_per_minute": 3, "questions_per_day": 100, "uploads_per_day": 1}], indirect=True)
def test_quotas_are_told_and_held(company: Company) -> None:
    ada, bob, free = company.key("editor"), company.key(), company.key(quotas={"questions_per_minute": 0})
    wait_until(lambda: time.time() % 60 < 50)  # the window shall not end in the middle
    answers = [company.client.post("/v1/search", headers=ada, json={"query": "garage"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"minute";q=3;w=60, "day";q=100;w=86400'
    assert re.fullmatch(r'"minute";r=2;t=\d+, "day";r=99;t=\d+', answers[0].headers["ratelimit"])
    assert 0 < int(answers[3].headers["retry-after"]) <= 60 and "3 questions a minute" in answers[3].json()["detail"]
    assert company.client.post("/v1/search", headers=bob, json={"query": "garage"}).status_code == 200
    many = [company.client.post("/v1/search", headers=free, json={"query": "garage"}).status_code for _ in range(5)]
    assert many == [200] * 5
    uploads = [
        company.client.post("/v1/documents", headers=ada, files={"file": (f"{n}.md", b"Some words here.")}).status_code
        for n in range(2)
    ]
    assert uploads == [201, 429]


def test_the_log_tells_who_changed_what_and_nothing_that_was_said(company: Company) -> None:
    admin, reader = company.key("admin", "hr"), company.key("reader", "hr")
    company.client.post("/v1/session", json={"name": "admin", "password": "wrong wrong wrong"})
    company.ask(ASK_PAY, reader)
    added = company.client.post(
        "/v1/documents", headers=admin, files={"file": ("secret.md", b"The code word is rosebud.")}
    ).json()
    company.client.delete(f"/v1/documents/{added['document_id']}", headers=admin)
    company.client.delete(f"/v1/documents/{added['document_id']}", headers=reader)
    made = company.client.post("/v1/keys", headers=admin, json={"name": "robot"}).json()
    company.client.delete(f"/v1/keys/{made['id']}", headers=admin)
    assert company.get("/v1/keys", reader).status_code == 403

    answer = company.get("/v1/audit", admin).json()
    lines = [(line["action"], line["object"], line["outcome"]) for line in answer["lines"]][::-1]
    assert lines == [
        ("session.begin", "", "refused"),
        ("document.add", f"documents/{added['document_id']}", "done"),
        ("document.remove", added["document_id"], "done"),
        ("document.remove", added["document_id"], "refused"),
        ("key.create", f"keys/{made['id']}", "done"),
        ("key.revoke", made["id"], "done"),
        ("request.refused", "GET /v1/keys", "refused"),
    ]
    for said in ("salary", "rosebud", "wrong wrong", made["key"]):
        assert said not in str(answer)
    key_id = admin["Authorization"].removeprefix("Bearer ").rpartition("_")[0]
    assert {line["actor"] for line in answer["lines"] if line["action"].startswith("key.")} == {f"key:{key_id}"}


@pytest.mark.parametrize("company", [{"audit": "all"}], indirect=True)
def test_the_log_tells_of_questions_and_reading_where_that_is_asked_for(company: Company) -> None:
    reader = company.key("reader", "hr")
    company.ask(ASK_PAY, reader)
    company.get(f"/v1/documents/{company.documents['upload:hr/pay.md']}/text", reader)
    found = {line.action for line in company.accounts.audit.lines()}
    assert {"question.ask", "document.read"} <= found


def test_users_and_keys_are_managed_over_http(company: Company) -> None:
    admin = company.key("admin")
    body = {"name": "Ada", "password": WORDS, "role": "editor", "groups": ["hr"]}
    made = company.client.post("/v1/users", headers=admin, json=body)
    assert made.status_code == 201 and "password" not in made.json() and made.json()["name"] == "ada"
    again = company.client.post("/v1/users", headers=admin, json=body)
    assert again.status_code == 409 and "already" in again.json()["detail"]
    changed = company.client.patch(made.headers["location"], headers=admin, json={"groups": []})
    assert changed.json()["groups"] == [] and changed.json()["role"] == "editor"
    assert company.client.patch(made.headers["location"], headers=admin, json={"role": "boss"}).status_code == 422
    assert company.client.patch("/v1/users/usr_0", headers=admin, json={"role": "admin"}).status_code == 404
    assert [user["name"] for user in company.get("/v1/users", admin).json()["users"]] == ["ada", "admin"]
    assert company.client.delete(made.headers["location"], headers=admin).status_code == 204
    last = next(user for user in company.get("/v1/users", admin).json()["users"])
    assert company.client.delete(f"/v1/users/{last['id']}", headers=admin).status_code == 409

    bad = company.client.post("/v1/keys", headers=admin, json={"name": "robot", "permissions": ["admin"]})
    assert bad.status_code == 422
    assert company.client.post("/v1/keys", headers=admin, json={"name": "robot", "quotas": {"x": 1}}).status_code == 422


def test_without_accounts_nobody_signs_in(client: TestClient) -> None:
    session = client.get("/v1/session").json()
    assert session["accounts"] is False and session["principal"]["id"] == "local"
    assert client.post("/v1/session", json={"name": "admin", "password": WORDS}).status_code == 404
    assert client.get("/v1/users").status_code == 404
    assert client.get("/v1/documents", headers={"Authorization": "Bearer sk-anything"}).status_code == 200


def test_a_database_that_is_away_lets_nobody_in(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = company.key()
    folder = company.settings.index
    state = folder / "state.sqlite3"
    assert company.get("/v1/documents", headers).status_code == 200
    time.sleep(2.1)  # until nobody is remembered
    for path in folder.glob("state.sqlite3*"):
        path.rename(path.with_name("away-" + path.name))
    state.mkdir()
    try:
        app: Any = company.client.app
        app.state.service.accounts.close()  # connections that are open would still find the old file
        answer = company.get("/v1/documents", headers)
        assert answer.status_code == 503 and "retry-after" in answer.headers
        assert company.get("/health/live", {}).status_code == 200
    finally:
        state.rmdir()
        for path in folder.glob("away-*"):
            path.rename(path.with_name(path.name.removeprefix("away-")))
    assert company.get("/v1/documents", headers).status_code == 200
