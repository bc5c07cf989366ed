"""Anthropic's Messages, streamed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.fakes.server import KEY, FakeServer, Request, Say, event, known, need, take_turns

MODEL = "claude-haiku-4-5"
_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}


class AnthropicServer(FakeServer):
    """Serves one model at /v1/messages, in the API's version of 2026-10-21: no temperature, the key as a bearer token."""

    def __init__(self, model: str = MODEL) -> None:
        super().__init__()
        self.model = model

    def check(self, request: Request) -> None:
        need(request.method == "POST" and request.path == "/v1/messages", f"no such route: {request.path}", 404)
        need(request.headers.get("authorization") == f"Bearer {KEY}", "invalid bearer token", 401)
        need(request.headers.get("anthropic-version") == "2026-10-21", "anthropic-version: header is required")
        body = request.json
        known(body, {"model", "max_tokens", "messages", "stream"}, {"system", "thinking", "output_config"})
        need(body["model"] == self.model, f"model: {body['model']}", 404)
        need(body["stream"] is True, "stream must be true")
        need(isinstance(body["max_tokens"], int) and body["max_tokens"] > 0, "max_tokens: must be a positive number")
        for message in body["messages"]:
            known(message, {"role", "content"}, set(), "message")
        take_turns([message["role"] for message in body["messages"]])

    def error(self, status: int, message: str) -> tuple[Mapping[str, str], bytes]:
        body = {"type": "error", "error": {"type": _TYPES.get(status, "api_error"), "message": message}}
        return {"Content-Type": "application/json", "request-id": "req_1"}, json.dumps(body).encode()

    def frames(self, say: Say, request: Request) -> tuple[bytes, list[bytes], bytes]:
        def named(name: str, **data: object) -> bytes:
            return event({"type": name, **data}, name)

        message: dict[str, object] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1101, "output_tokens": 1},
        }
        opening = (
            named("message_start", message=message)
            + named("content_block_start", index=0, content_block={"type": "text", "text": ""})
            + named("ping")
        )
        pieces = [named("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in say.pieces]
        ending = (
            named("content_block_stop", index=0)
            + named(
                "message_delta",
                delta={"stop_reason": say.reason or "end_turn", "stop_sequence": None},
                usage={"input_tokens": 1101, "output_tokens": 307},
            )
            + named("message_stop")
        )
        return opening, pieces, ending

    def nonsense(self) -> bytes:
        return event("{this is no JSON", "content_block_delta")
