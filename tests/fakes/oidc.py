"""A sign-in provider over a real socket: oidc-provider-mock, which also insists on PKCE and can be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import flask
import httpx
import oidc_provider_mock
from joserfc import jwt
from joserfc.jwk import RSAKey
from oidc_provider_mock._app import storage
from oidc_provider_mock._server import _threaded_server

Claims = dict[str, Any]


@dataclass
class OidcProvider:
    """The provider at `issuer`, with one client. `forge` changes the claims of an ID token, or makes another token of them;
    `strange` signs them with a key that the provider does not publish; `metadata` and `userinfo` go over what it would say."""

    issuer: str = ""
    client_id: str = ""
    client_secret: str = ""
    forge: Callable[[Claims], Claims | str] | None = None
    strange: bool = False
    metadata: Claims = field(default_factory=dict)
    userinfo: Claims = field(default_factory=dict)
    down: bool = False
    requests: list[str] = field(default_factory=list)
    _challenges: dict[str, str] = field(default_factory=dict)

    def user(self, subject: str, **claims: object) -> None:
        """Somebody who has an account there."""
        httpx.put(f"{self.issuer}/users/{subject}", json=claims).raise_for_status()

    def agree(self, location: str, subject: str) -> str:
        """Sign in there as a person would, after being sent to `location`; where one is sent then."""
        answer = httpx.post(location, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def deny(self, location: str) -> str:
        """Refuse there to sign in."""
        return httpx.post(location, data={"action": "deny"}).headers["location"]

    def check(self) -> flask.Response | None:
        """Before a request: PKCE (RFC 7636) by S256 is asked for, and kept to."""
        self.requests.append(flask.request.path)
        if self.down:
            return flask.Response(status=503)
        if flask.request.path == "/oauth2/authorize":
            asked = flask.request.args
            if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
                return flask.Response('{"error": "invalid_request"}', 400, content_type="application/json")
        if flask.request.path == "/oauth2/token":
            digest = hashlib.sha256(flask.request.form.get("code_verifier", "").encode()).digest()
            challenge = self._challenges.pop(flask.request.form["code"], None)
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
                return flask.Response('{"error": "invalid_grant"}', 400, content_type="application/json")
        return None

    def change(self, response: flask.Response) -> flask.Response:
        """After a request."""
        path = flask.request.path
        if path == "/oauth2/authorize" and "code=" in response.headers.get("Location", ""):
            code = httpx.URL(response.headers["Location"]).params["code"]
            self._challenges[code] = flask.request.args["code_challenge"]
        if response.status_code == 200 and path == "/oauth2/token" and (self.forge or self.strange):
            token = json.loads(response.data)
            token["id_token"] = self._forged(token["id_token"])
            response.data = json.dumps(token)
        if path == "/.well-known/openid-configuration" and self.metadata:
            response.data = json.dumps({**json.loads(response.data), **self.metadata})
        if path == "/userinfo" and self.userinfo:
            response.data = json.dumps({**json.loads(response.data), **self.userinfo})
        return response

    def _forged(self, token: str) -> str:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        forged = self.forge(claims) if self.forge else claims
        if isinstance(forged, str):
            return forged
        own = RSAKey.import_key(storage.jwk.as_dict(is_private=True))
        return jwt.encode({"alg": "RS256"}, forged, RSAKey.generate_key(2048) if self.strange else own)


@contextmanager
def oidc_provider(*callbacks: str) -> Iterator[OidcProvider]:
    """A provider that runs in a thread, and sends people back to these addresses alone. Without one it takes any client."""
    provider = OidcProvider(client_id="rag-bot", client_secret="secret")
    app = oidc_provider_mock.app(require_client_registration=bool(callbacks), require_nonce=True)
    app.before_request(provider.check)
    app.after_request(provider.change)
    with _threaded_server(app) as server:
        provider.issuer = f"http://localhost:{server.server_port}"
        if not callbacks:
            yield provider
            return
        made = httpx.post(f"{provider.issuer}/oauth2/clients", json={"redirect_uris": list(callbacks)})
        made.raise_for_status()
        provider.client_id, provider.client_secret = made.json()["client_id"], made.json()["client_secret"]
        yield provider


def unsigned(claims: Claims) -> str:
    """An ID token that nobody has signed."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def later(seconds: float) -> int:
    """A moment from now, as tokens say it."""
    return int(time.time() + seconds)
