"""A workspace with a few people and channels."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.slack import FakeSlack


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(retries=(0.0, 0.2, 1.0, 3.0), ack_seconds=1.0) as fake:
        fake.user("UADM", admin=True)
        fake.channel("C1", "UANN", "UBOB", "UADM")
        fake.channel("G1", "UANN", "UBOB", kind="group")
        fake.im("UANN")
        yield fake
    # To ask whether a stream has ended is no offence.
    assert [one for one in fake.refused if one[1] != "message_not_in_streaming_state"] == []
    assert fake.violations == []
