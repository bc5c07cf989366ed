"""Settings of a channel: hours over midnight and in other zones, and what was stored by another version."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rag_bot.chat_platform.channel import ChannelSettings, Hours

DAY = Hours((0, 1, 2, 3, 4), "09:00", "17:00", "Europe/Brussels")
NIGHT = Hours((4,), "22:00", "06:00", "Europe/Brussels")


@pytest.mark.parametrize(
    ("hours", "moment", "is_open"),
    [
        (DAY, datetime(2026, 11, 23, 8, 0, tzinfo=UTC), True),  # a Monday, nine in Brussels
        (DAY, datetime(2026, 11, 23, 7, 59, tzinfo=UTC), False),
        (DAY, datetime(2026, 11, 23, 16, 0, tzinfo=UTC), False),
        (DAY, datetime(2026, 7, 20, 7, 0, tzinfo=UTC), True),  # summer time
        (DAY, datetime(2026, 11, 22, 12, 0, tzinfo=UTC), False),  # a Sunday
        (NIGHT, datetime(2026, 11, 27, 22, 0, tzinfo=UTC), True),  # Friday, eleven at night
        (NIGHT, datetime(2026, 11, 28, 4, 0, tzinfo=UTC), True),  # the Saturday after, five in the morning
        (NIGHT, datetime(2026, 11, 27, 4, 0, tzinfo=UTC), False),
        (NIGHT, datetime(2026, 11, 28, 22, 0, tzinfo=UTC), False),
    ],
)
def test_hours(hours: Hours, moment: datetime, is_open: bool) -> None:
    assert hours.open_at(moment) is is_open


@pytest.mark.parametrize(
    "wrong",
    [
        ((), "09:00", "17:00", "UTC"),
        ((7,), "09:00", "17:00", "UTC"),
        ((1,), "9:00", "17:00", "UTC"),
        ((1,), "09:00", "24:00", "UTC"),
        ((1,), "09:00", "17:00", "Mars/Base"),
    ],
)
def test_hours_that_are_none(wrong: tuple[tuple[int, ...], str, str, str]) -> None:
    with pytest.raises(ValueError):
        Hours(*wrong)


def test_settings_come_back_as_they_were_stored() -> None:
    settings = ChannelSettings("handbook", "brief", follow=False, sure=True, private=True, hours=DAY)
    stored = settings.as_dict()
    assert ChannelSettings.of(stored) == settings
    assert ChannelSettings.of({**stored, "hours": None}).hours is None
    assert ChannelSettings.of({}) == ChannelSettings()
    odd = ChannelSettings.of({"tone": "shouting", "newer": 1, "hours": {"days": []}})
    assert odd == ChannelSettings()
