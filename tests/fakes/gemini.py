"""Google's streamGenerateContent, of the Gemini API (with a key) and of Vertex AI (with a service account's token)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs

from tests.fakes.server import KEY, FakeServer, Refused, Request, Say, event, known, need, take_turns

MODEL = "gemini-2.5-flash"
PROJECT, LOCATION = "our-project", "europe-west1"
TOKEN = "ya29.fake-0123456789"
_STATES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}


class GeminiServer(FakeServer):
    """Serves one model. With `vertex` it is a project's, and the server gives out tokens at /token, too."""

    def __init__(self, *, vertex: bool = False) -> None:
        super().__init__()
        self.vertex = vertex
        self.secret = TOKEN if vertex else KEY
        self.tokens = 0

    def check(self, request: Request) -> None:
        base = f"/v1beta1/projects/{PROJECT}/locations/{LOCATION}/publishers/google" if self.vertex else "/v1beta"
        if self.vertex and request.path == "/token":
            grant = parse_qs(request.body.decode())
            need(grant.get("grant_type") == ["urn:ietf:params:oauth:grant-type:jwt-bearer"], "no grant")
            need(grant.get("assertion", [""])[0].count(".") == 2, "no signed assertion")
            self.tokens += 1
            raise Token
        path = f"{base}/models/{MODEL}:streamGenerateContent"
        need(request.method == "POST" and request.path == path, f"models/… is not found: {request.path}", 404)
        need(parse_qs(request.query) == {"alt": ["sse"]}, "alt must be sse")
        if self.vertex:
            need(request.headers.get("authorization") == f"Bearer {TOKEN}", "no valid token", 401)
        else:
            need(request.headers.get("x-goog-api-key") == KEY, "API key not valid.", 400)
        body = request.json
        known(body, {"contents", "generationConfig"}, {"systemInstruction", "safetySettings"})
        known(
            body["generationConfig"],
            {"maxOutputTokens"},
            {"temperature", "candidateCount", "thinkingConfig"},
            "generationConfig",
        )
        for content in [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]:
            known(content, {"parts"}, {"role"}, "content")
            for part in content["parts"]:
                known(part, {"text"}, set(), "part")
        take_turns([content["role"] for content in body["contents"]], other="model")

    def error(self, status: int, message: str) -> tuple[Mapping[str, str], bytes]:
        if status == 200:
            return {"Content-Type": "application/json"}, message.encode()
        body = {"error": {"code": status, "message": message, "status": _STATES.get(status, "INTERNAL")}}
        return {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(body).encode()

    def frames(self, say: Say, request: Request) -> tuple[bytes, list[bytes], bytes]:
        def chunk(text: str, **more: object) -> bytes:
            candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}
            said = 307 if more else 3  # so far
            used = {"promptTokenCount": 1101, "candidatesTokenCount": said, "totalTokenCount": 1101 + said}
            return event({"candidates": [candidate], "usageMetadata": used, "modelVersion": MODEL})

        return b"", [chunk(piece) for piece in say.pieces], chunk("", finishReason=say.reason or "STOP")

    def nonsense(self) -> bytes:
        return event("{this is no JSON")

    def account(self, folder: Path) -> Path:
        """A service account's file whose tokens come from this server."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / "account.json"
        path.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": PROJECT,
                    "private_key_id": "1",
                    "private_key": key.decode(),
                    "client_email": "bot@our-project.example",
                    "token_uri": f"{self.url}/token",
                }
            )
        )
        return path


class Token(Refused):
    """Not refused at all: the token that was asked for."""

    def __init__(self) -> None:
        super().__init__(200, json.dumps({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}))
