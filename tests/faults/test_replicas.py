"""Two replicas behind one address, each request to the other one: nothing that a user does may depend on which it meets."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.serving import command
from tests import postgres
from tests.faults.replicas import Balancer, Replica, client_at

WORDS = "correct horse battery"
DOGS = "When may dogs come to the office?"
CATS = "And cats?"
TEXT = "# Pets\n\nDogs may come to the office on Fridays. Cats stay at home at all times.\n"


@dataclass
class Pair:
    """Two replicas, their balancer, and a way to the command line of the same state."""

    replicas: list[Replica]
    balancer: Balancer
    settings: dict[str, str]
    folder: Path

    def client(self, **headers: str) -> Any:
        return client_at(self.balancer.url, **headers)

    def key(self, role: str = "reader", *more: str) -> dict[str, str]:
        made = json.loads(
            command("rag_bot.cli", "keys", "create", "test", "--role", role, "--json", *more, environment=self.settings)
        )
        return {"Authorization": f"Bearer {made['key']}", "id": made["id"]}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Their state is in PostgreSQL; where none is installed, in a file of SQLite, which serves replicas on one machine."""
    folder = tmp_path_factory.mktemp("replicas")
    with ExitStack() as stack:
        try:
            state = stack.enter_context(postgres.server()).fresh()
        except postgres.Absent:
            state = f"sqlite:///{folder / 'state.sqlite3'}"
        script = folder / "llm.json"
        dogs = "Dogs may come to the office on Fridays [1]. "
        slowly = {"when": "slowly", "say": dogs * 30, "pause": 0.2}
        cats = {"when": "cats?", "say": "Cats stay at home at all times [1]."}
        script.write_text(json.dumps([slowly, cats, {"say": dogs}]), encoding="utf-8")
        settings = {
            "RAG_BOT_INDEX": str(folder / "index"),
            "RAG_BOT_STATE": state,
            "RAG_BOT_AUTH": "on",
            "RAG_BOT_ADMIN_PASSWORD": WORDS,
            "RAG_BOT_MAX_WRONG": "0.9",
            "RAG_BOT_LLM": f"scripted:{script}",
            "RAG_BOT_REWRITE_SECONDS": "0",
        }
        (folder / "pets.md").write_text(TEXT, encoding="utf-8")
        found = Pair([Replica(settings, folder), Replica(settings, folder)], Balancer([]), settings, folder)
        command("ingest.cli", "add", str(folder / "pets.md"), environment=settings)
        for replica in found.replicas:  # at once: both make the tables, the secrets and the first admin
            replica.start()
            stack.callback(replica.kill)
        for replica in found.replicas:
            replica.wait()
        found.balancer.stop()
        found.balancer = Balancer([replica.port for replica in found.replicas])
        stack.callback(found.balancer.stop)
        yield found


def until(true: Callable[[httpx.Client], Any], client: httpx.Client, seconds: float = 20.0) -> Any:
    """What it gives once that is true."""
    end = time.monotonic() + seconds
    while not (found := true(client)):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
    return found


def _ask_until(client: httpx.Client, asked: dict[str, str], event: str, then: Callable[[], object]) -> None:
    """Read a stream to its end; when an event comes, do something."""
    with client.stream("POST", "/v1/chat", json=asked, headers={"Accept": "text/event-stream"}) as stream:
        for line in stream.iter_lines():
            if line.startswith(event):
                then()


def test_one_sign_in_holds_on_both(pair: Pair) -> None:
    with pair.client() as client:
        before = dict(pair.balancer.given)
        signed = client.post("/v1/session", json={"name": "admin", "password": WORDS})
        assert signed.status_code == 200, signed.text
        for _ in range(6):
            assert client.get("/v1/session").json()["principal"]["name"] == "admin"
        writing = {"X-CSRF-Token": client.cookies["rag_bot_csrf"]}
        for _ in range(4):
            made = client.post("/v1/keys", json={"name": "robot"}, headers=writing)
            assert made.status_code == 201, made.text
        assert all(pair.balancer.given[port] - before[port] >= 5 for port in before)
        assert client.delete("/v1/session?everywhere=true", headers=writing).status_code == 204


def test_a_conversation_goes_on_at_the_other(pair: Pair) -> None:
    with pair.client(**pair.key()) as client:
        first = client.post("/v1/chat", json={"question": DOGS}).json()
        assert "Fridays" in first["answer"]
        body = {"question": CATS, "conversation_id": first["conversation_id"]}
        second = client.post("/v1/chat", json=body).json()
        assert "Cats stay at home" in second["answer"], second
        for _ in range(2):
            seen = client.get(f"/v1/conversations/{first['conversation_id']}").json()
            assert [message["question"] for message in seen["messages"]] == [DOGS, CATS]
        answer = {"answer_id": first["answer_id"], "thumb": 1}
        assert [client.post("/v1/feedback", json=answer).status_code for _ in range(2)] == [200, 200]


