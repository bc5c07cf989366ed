"""Chat Completions, as OpenAI, Azure and the many that follow them stream it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.server import KEY, Behaviour, FakeServer, Request, Say, event, known, need, take_turns

_OPTIONAL = {"temperature", "stream_options", "reasoning_effort"}


class OpenAIServer(FakeServer):
    """Serves `model` at `path`; `limit` is the only name under which it takes the most tokens of a reply."""

    def __init__(
        self,
        model: str = "gpt-4.1-mini",
        path: str = "/v1/chat/completions",
        *,
        limit: str = "max_completion_tokens",
        key: str = KEY,
        azure: bool = False,
        default: Behaviour | None = None,
    ) -> None:
        super().__init__(default)
        self.model, self.path, self.limit, self.key, self.azure = model, path, limit, key, azure

    def check(self, request: Request) -> None:
        need(request.method == "POST" and request.path == self.path, f"no such route: {request.path}", 404)
        if self.azure:
            need(request.headers.get("api-key") == self.key, "wrong api-key", 401)
            need(request.query.startswith("api-version=2"), "the query must name api-version", 400)
        else:
            need(request.headers.get("authorization") == f"Bearer {self.key}", "wrong bearer token", 401)
        need(request.headers.get("content-type", "").startswith("application/json"), "not JSON")
        body = request.json
        known(body, {"messages", "stream"} | ({"model"} if not self.azure else set()), {*_OPTIONAL, "model", self.limit})
        need(self.azure or body["model"] == self.model, f"The model {body.get('model')!r} does not exist.", 404)
        need(body["stream"] is True, "stream must be true")
        need(body.get("stream_options") == {"include_usage": True}, "usage must be asked for")
        need(isinstance(body.get(self.limit, 1), int), f"{self.limit} must be a whole number")
        if self.model.startswith("gpt-5"):
            need("temperature" not in body, "temperature is not supported with this model")
        messages: list[dict[str, Any]] = body["messages"]
        for message in messages:
            known(message, {"role", "content"}, set(), "message")
            need(isinstance(message["content"], str), "content must be text")
        roles = [message["role"] for message in messages]
        need(roles[:1] in (["system"], ["developer"]), "the first message must be the system's")
        take_turns(roles[1:])

    def error(self, status: int, message: str) -> tuple[Mapping[str, str], bytes]:
        body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
        return {"Content-Type": "application/json"}, json.dumps(body).encode()

    def frames(self, say: Say, request: Request) -> tuple[bytes, list[bytes], bytes]:
        def chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
            return event(self._chunk([{"index": 0, "delta": delta, "finish_reason": reason}]))

        opening = chunk({"role": "assistant", "content": ""})
        if self.azure:  # which says first what its filter makes of the prompt, with no choice at all
            opening = event({**self._chunk([]), "prompt_filter_results": [{"prompt_index": 0}]}) + opening
        used = {"prompt_tokens": 1101, "completion_tokens": 307, "total_tokens": 1408}
        ending = chunk({}, say.reason or "stop") + event({**self._chunk([]), "usage": used}) + event("[DONE]")
        return opening, [chunk({"content": piece}) for piece in say.pieces], ending

    def nonsense(self) -> bytes:
        return event("{this is no JSON")

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.model, "choices": choices}
