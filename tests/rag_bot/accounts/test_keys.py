"""API keys: shown once, known by their hash, worthless once revoked or expired."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from rag_bot.accounts.accounts import KNOWN_SECONDS, Accounts
from rag_bot.accounts.quotas import quotas_of
from rag_bot.errors import BadAccount, NotFound
from rag_bot.memory import Memory


def test_a_key_is_found_by_all_of_it_and_by_nothing_less(accounts: Accounts) -> None:
    key, token = accounts.keys.create("robot", "editor", groups=["hr", "hr", " board "], quotas={"questions_per_day": 5})
    other, _ = accounts.keys.create("another")

    assert token.startswith(f"{key.id}_")
    found = accounts.keys.find(token)
    assert found is not None and found.groups == ("hr", "board") and found.permissions == ("ask", "read", "write")
    wrong = [token[:-1], token + "x", token[:-1] + ("a" if token[-1] != "a" else "b"), token.replace(key.id, other.id)]
    for text in [*wrong, "", "rb_", f"{key.id}_", " " + token, "Bearer " + token, token.upper(), "\x00", "ü" * 60]:
        assert accounts.keys.find(text) is None


def test_the_database_does_not_hold_the_secret(accounts: Accounts, memory: Memory) -> None:
    key, token = accounts.keys.create("robot")
    with memory.transaction() as connection:
        rows = [str(row) for row in connection.execute(sa.text("SELECT * FROM api_keys"))]
    assert key.id in rows[0]
    assert token.rpartition("_")[2] not in rows[0]


def test_a_key_that_is_revoked_or_expired_lets_nobody_in(accounts: Accounts) -> None:
    key, token = accounts.keys.create("robot")
    _, short = accounts.keys.create("short", days=1e-6)
    accounts.keys.revoke(key.id)
    time.sleep(0.2)

    assert accounts.keys.find(token) is None
    assert accounts.keys.find(short) is None
    listed = {one.name: one for one in accounts.keys.list()}
    assert listed["robot"].revoked_at and not listed["robot"].valid and not listed["short"].valid
    at = listed["robot"].revoked_at
    assert accounts.keys.revoke(key.id).revoked_at == at  # revoking again changes nothing
    with pytest.raises(NotFound):
        accounts.keys.revoke("rb_nosuchkey00")


def test_what_a_key_may_do_never_goes_beyond_its_role(accounts: Accounts) -> None:
    with pytest.raises(BadAccount, match="no permission 'write'"):
        accounts.keys.create("robot", "reader", permissions=["ask", "write"])
    with pytest.raises(BadAccount, match="no role 'boss'"):
        accounts.keys.create("robot", "boss")  # type: ignore[arg-type]
    key, token = accounts.keys.create("numbers", "admin", permissions=["metrics"])
    principal = accounts.by_key(token)
    assert principal is not None and principal.permissions == {"metrics"} and principal.id == f"key:{key.id}"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\x07b"])
def test_a_key_has_a_name_that_can_be_shown(accounts: Accounts, name: str) -> None:
    with pytest.raises(BadAccount):
        accounts.keys.create(name)


@pytest.mark.parametrize("quotas", [{"questions": 1.0}, {"cost_per_day": -1.0}, {"cost_per_day": float("nan")}])
def test_quotas_that_can_not_be_are_refused(quotas: dict[str, float]) -> None:
    with pytest.raises(BadAccount, match="quota"):
        quotas_of(quotas)


def test_a_revoked_key_is_known_for_two_seconds_at_most(memory: Memory) -> None:
    now = [100.0]
    here, elsewhere = Accounts(memory, clock=lambda: now[0]), Accounts(memory)
    key, token = here.keys.create("robot")
    assert here.by_key(token) is not None

    elsewhere.keys.revoke(key.id)  # another replica does
    now[0] += KNOWN_SECONDS - 0.1
    assert here.by_key(token) is not None
    now[0] += 0.2
    assert here.by_key(token) is None


def test_a_key_tells_when_it_was_used(accounts: Accounts) -> None:
    _, token = accounts.keys.create("robot")
    assert accounts.keys.list()[0].used_at is None
    accounts.keys.find(token)
    used = accounts.keys.list()[0].used_at
    assert used is not None
    accounts.keys.find(token)
    assert accounts.keys.list()[0].used_at == used  # to the minute: not every request writes
