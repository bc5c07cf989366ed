"""NVIDIA's guard models as their NIMs serve them: chat completions that are not streamed, and the jailbreak classifier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.server import FakeServer, Request, Say, known, need

CONTENT = "nvidia/llama-3.1-nemoguard-8b-content-safety"
TOPIC = "nvidia/llama-3.1-nemoguard-8b-topic-control"
KEY = "nvapi-fake-0123456789abcdef"


class NimServer(FakeServer):
    """Finds `bomb` unsafe, `football` off-topic and `DAN` a jailbreak; what it does not know it lets pass."""

    content_type = "application/json"
    secret = KEY

    def check(self, request: Request) -> None:
        need(request.method == "POST", "only POST", 405)
        need(request.headers.get("authorization") == f"Bearer {KEY}", "wrong bearer token", 401)
        if request.path == "/v1/classify":
            known(request.json, {"input"}, set())
            need(isinstance(request.json["input"], str), "input must be text")
            return
        need(request.path == "/v1/chat/completions", f"no such route: {request.path}", 404)
        body = request.json
        known(body, {"model", "messages"}, {"temperature", "max_tokens", "stop"})
        need(body["model"] in (CONTENT, TOPIC), f"The model {body['model']!r} does not exist.", 404)
        for message in body["messages"]:
            known(message, {"role", "content"}, set(), "message")
            need(message["role"] in ("system", "user", "assistant"), f"no role {message['role']!r}")
        if body["model"] == TOPIC:
            need(body["messages"][0]["role"] == "system", "the topics must stand in the system's message")

    def error(self, status: int, message: str) -> tuple[Mapping[str, str], bytes]:
        return {"Content-Type": "application/json"}, json.dumps({"error": {"message": message}}).encode()

    def frames(self, say: Say, request: Request) -> tuple[bytes, list[bytes], bytes]:
        return b"", [json.dumps(self._reply(request)).encode()], b""

    def nonsense(self) -> bytes:
        return b"{this is no JSON"

    def _reply(self, request: Request) -> dict[str, Any]:
        body = request.json
        if request.path == "/v1/classify":
            found = "DAN" in body["input"]
            return {"jailbreak": found, "score": 0.9 if found else -0.9}
        said = _topic(body["messages"]) if body["model"] == TOPIC else _content(body["messages"][-1]["content"])
        message = {"role": "assistant", "content": said}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 300, "completion_tokens": 9, "total_tokens": 309},
        }


def _topic(messages: list[dict[str, str]]) -> str:
    return "off-topic" if "football" in messages[-1]["content"] else "on-topic"


def _content(prompt: str) -> str:
    said = prompt.partition("<BEGIN CONVERSATION>")[2].partition("<END CONVERSATION>")[0]
    user, agent, response = said.partition("response: agent:")
    verdict = {"User Safety": "unsafe" if "bomb" in user else "safe"}
    if agent:
        verdict["Response Safety"] = "unsafe" if "bomb" in response else "safe"
    if "unsafe" in verdict.values():
        verdict["Safety Categories"] = "S4: Weapons"
    return json.dumps(verdict)
