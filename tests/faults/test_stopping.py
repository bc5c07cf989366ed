"""SIGTERM while a hundred answers are being written: each stream ends with a last event, and the process by itself."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from benchmarks.service.client import Connection
from benchmarks.serving import command
from tests.faults.replicas import Replica

STREAMS = 100
DOGS = "Dogs may come to the office on Fridays [1]. "


def test_a_hundred_open_streams_end_with_a_last_event(tmp_path: Path) -> None:
    script = tmp_path / "llm.json"
    script.write_text(json.dumps([{"say": DOGS * 200, "pause": 0.3}]), encoding="utf-8")
    settings = {
        "RAG_BOT_INDEX": str(tmp_path / "index"),
        "RAG_BOT_LLM": f"scripted:{script}",
        "RAG_BOT_MAX_WRONG": "0.9",
        "RAG_BOT_MAX_CONCURRENT": "200",
        "RAG_BOT_SHUTDOWN_SECONDS": "3",
    }
    (tmp_path / "pets.md").write_text("# Pets\n\nDogs may come to the office on Fridays.\n", encoding="utf-8")
    command("ingest.cli", "add", str(tmp_path / "pets.md"), environment=settings)
    replica = Replica(settings, tmp_path)
    replica.start()
    try:
        replica.wait()
        ends, code = asyncio.run(_stop_in_the_middle(replica))
    finally:
        replica.kill()
    assert code == 0
    assert len(ends) == STREAMS
    for end in ends:
        event, data = end.strip().split("\n\n")[-1].split("\n")
        assert event == "event: error", end[-300:]
        assert json.loads(data.removeprefix("data: "))["type"] == "urn:rag-bot:problem:stopping"
    assert "Traceback" not in replica.log.read_text()


async def _stop_in_the_middle(replica: Replica) -> tuple[list[str], int]:
    """What each stream said to its end, all of them having begun before the signal, and the exit status."""
    begun = [asyncio.create_task(_begin(replica.url, number)) for number in range(STREAMS)]
    connections = await asyncio.gather(*begun)
    stopping = asyncio.create_task(asyncio.to_thread(replica.stop, signal.SIGTERM))
    rest = await asyncio.gather(*(asyncio.wait_for(connection.reader.read(), 30) for connection in connections))
    return [_without_frames(part) for part in rest], await stopping


async def _begin(url: str, number: int) -> Connection:
    """A stream that has come to its sources."""
    connection = await Connection.open(url)
    await connection.send(f"When may dogs come to the office? (No. {number})")
    await connection.reader.readuntil(b"event: sources")
    return connection


def _without_frames(body: bytes) -> str:
    """The text of chunks (RFC 9112, section 7.1); the first piece is the end of one that was read in part."""
    text = body.decode()
    assert text.endswith("0\r\n\r\n"), text[-200:]
    lines = text.split("\r\n")
    return "".join(line for line in lines if not _is_size(line))


def _is_size(line: str) -> bool:
    return bool(line) and len(line) < 8 and all(character in "0123456789abcdef" for character in line)
