"""/v1/jobs: what takes long is accepted, kept on the disk, taken in in order, shown as it goes, and can be cancelled."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ingest.errors import IndexMissing, JobNotFound, QueueFull, StorageFull
from ingest.lock import WriteLock
from ingest.types import LedgerEntry
from ingest.uploads import Uploads
from rag_bot.api.schemas import JobObject
from rag_bot.build import build_bot
from rag_bot.settings import Settings
from tests.rag_bot.api.conftest import ToyBot, client_of, running, wait_until

SLOW = b"These slow words are read until somebody lets them go."


def send(client: TestClient, name: str, data: bytes, prefer: str = "respond-async") -> Any:
    return client.post("/v1/documents", files={"file": (name, data)}, headers={"Prefer": prefer} if prefer else {})


def ended(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job['job_id']}").json()
        assert "ended_at" in found, found
        return found

    assert "job_id" in job, job
    wait_until(lambda: look()["ended_at"])
    return look()


def events(client: TestClient, job_id: str) -> list[tuple[str, dict[str, Any]]]:
    text = client.get(f"/v1/jobs/{job_id}/events").text
    blocks = [block.split("\n", 1) for block in text.strip().split("\n\n") if block.startswith("event: ")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_who_does_not_want_to_wait_gets_a_job(client: TestClient, bot: ToyBot) -> None:
    response = send(client, "slow.txt", SLOW)
    job = response.json()
    assert (response.status_code, response.headers["location"]) == (202, f"/v1/jobs/{job['job_id']}")
    assert response.headers["preference-applied"] == "respond-async"
    JobObject.model_validate(job)
    assert (job["name"], job["bytes"], job["entry"], job["ended_at"]) == ("slow.txt", len(SLOW), None, None)
    bot.go_on.set()
    over = ended(client, job)
    assert (over["state"], over["entry"]["status"], over["entry"]["document_id"]) == ("done", "added", "d-slow")


@pytest.mark.parametrize(("prefer", "usual"), [("wait=0", 30.0), ("", 0.1), ("respond-async, wait=0", 30.0)])
def test_an_answer_waits_no_longer_than_it_may(settings: Settings, folder: Path, prefer: str, usual: float) -> None:
    bot = ToyBot(settings.model_copy(update={"upload_wait_seconds": usual}), folder)
    with client_of(bot) as client:
        assert send(client, "slow.txt", SLOW, prefer).status_code == 202
        bot.go_on.set()
        assert send(client, "other.txt", b"Other words.", "wait=20").status_code == 201


def test_events_tell_how_it_goes_and_end_with_the_ledgers_entry(client: TestClient, bot: ToyBot) -> None:
    job = send(client, "slow.txt", SLOW).json()
    wait_until(lambda: client.get(f"/v1/jobs/{job['job_id']}").json()["chunks_done"] == 3)
    bot.go_on.set()
    ended(client, job)
    (last,) = events(client, job["job_id"])
    assert last[0] == "done"
    assert last[1]["entry"] == {
        "source": "slow.txt", "document_id": "d-slow", "status": "added", "reason": None, "chunks": 1
    }  # fmt: skip


def test_events_come_as_they_happen(settings: Settings, folder: Path) -> None:
    import urllib.request

    bot = ToyBot(settings, folder)
    with running(bot) as service, client_of_url(service.url) as client:
        job = send(client, "slow.txt", SLOW).json()
        seen = []
        with urllib.request.urlopen(f"{service.url}/v1/jobs/{job['job_id']}/events", timeout=20) as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    seen.append(json.loads(line[6:]))
                    if seen[-1]["state"] == "embedding":
                        bot.go_on.set()
        assert [one["state"] for one in seen][-2:] == ["embedding", "done"]
        assert (seen[-2]["chunks_done"], seen[-2]["chunks_total"]) == (3, 7)


def client_of_url(url: str) -> Any:
    import httpx

    return httpx.Client(base_url=url, timeout=30)


def test_uploads_are_taken_in_in_the_order_in_which_they_came(client: TestClient, bot: ToyBot) -> None:
    sent = [send(client, "slow.txt", SLOW).json(), *(send(client, f"{n}.txt", b"Words.").json() for n in range(3))]
    wait_until(lambda: client.get(f"/v1/jobs/{sent[0]['job_id']}").json()["state"] == "embedding")
    assert [client.get(f"/v1/jobs/{job['job_id']}").json()["ahead"] for job in sent[1:]] == [1, 2, 3]
    bot.go_on.set()
    times = [ended(client, job)["ended_at"] for job in sent]
    assert times == sorted(times)


def test_a_failure_has_its_reason(client: TestClient, bot: ToyBot) -> None:
    over = ended(client, send(client, "empty.txt", b"").json())
    assert (over["state"], over["entry"]["reason"], over["problem"]) == ("failed", "The file is empty.", None)
    bot.failures.append(StorageFull("The disk is full.", "Make room."))
    over = ended(client, send(client, "new.txt", b"Words.").json())
    assert (over["state"], over["entry"], over["problem"]["status"]) == ("failed", None, 507)
    bot.failures.append(RuntimeError("a secret inside"))
    over = ended(client, send(client, "new.txt", b"Words.").json())
    assert over["state"] == "failed" and "secret" not in json.dumps(over)


# --- cancelling


def test_what_waits_and_what_is_read_can_be_cancelled(client: TestClient, bot: ToyBot) -> None:
    first, second = send(client, "slow.txt", SLOW).json(), send(client, "b.txt", b"Words.").json()
    wait_until(lambda: client.get(f"/v1/jobs/{first['job_id']}").json()["state"] == "embedding")
    cancelled = client.delete(f"/v1/jobs/{second['job_id']}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    cancelled = client.delete(f"/v1/jobs/{first['job_id']}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert client.delete(f"/v1/jobs/{first['job_id']}").json()["state"] == "cancelled"
    third = ended(client, send(client, "c.txt", b"Words.").json())
    assert third["state"] == "done"
    assert not {"slow.txt", "b.txt"} & {info.source for info in bot.index.documents()}


def test_what_is_over_can_not_be_cancelled(client: TestClient) -> None:
    over = ended(client, send(client, "a.txt", b"Words.").json())
    refused = client.delete(f"/v1/jobs/{over['job_id']}")
    assert (refused.status_code, refused.json()["job"]["state"]) == (409, "done")
    assert "DELETE /v1/documents" in refused.json()["detail"]


@pytest.mark.parametrize("job_id", ["0" * 32, "nonsense", "..%2F..%2Fstore", "F" * 32])
def test_an_unknown_job_is_404(client: TestClient, job_id: str) -> None:
    for response in (
        client.get(f"/v1/jobs/{job_id}"),
        client.get(f"/v1/jobs/{job_id}/events"),
        client.delete(f"/v1/jobs/{job_id}"),
    ):
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


# --- limits, restarts, the disk


def test_no_more_wait_than_may(settings: Settings, folder: Path) -> None:
    bot = ToyBot(settings.model_copy(update={"uploads_waiting": 2, "uploads_bytes": 200}), folder)
    with client_of(bot) as client:
        assert [send(client, f"slow{n}.txt", SLOW).status_code for n in range(2)] == [202, 202]
        full = send(client, "c.txt", b"Words.")
        assert (full.status_code, full.headers["retry-after"]) == (503, "30")
        assert "2 uploads wait already" in full.json()["detail"]
        bot.go_on.set()
        assert send(client, "c.txt", b"Words.", "wait=20").status_code in (201, 503)


def test_what_was_accepted_goes_on_after_a_restart(settings: Settings, folder: Path) -> None:
    with client_of(ToyBot(settings, folder)) as client:
        jobs = [send(client, name, SLOW).json() for name in ("slow.txt", "later.txt")]
    bot = ToyBot(settings, folder)
    bot.go_on.set()
    with client_of(bot) as client:
        assert [ended(client, job)["entry"]["status"] for job in jobs] == ["added", "added"]
        assert {info.source for info in bot.index.documents()} >= {"slow.txt", "later.txt"}
    with client_of(ToyBot(settings, folder)) as client:
        assert client.get(f"/v1/jobs/{jobs[0]['job_id']}").json()["state"] == "done"


def test_the_real_bot_waits_for_another_writer(real_settings: Settings) -> None:
    with client_of(build_bot(real_settings)) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        with WriteLock(real_settings.index):
            job = send(client, "new.txt", b"The canteen opens at noon.", "wait=1").json()
            assert (job["state"], job["entry"]) == ("queued", None)
        over = ended(client, job)
        assert (over["state"], over["entry"]["status"], over["entry"]["chunks"]) == ("done", "added", 1)
        assert client.post("/v1/search", json={"query": "canteen"}).json()["hits"][0]["source"] == "upload:new.txt"


def test_what_was_taken_in_meanwhile_is_not_said_to_be_cancelled(client: TestClient, bot: ToyBot, settings: Settings) -> None:
    send(client, "slow.txt", SLOW)
    job = send(client, "next.txt", b"Words.").json()
    taking = client.app.state.service.taking  # type: ignore[attr-defined]
    ahead, entry = taking.uploads.ahead, LedgerEntry("next.txt", "d-next", "added", None, 1)

    def taken_in_meanwhile(job_id: str) -> int:
        waiting = int(ahead(job_id))
        taking.uploads.save(taking.uploads.get(job_id).ended("done", entry=entry))  # by another process
        return waiting

    taking.uploads.ahead = taken_in_meanwhile
    response = client.delete(f"/v1/jobs/{job['job_id']}")
    assert (response.status_code, response.json()["job"]["state"]) == (409, "done")
    bot.go_on.set()


@pytest.mark.parametrize("synced", [0, 1, 2], ids=["bytes", "note", "folder"])
def test_a_full_disk_is_507_and_leaves_nothing(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, synced: int
) -> None:
    left = iter(range(synced))

    def full(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    response = send(client, "a.txt", b"Words.")
    monkeypatch.undo()
    assert (response.status_code, response.headers["content-type"]) == (507, "application/problem+json")
    assert list((settings.index / "uploads").iterdir()) == []


def test_what_may_do_later_says_when_to_come_back(client: TestClient, bot: ToyBot) -> None:
    bot.failures.append(IndexMissing("There is no index.", "Make one."))
    response = send(client, "a.txt", b"Words.", "wait=20")
    assert (response.status_code, response.json()["type"]) == (503, "urn:rag-bot:problem:index-missing")
    assert int(response.headers["retry-after"]) > 0


def test_the_description_names_every_answer(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"200", "201", "202", "default"} <= paths["/v1/documents"]["post"]["responses"].keys()
    assert paths["/v1/documents"]["post"]["responses"]["202"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "JobObject"
    )
    assert {"get", "delete"} <= paths["/v1/jobs/{job_id}"].keys()
    assert "text/event-stream" in paths["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]


# --- the queue on the disk


def queue(folder: Path, most: int = 10, most_bytes: int = 1000) -> Uploads:
    return Uploads(folder, most=most, most_bytes=most_bytes)


def test_a_queue_is_read_by_whoever_comes_next(tmp_path: Path) -> None:
    first = [queue(tmp_path).put(f"{n}.txt", io.BytesIO(b"Words.")) for n in range(3)]
    uploads = queue(tmp_path)
    assert uploads.waiting() == first
    assert uploads.data(first[0].job_id) == b"Words."
    uploads.save(first[0].ended("done", entry=LedgerEntry("upload:0.txt", "d", "added", None, 1)))
    assert (uploads.data(first[0].job_id), uploads.waiting()) == (None, first[1:])
    entry = queue(tmp_path).get(first[0].job_id).entry
    assert entry and entry.status == "added"
    with pytest.raises(JobNotFound):
        uploads.get("f" * 32)


def test_a_queue_takes_one_file_of_any_size_but_not_a_second(tmp_path: Path) -> None:
    uploads = queue(tmp_path, most_bytes=10)
    uploads.put("large.txt", io.BytesIO(b"x" * 100))
    with pytest.raises(QueueFull):
        uploads.put("small.txt", io.BytesIO(b"x"))


def test_what_a_process_that_died_left_is_tidied_away(tmp_path: Path) -> None:
    uploads = queue(tmp_path)
    job = uploads.put("a.txt", io.BytesIO(b"Words."))
    folder = tmp_path / "uploads"
    (folder / f"{job.job_id}.json").write_text(
        (folder / f"{job.job_id}.json").read_text().replace('"ended_at": null', '"ended_at": "2026-01-01T00:00:00.000+00:00"')
    )
    (folder / f"{1:016x}{'a' * 16}.bin").write_bytes(b"half of a fi")
    uploads.tidy()
    assert [path.suffix for path in folder.iterdir()] == [".json"]
    assert uploads.waiting() == []
