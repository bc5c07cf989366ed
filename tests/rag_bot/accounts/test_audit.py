"""The audit log: lines in order, found by who and what, dropped when they are old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rag_bot.accounts.accounts import Accounts
from rag_bot.accounts.audit import Line


def test_lines_come_newest_first_and_page_by_page(accounts: Accounts) -> None:
    for n in range(7):
        accounts.audit.add(Line("document.add", "user:ada" if n % 2 else "key:rb_1", f"documents/{n}", detail={"status": 201}))
    accounts.audit.add(Line("key.create", "user:ada", "keys/rb_2", "refused", "10.0.0.1"))

    first = accounts.audit.lines(3)
    assert [line.object for line in first] == ["keys/rb_2", "documents/6", "documents/5"]
    assert first[0].outcome == "refused" and first[0].address == "10.0.0.1" and first[1].detail == {"status": 201}
    second = accounts.audit.lines(100, before=first[-1].id)
    assert [line.object for line in second] == [f"documents/{n}" for n in (4, 3, 2, 1, 0)]
    assert {line.object for line in accounts.audit.lines(actor="user:ada", action="document.")} == {
        "documents/1",
        "documents/3",
        "documents/5",
    }
    assert accounts.audit.lines(action="document_") == []  # no wildcards
    assert accounts.audit.lines(since=datetime.now(UTC) + timedelta(minutes=1)) == []


def test_hostile_objects_are_kept_as_far_as_they_fit(accounts: Accounts) -> None:
    accounts.audit.add(Line("request.refused", "", "GET /\x00" + "é" * 500))
    kept = accounts.audit.lines()[0].object
    assert kept.startswith("GET /é") and len(kept) == 255


def test_old_lines_are_dropped(accounts: Accounts) -> None:
    old = (datetime.now(UTC) - timedelta(days=40)).isoformat(timespec="microseconds")
    accounts.audit.add(Line("document.add", object="old", at=old))
    accounts.audit.add(Line("document.add", object="new"))
    assert accounts.audit.forget(30) == 1
    assert [line.object for line in accounts.audit.lines()] == ["new"]
