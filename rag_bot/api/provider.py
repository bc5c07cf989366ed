"""`/v1/session/oidc`: signing in through a provider (OpenID Connect, authorization code with PKCE)."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from authlib.integrations.starlette_client import OAuth, StarletteOAuth2App
from fastapi import Request
from starlette.responses import RedirectResponse, Response

from rag_bot.accounts.accounts import Accounts
from rag_bot.accounts.provider import Provider
from rag_bot.api.access import begin
from rag_bot.errors import BadAccount, BotError
from rag_bot.settings import Settings

log = logging.getLogger(__name__)

SECONDS = 10
"""How long the provider may take for an answer."""
# Signatures that can be checked with what the provider publishes: never `none`, never a shared secret.
_SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class SignIn:
    """Sends people to a provider and takes them in when they come back."""

    def __init__(self, provider: Provider, accounts: Accounts, settings: Settings) -> None:
        self._provider, self._accounts, self._settings = provider, accounts, settings
        self._client: StarletteOAuth2App = OAuth().register(
            "provider",
            client_id=provider.client_id,
            client_secret=provider.client_secret or None,
            server_metadata_url=provider.metadata_url,
            client_kwargs={
                "scope": provider.scopes,
                "code_challenge_method": "S256",
                "timeout": SECONDS,
                **({} if provider.client_secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def leave(self, request: Request) -> Response:
        """To the provider; back to the page, with a word for it in the address, where that can't be reached."""
        try:
            await self._check_metadata()
            back: Response = await self._client.authorize_redirect(request, self._callback(request))
        except Exception as error:  # whatever is wrong with the provider or the way to it
            log.warning("The sign-in provider %s can't be used: %s: %s", self._provider.issuer, type(error).__name__, error)
            return self._to_page(request, "unreachable")
        return back

    async def come_back(self, request: Request) -> Response:
        """From the provider: begin a session, or go back to the page with a word that says why not."""
        if request.query_params.get("error") == "access_denied":
            return self._to_page(request, "denied")
        try:
            person = self._provider.person(await self._claims(request))
            user = await asyncio.to_thread(
                self._accounts.users.seen,
                self._provider.issuer,
                person.subject,
                person.name,
                person.email,
                person.role,
                person.groups,
            )
        except BadAccount as error:
            log.warning("Somebody may not sign in through %s: %s", self._provider.issuer, error)
            return self._to_page(request, "refused")
        except BotError:
            raise  # the provider has no part in it
        except Exception as error:
            log.warning("A sign-in through %s failed: %s: %s", self._provider.issuer, type(error).__name__, error)
            return self._to_page(request, "failed")
        self._accounts.forget()  # what the provider says of them now holds at once
        begin(request, user.id, user.epoch, user.principal)
        # Whom the provider doesn't vouch for any more is out after this, however busy they are.
        request.session["until"] = int(time.time() + self._settings.session_hours * 3600)
        return self._to_page(request)

    async def _claims(self, request: Request) -> dict[str, Any]:
        await self._check_metadata()
        token = await self._client.authorize_access_token(request, claims_options=self._claims_wanted())
        claims = dict(token.get("userinfo") or {})
        if not claims:
            raise ValueError("there is no ID token in the provider's answer")
        if not self._provider.complete(claims) and self._client.server_metadata.get("userinfo_endpoint"):
            more = dict(await self._client.userinfo(token=token))
            if more.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, section 5.3.2
                raise ValueError("userinfo is about somebody else than the ID token")
            claims = {**more, **claims}
        return claims

    async def _check_metadata(self) -> None:
        """Raises ValueError where the provider says to be another, or signs in no way that can be checked."""
        metadata = await self._client.load_server_metadata()
        said = metadata.get("issuer")
        if not self._provider.is_named(said):
            metadata.pop("_loaded_at", None)  # it may be mended there
            raise ValueError(f"it says that its issuer is {said!r}")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in _SIGNATURES] or ["RS256"]

    def _claims_wanted(self) -> dict[str, dict[str, object]]:
        return {
            "iss": {"essential": True, "values": [self._client.server_metadata["issuer"]]},
            "aud": {"essential": True},
            "exp": {"essential": True},
            "sub": {"essential": True},
        }

    def _callback(self, request: Request) -> str:
        base = self._settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
        return f"{base}/v1/session/oidc/callback"

    @staticmethod
    def _to_page(request: Request, word: str = "") -> Response:
        """To the chat page, wherever a proxy has put it."""
        request.state.refused = bool(word)
        up = "../" * (request.url.path.rstrip("/").count("/") - 1)
        return RedirectResponse(f"{up}?sign-in={word}" if word else up, status_code=303, headers={"Cache-Control": "no-store"})
