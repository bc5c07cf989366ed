"""`/v1/session`: who asks, signing in with a name and a password, signing out."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from rag_bot.accounts.accounts import Accounts
from rag_bot.accounts.types import Principal
from rag_bot.api.access import begin, principal_in
from rag_bot.api.limits import address_of
from rag_bot.api.problems import Problem, Refused
from rag_bot.api.schemas import PROBLEM, PasswordRequest, SessionObject, SignInRequest
from rag_bot.api.service import AnyService, Service
from rag_bot.errors import NotFound

if TYPE_CHECKING:
    from rag_bot.api.provider import SignIn

router = APIRouter(tags=["Session"], responses=PROBLEM)

TRIES, TRIES_SECONDS = 10, 300
"""How often one address, or anybody under one name, may try to sign in, in so many seconds."""
WRONG = Problem(401, "Not signed in", "The name or the password is wrong.", "wrong-password")


@router.get("/v1/session", response_model=SessionObject)
async def session(request: Request, service: AnyService) -> Response:
    """Who asks, and how one can sign in."""
    return JSONResponse(_shown(service, principal_in(request.scope)))


@router.post("/v1/session", response_model=SessionObject)
async def sign_in(body: SignInRequest, request: Request, service: AnyService) -> Response:
    """Sign in with a name and a password. The session is a cookie; writing then needs the header `X-CSRF-Token` as well, with
    what the cookie `rag_bot_csrf` holds."""
    accounts = _accounts(service)
    tried = [
        f"address {address_of(request.scope)}",
        f"name {hashlib.sha256(body.name.strip().lower().encode()).hexdigest()[:40]}",
    ]
    for whose in tried:
        tries = await asyncio.to_thread(accounts.counting.attempts, whose, TRIES, TRIES_SECONDS)
        if tries.over:
            detail = f"There were more than {TRIES} tries to sign in. Try again in {tries.reset} s."
            raise Refused(Problem(429, "Too many tries", detail, "too-many-tries", retry_after=tries.reset))
    user = await asyncio.to_thread(accounts.users.sign_in, body.name, body.password)
    if user is None:
        raise Refused(WRONG)
    await asyncio.to_thread(accounts.counting.forgive, tried[1], TRIES_SECONDS)
    begin(request, user.id, user.epoch, user.principal)
    return JSONResponse(_shown(service, user.principal))


@router.get("/v1/session/oidc", status_code=302, response_class=Response)
async def leave_for_provider(request: Request, service: AnyService) -> Response:
    """To the sign-in provider. What goes wrong is told to the page (`?sign-in=…`)."""
    return await (await _sign_in(service)).leave(request)


@router.get("/v1/session/oidc/callback", status_code=303, response_class=Response)
async def come_from_provider(request: Request, service: AnyService) -> Response:
    """From the sign-in provider, to the page."""
    return await (await _sign_in(service)).come_back(request)


@router.delete("/v1/session", status_code=204, response_class=Response)
async def sign_out(request: Request, service: AnyService, everywhere: bool = False) -> None:
    """Sign out here, or (`everywhere`) end every session of this user."""
    accounts, principal = _accounts(service), principal_in(request.scope)
    request.session.clear()
    if everywhere and principal and principal.kind == "user":
        await asyncio.to_thread(accounts.users.end_sessions, principal.id.removeprefix("user:"))
        accounts.forget()


@router.post("/v1/session/password", status_code=204, response_class=Response)
async def change_password(body: PasswordRequest, request: Request, service: AnyService) -> None:
    """Change one's own password; every other session of this user ends."""
    accounts, principal = _accounts(service), principal_in(request.scope)
    if principal is None or principal.kind != "user":
        raise Refused(Problem(401, "Not signed in", "Sign in to change your password.", "not-signed-in"))
    tries = await asyncio.to_thread(accounts.counting.attempts, principal.id, TRIES, TRIES_SECONDS)
    if tries.over:
        detail = f"There were more than {TRIES} tries. Try again in {tries.reset} s."
        raise Refused(Problem(429, "Too many tries", detail, "too-many-tries", retry_after=tries.reset))
    if await asyncio.to_thread(accounts.users.sign_in, principal.name, body.old) is None:
        raise Refused(WRONG)
    user = await asyncio.to_thread(accounts.users.change, principal.id.removeprefix("user:"), password=body.new)
    accounts.forget()
    begin(request, user.id, user.epoch, user.principal)


def _accounts(service: Service) -> Accounts:
    if service.accounts is None:
        raise NotFound("There are no accounts here: nobody needs to sign in.", "RAG_BOT_AUTH=on turns them on.")
    return service.accounts


async def _sign_in(service: Service) -> SignIn:
    found = await asyncio.to_thread(lambda: service.sign_in)  # the first time a library is imported
    if found is None:
        raise NotFound("There is no sign-in provider here.", "RAG_BOT_OIDC_ISSUER names one.")
    return found


def _shown(service: Service, principal: Principal | None) -> dict[str, Any]:
    shown = None
    if principal is not None:
        shown = {
            "id": principal.id,
            "name": principal.name,
            "role": principal.role,
            "permissions": sorted(principal.permissions),
            "groups": sorted(principal.groups),
        }
    provider = service.provider.label if service.provider else None
    return {"accounts": service.accounts is not None, "principal": shown, "provider": provider}
