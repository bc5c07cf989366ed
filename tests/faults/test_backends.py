"""What a service stands on goes away while people ask, and comes back: they are told, nothing is lost, it goes on by itself."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.serving import command
from rag_bot.bot import NOT_KEPT
from tests import postgres
from tests.fakes.openai import OpenAIServer
from tests.faults.replicas import Replica, client_at, free_port
from tests.faults.test_disk import fill_up, small_disk

__all__ = ["small_disk"]  # a fixture

ASKERS = 8
DOGS = "When may dogs come to the office?"
LEAVE = "How many days of paid leave does everyone get a year?"
TEXT = "# Pets\n\nDogs may come to the office on Fridays.\n\n# Leave\n\nEveryone gets 26 days of paid leave a year.\n"
GONE_SECONDS = 3.0


class Load:
    """People who ask one question after another."""

    def __init__(self, url: str, headers: dict[str, str], question: str) -> None:
        self._url, self._headers, self._question = url, headers, question
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(ASKERS)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=60) as client:
            while not self._over.is_set():
                answer = client.post("/v1/chat", json={"question": self._question})
                with self._lock:
                    self.answers.append((answer.status_code, answer.json()))
                time.sleep(0.02)

    def mark(self) -> int:
        with self._lock:
            return len(self.answers)

    def until(self, wanted: Any, since: int, seconds: float = 60.0) -> int:
        """Until an answer after `since` is as wanted; its number."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._lock:
                found = next((n for n, one in enumerate(self.answers[since:], since) if wanted(*one)), None)
            if found is not None:
                return found
            time.sleep(0.05)
        raise AssertionError(Counter(status for status, _ in self.answers[since:]))

    @contextmanager
    def going(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(60)


@contextmanager
def service(folder: Path, index: Path, **settings: str) -> Iterator[Replica]:
    """A service on two small documents."""
    environment = {"RAG_BOT_INDEX": str(index), "RAG_BOT_MAX_WRONG": "0.9", **settings}
    (folder / "pets.md").write_text(TEXT, encoding="utf-8")
    command("ingest.cli", "add", str(folder / "pets.md"), environment=environment)
    replica = Replica(environment, folder)
    replica.start()
    try:
        replica.wait()
        yield replica
    finally:
        replica.kill()


def is_answered(status: int, answer: dict[str, Any]) -> bool:
    return status == 200 and not answer["abstained"]


def check_told(answers: list[tuple[int, dict[str, Any]]], *statuses: int) -> None:
    """No answer but these, and each error says what to do."""
    assert [one for one in answers if one[0] not in statuses][:3] == []
    for status, answer in answers:
        if status != 200:
            assert answer["title"] and len(answer["detail"]) > 20, answer


def check_kept(replica: Replica, headers: dict[str, str], answers: list[tuple[int, dict[str, Any]]]) -> None:
    """Each of these answers is in its conversation, but for those that say that they are not."""
    with client_at(replica.url, **headers) as client:
        for answer in (answer for _, answer in answers if NOT_KEPT not in answer["notes"]):
            kept = client.get(f"/v1/conversations/{answer['conversation_id']}")
            assert kept.status_code == 200, answer["conversation_id"]
            assert kept.json()["messages"][-1]["answer"]["answer_id"] == answer["answer_id"]


def test_the_database_goes_and_comes_back(tmp_path: Path) -> None:
    try:
        opened = postgres.server()
        databases = opened.__enter__()
    except postgres.Absent as absent:
        pytest.skip(str(absent))
    state = {"RAG_BOT_STATE": databases.fresh(), "RAG_BOT_AUTH": "on", "RAG_BOT_ADMIN_PASSWORD": "correct horse battery"}
    try:
        with service(tmp_path, tmp_path / "index", **state) as replica:
            made = json.loads(command("rag_bot.cli", "keys", "create", "k", "--json", environment=dict(replica.settings)))
            headers = {"Authorization": f"Bearer {made['key']}"}
            load = Load(replica.url, headers, DOGS)
            with load.going():
                load.until(is_answered, 0)
                databases.stop()
                gone = load.mark()
                load.until(lambda status, _: status == 503, gone)
                time.sleep(GONE_SECONDS)
                told = load.mark()
                databases.start()
                load.until(is_answered, told)
                well = load.mark()
                load.until(is_answered, well + ASKERS)
            check_told(load.answers, 200, 503)
            check_told(load.answers[well + ASKERS :], 200)
            check_kept(replica, headers, [one for one in load.answers if one[0] == 200][-150:])
            assert "Traceback" not in replica.log.read_text()
    finally:
        opened.__exit__(None, None, None)


def test_the_llm_goes_and_comes_back(tmp_path: Path) -> None:
    port = free_port()

    def llm() -> OpenAIServer:
        server = OpenAIServer("small", limit="max_tokens", key="none")
        server.port = port
        return server

    setting = f"openai-compatible:http://127.0.0.1:{port}/v1#small"
    with service(tmp_path, tmp_path / "index", RAG_BOT_LLM=setting) as replica:
        load = Load(replica.url, {}, LEAVE)
        with llm() as first, load.going():
            load.until(lambda status, answer: status == 200 and answer["model"] == "small", 0)
            first.stop()
            gone = load.mark()
            load.until(lambda status, answer: status == 200 and answer["model"] == "quote", gone)
            time.sleep(1)
            with llm():
                back = load.mark()
                load.until(lambda status, answer: status == 200 and answer["model"] == "small", back)
        check_told(load.answers, 200)
        assert all("26 days" in answer["answer"] for _, answer in load.answers)  # quoted where it was not written
        quoted = [answer for _, answer in load.answers if answer["model"] == "quote"]
        assert all(any("Instead, the sentences" in note for note in answer["notes"]) for answer in quoted)
        check_kept(replica, {}, [*load.answers[:20], *load.answers[-20:]])


def test_the_disk_fills_and_is_freed(small_disk: Path, tmp_path: Path) -> None:
    with service(tmp_path, small_disk / "index") as replica, client_at(replica.url) as client:
        load = Load(replica.url, {}, DOGS)
        with load.going():
            load.until(is_answered, 0)
            before = [one for one in load.answers if is_answered(*one)]
            ballast = small_disk / "ballast"
            with suppress(OSError):  # the service writes at the same time
                fill_up(small_disk, 0)
            time.sleep(0.5)
            sent = client.post("/v1/documents", files={"file": ("a.txt", b"Words. " * 20_000)})
            assert sent.status_code == 507, sent.text
            assert "disk is full" in sent.json()["detail"]
            full = load.mark()
            load.until(is_answered, full)
            time.sleep(1)
            ballast.unlink()
            freed = load.mark()
            time.sleep(0.5)
            well = load.until(is_answered, freed + ASKERS)
        check_told(load.answers, 200)
        assert all("Fridays" in answer["answer"] for _, answer in load.answers)
        check_kept(replica, {}, [*before[:20], *load.answers[well:][-20:]])
        assert not any(NOT_KEPT in answer["notes"] for _, answer in load.answers[well:])
        assert client.post("/v1/documents", files={"file": ("a.txt", b"Bees fly.")}).status_code == 201
        assert "Traceback" not in replica.log.read_text()
