"""`/v1/users`, `/v1/keys` and `/v1/audit`: what admins manage."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator
from starlette.responses import JSONResponse, Response

from rag_bot.accounts.accounts import Accounts
from rag_bot.accounts.keys import Key
from rag_bot.accounts.quotas import quotas_of
from rag_bot.accounts.users import User
from rag_bot.api.access import Asker
from rag_bot.api.schemas import (
    PROBLEM,
    AuditLines,
    KeyMade,
    KeyObject,
    KeyRequest,
    Keys,
    UserChange,
    UserObject,
    UserRequest,
    Users,
)
from rag_bot.api.service import AnyService
from rag_bot.errors import NotFound

router = APIRouter(tags=["Accounts"], responses=PROBLEM)


async def the_accounts(service: AnyService) -> Accounts:
    if service.accounts is None:
        raise NotFound("There are no accounts here.", "RAG_BOT_AUTH=on turns them on.")
    return service.accounts


def _written(moment: object) -> object:
    """A moment as people write it: a bare number would be read as seconds since 1970."""
    if isinstance(moment, str) and not moment[:5].endswith("-"):
        raise ValueError("write it like 2026-01-31 or 2026-01-31T12:00:00Z")
    return moment


TheAccounts = Annotated[Accounts, Depends(the_accounts)]


@router.get("/v1/users", response_model=Users)
def users(accounts: TheAccounts) -> Response:
    """All users, by name."""
    return JSONResponse({"users": [_user(user) for user in accounts.users.list()]})


@router.post("/v1/users", response_model=UserObject, status_code=201)
def add_user(body: UserRequest, accounts: TheAccounts) -> Response:
    """Make a user who signs in with a password."""
    user = accounts.users.add(body.name, body.password, body.role, groups=body.groups, email=body.email)
    return JSONResponse(_user(user), 201, {"Location": f"/v1/users/{user.id}"})


@router.patch("/v1/users/{user_id}", response_model=UserObject)
def change_user(user_id: str, body: UserChange, accounts: TheAccounts) -> Response:
    """Change what is given. A new password, and `disabled`, end the user's sessions."""
    user = accounts.users.change(user_id, **body.model_dump(exclude_unset=True))
    accounts.forget()
    return JSONResponse(_user(user))


@router.delete("/v1/users/{user_id}", status_code=204, response_class=Response)
def remove_user(user_id: str, accounts: TheAccounts) -> None:
    """Take a user out; their sessions end. Their conversations stay in the database, and nobody sees them."""
    accounts.users.remove(user_id)
    accounts.forget()


@router.get("/v1/keys", response_model=Keys)
def keys(accounts: TheAccounts) -> Response:
    """All API keys, newest first, without their secret half."""
    return JSONResponse({"keys": [_key(key) for key in accounts.keys.list()]})


@router.post("/v1/keys", response_model=KeyMade, status_code=201)
def create_key(body: KeyRequest, accounts: TheAccounts, asker: Asker) -> Response:
    """Make an API key. `key` in the answer is all of it: it is shown this once."""
    key, token = accounts.keys.create(
        body.name,
        body.role,
        permissions=body.permissions,
        groups=body.groups,
        quotas=quotas_of(body.quotas),
        days=body.days,
        created_by=asker.id,
    )
    return JSONResponse({**_key(key), "key": token}, 201, {"Location": f"/v1/keys/{key.id}"})


@router.delete("/v1/keys/{key_id}", response_model=KeyObject)
def revoke_key(key_id: str, accounts: TheAccounts) -> Response:
    """Revoke a key: within two seconds no replica takes it any more."""
    key = accounts.keys.revoke(key_id)
    accounts.forget()
    return JSONResponse(_key(key))


@router.get("/v1/audit", response_model=AuditLines)
def audit(
    accounts: TheAccounts,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many lines at most.")] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="The `next` of the page before.")] = None,
    actor: Annotated[str, Query(max_length=64, description="Only of this principal.")] = "",
    action: Annotated[str, Query(max_length=64, description="Only actions that begin so, such as `key.`.")] = "",
    since: Annotated[datetime | None, BeforeValidator(_written), Query(description="Only since then (ISO 8601).")] = None,
) -> Response:
    """Who did what, newest first."""
    lines = accounts.audit.lines(limit, before, actor, action, since)
    following = lines[-1].id if len(lines) == limit else None
    return JSONResponse({"lines": [asdict(line) for line in lines], "next": following})


def _user(user: User) -> dict[str, Any]:
    shown = asdict(user)
    del shown["epoch"]
    return shown


def _key(key: Key) -> dict[str, Any]:
    return {**asdict(key), "valid": key.valid}
