"""The least that answers with the same events: a FastAPI endpoint that streams them, made beforehand, after the same pauses.

`python -m benchmarks.service.bare EVENTS SECONDS` serves on a free port and prints its address.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from benchmarks.service.client import QUESTION


class Asked(BaseModel):
    """What the real one takes."""

    question: str
    conversation_id: str | None = None


def application(events: list[str], seconds: float) -> FastAPI:
    """Streams `events`, with the question in the place of the one they were recorded with; the LLM's time comes before the
    first sentence."""
    app = FastAPI()
    recorded = json.dumps(QUESTION.format(0))[1:-1]

    @app.post("/v1/chat")
    async def chat(asked: Asked) -> StreamingResponse:
        async def stream() -> AsyncIterator[str]:
            for event in events:
                if event.startswith("event: sentence"):
                    await asyncio.sleep(seconds)
                yield event.replace(recorded, json.dumps(asked.question)[1:-1])

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.get("/health/ready")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    return app


def main() -> None:
    events = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        sock.listen(2048)
        print(f"bare is at http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
        config = uvicorn.Config(application(events, float(sys.argv[2])), log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