def test_what_is_used_is_counted_over_both(pair: Pair) -> None:
    with pair.client(**pair.key("reader", "--quota", "questions_per_minute=4")) as client:
        found = [client.post("/v1/search", json={"query": "dogs"}).status_code for _ in range(4)]
        found += [client.post("/v1/chat", json={"question": DOGS}).status_code for _ in range(8)]
    assert found.count(429) >= 4
    assert found.count(200) >= 4


def test_a_key_that_one_revokes_is_worthless_at_both(pair: Pair) -> None:
    key, admin = pair.key(), pair.key("admin")
    for replica in pair.replicas:
        with client_at(replica.url, **key) as client:
            assert client.get("/v1/documents").status_code == 200
    with client_at(pair.replicas[0].url, **admin) as client:
        assert client.delete(f"/v1/keys/{key['id']}").status_code == 200
    for replica in pair.replicas:
        with client_at(replica.url, **key) as client:
            until(lambda at: at.get("/v1/documents").status_code == 401, client, 5)


def test_what_one_takes_in_the_other_finds(pair: Pair) -> None:
    editor = pair.key("editor")
    with client_at(pair.replicas[0].url, **editor) as one, client_at(pair.replicas[1].url, **editor) as other:
        sent = one.post(
            "/v1/documents", files={"file": ("bikes.txt", b"Bicycles stand in the yard.")}, headers={"Prefer": "respond-async"}
        )
        assert sent.status_code == 202, sent.text
        job = sent.json()["job_id"]
        for client in (one, other):
            until(lambda at: at.get(f"/v1/jobs/{job}").json().get("state") == "done", client)
        for client in (one, other):
            hit = until(lambda at: at.post("/v1/search", json={"query": "bicycles yard", "k": 1}).json()["hits"][0], client)
            assert "Bicycles" in hit["text"]
        sources = [{info["source"] for info in client.get("/v1/documents").json()["documents"]} for client in (one, other)]
        assert sources[0] == sources[1]
        assert other.delete(f"/v1/documents/{hit['document_id']}").status_code == 200
        until(lambda at: "upload:bikes.txt" not in at.get("/v1/documents").text, one)


def test_the_audit_log_is_of_both(pair: Pair) -> None:
    admin = pair.key("admin")
    with pair.client(**admin) as client:
        for number in range(4):
            assert client.post("/v1/keys", json={"name": f"audited {number}"}).status_code == 201
        lines = client.get("/v1/audit", params={"action": "key.create", "actor": f"key:{admin['id']}"}).json()["lines"]
    assert len(lines) == 4


def test_one_that_is_killed_in_the_middle_of_an_answer_is_replaced_by_the_other(pair: Pair) -> None:
    key = pair.key()
    first, second = pair.replicas
    with pair.client(**key) as client, client_at(first.url, **key) as direct:
        kept = client.post("/v1/chat", json={"question": DOGS}).json()
        asked = {"question": "When may dogs come to the office, slowly?", "conversation_id": kept["conversation_id"]}
        with pytest.raises(httpx.TransportError):
            _ask_until(direct, asked, "event: sources", lambda: first.stop(signal.SIGKILL))
        for _ in range(4):
            assert "Fridays" in client.post("/v1/chat", json={"question": DOGS}).json()["answer"]
        again = client.post("/v1/chat", json={"question": CATS, "conversation_id": kept["conversation_id"]})
        assert "Cats stay at home" in again.json()["answer"]
        first.start()
        first.wait()
        before = pair.balancer.given[first.port]
        for _ in range(4):
            seen = client.get(f"/v1/conversations/{kept['conversation_id']}").json()
            assert [message["question"] for message in seen["messages"]] == [DOGS, CATS]
        assert pair.balancer.given[first.port] >= before + 2
    assert second.process is not None and second.process.poll() is None


def test_a_rolling_restart_loses_nothing(pair: Pair) -> None:
    with pair.client(**pair.key()) as client:
        conversations = []
        for replica in pair.replicas:
            conversations.append(client.post("/v1/chat", json={"question": DOGS}).json()["conversation_id"])
            assert replica.stop() == 0
            conversations.append(client.post("/v1/chat", json={"question": DOGS}).json()["conversation_id"])
            replica.start()
            replica.wait()
        for conversation in conversations * 2:
            assert len(client.get(f"/v1/conversations/{conversation}").json()["messages"]) == 1
    for replica in pair.replicas:
        assert "Traceback" not in replica.log.read_text()
