"""Amazon's event streams: Bedrock's ConverseStream, and SageMaker's InvokeEndpointWithResponseStream."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tests.fakes.server import FakeServer, Request, Say, event, known, need, take_turns

ACCESS, SECRET, REGION = "AKIDFAKEFAKEFAKE", "wJalrFakeFakeFakeFakeFakeFakeFakeFakeKEY", "eu-west-1"
SESSION = "IQoJfakefakefakefake"
MODEL = "eu.amazon.nova-lite-v1:0"
ENDPOINT = "jumpstart-llama"


def frame(payload: bytes, event_type: str, content_type: str = "application/json") -> bytes:
    """One message of `application/vnd.amazon.eventstream`: lengths, their checksum, headers, payload, checksum of all."""
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in ((":event-type", event_type), (":content-type", content_type), (":message-type", "event"))
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


class AWSServer(FakeServer):
    """What both services share: signed requests, and the form of errors."""

    content_type = "application/vnd.amazon.eventstream"
    service = ""
    secret = SESSION

    def signed(self, request: Request) -> None:
        scope = rf"{ACCESS}/\d{{8}}/{REGION}/{self.service}/aws4_request"
        form = rf"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=\S+, Signature=[0-9a-f]{{64}}"
        signature = request.headers.get("authorization", "")
        need(re.fullmatch(form, signature) is not None, "The security token included in the request is invalid.", 403)
        need(request.headers.get("x-amz-security-token") == SESSION, "no session", 403)
        need("x-amz-date" in request.headers, "x-amz-date is missing", 403)

    def error(self, status: int, message: str) -> tuple[Mapping[str, str], bytes]:
        kinds = {400: "ValidationException", 403: "UnrecognizedClientException", 404: "ResourceNotFoundException"}
        kind = kinds.get(status, "ThrottlingException" if status == 429 else "InternalServerException")
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": kind, "x-amzn-RequestId": "1"}
        return headers, json.dumps({"message": message}).encode()


class BedrockServer(AWSServer):
    """Serves one model."""

    service = "bedrock"

    def check(self, request: Request) -> None:
        need(request.method == "POST" and unquote(request.path) == f"/model/{MODEL}/converse-stream", "no such model", 404)
        self.signed(request)
        body = request.json
        known(body, {"messages"}, {"system", "inferenceConfig", "additionalModelRequestFields"})
        known(body.get("inferenceConfig", {}), {"maxTokens"}, {"temperature", "topP", "stopSequences"}, "inferenceConfig")
        need(not body.get("additionalModelRequestFields"), "fields that the model does not know")
        for block in body.get("system", []):
            known(block, {"text"}, set(), "system")
        for message in body["messages"]:
            known(message, {"role", "content"}, set(), "message")
            for block in message["content"]:
                known(block, {"text"}, set(), "content")
        take_turns([message["role"] for message in body["messages"]])

    def frames(self, say: Say, request: Request) -> tuple[bytes, list[bytes], bytes]:
        def named(kind: str, **data: Any) -> bytes:
            return frame(json.dumps(data).encode(), kind)

        pieces = [named("contentBlockDelta", contentBlockIndex=0, delta={"text": piece}) for piece in say.pieces]
        used = {"inputTokens": 1101, "outputTokens": 307, "totalTokens": 1408}
        ending = (
            named("contentBlockStop", contentBlockIndex=0)
            + named("messageStop", stopReason=say.reason or "end_turn")
            + named("metadata", usage=used, metrics={"latencyMs": 5})
        )
        return named("messageStart", role="assistant"), pieces, ending

    def nonsense(self) -> bytes:
        return frame(b"{this is no JSON", "contentBlockDelta")


class SageMakerServer(AWSServer):
    """Serves one endpoint, whose container takes and gives what OpenAI's servers do."""

    service = "sagemaker"

    def check(self, request: Request) -> None:
        path = f"/endpoints/{ENDPOINT}/invocations-response-stream"
        need(request.method == "POST" and request.path == path, "no such endpoint", 404)
        self.signed(request)
        need(request.headers.get("content-type") == "application/json", "content type")
        body = request.json
        known(body, {"messages", "stream", "max_tokens"}, {"temperature", "stream_options"})
        for message in body["messages"]:
            known(message, {"role", "content"}, set(), "message")
        roles = [message["role"] for message in body["messages"]]
        take_turns(roles[1:] if roles[:1] == ["system"] else roles)

    def frames(self, say: Say, request: Request) -> tuple[bytes, list[bytes], bytes]:
        def part(data: bytes) -> bytes:
            return frame(data, "PayloadPart", "application/octet-stream")

        def chunk(delta: dict[str, str], reason: str | None = None, **more: Any) -> bytes:
            return event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})

        used = {"prompt_tokens": 1101, "completion_tokens": 307, "total_tokens": 1408}
        # A line may be torn over two parts.
        pieces = [chunk({"content": piece}) for piece in say.pieces]
        ending = part(chunk({}, say.reason or "stop", usage=used) + event("[DONE]"))
        return b"", [part(piece[:9]) + part(piece[9:]) for piece in pieces], ending

    def nonsense(self) -> bytes:
        return frame(event("{this is no JSON"), "PayloadPart", "application/octet-stream")
