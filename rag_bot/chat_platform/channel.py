"""The settings of a channel: which documents, which tone, whom to answer, when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo, available_timezones

from rag_bot.types import Tone

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Hours:
    """When a channel is open: on these days (0 is Monday), from `start` until `end` (HH:MM) of a time zone.

    An end that is not after the start lies on the next day.
    """

    days: tuple[int, ...]
    start: str
    end: str
    zone: str

    def __post_init__(self) -> None:
        if not self.days or not set(self.days) <= set(range(7)):
            raise ValueError("Choose at least one day.")
        if not _TIME.fullmatch(self.start) or not _TIME.fullmatch(self.end):
            raise ValueError("Write times like 09:00.")
        if self.zone not in available_timezones():
            raise ValueError("Write the time zone like Europe/Brussels.")

    def open_at(self, moment: datetime) -> bool:
        """`moment` has a time zone of its own."""
        local = moment.astimezone(ZoneInfo(self.zone))
        clock = f"{local:%H:%M}"
        if self.start < self.end:
            return local.weekday() in self.days and self.start <= clock < self.end
        late = local.weekday() in self.days and clock >= self.start
        return late or ((local.weekday() - 1) % 7 in self.days and clock < self.end)

    def __str__(self) -> str:
        days = ", ".join(DAYS[day] for day in sorted(self.days))
        return f"{days}, {self.start} to {self.end} ({self.zone})"


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """What can be set for a channel. `follow`: answer in a thread once joined, also unnamed. `sure`: say nothing where
    the documents don't hold the answer. `private`: only the asker sees the answer."""

    collection: str = ""
    tone: Tone = "plain"
    follow: bool = True
    sure: bool = False
    private: bool = False
    hours: Hours | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ChannelSettings:
        """The settings as they were stored; what is not known (any more) is left at its default."""
        known = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        if known.get("tone") not in get_args(Tone):
            known.pop("tone", None)
        hours = known.pop("hours", None)
        try:
            known["hours"] = Hours(tuple(hours["days"]), hours["start"], hours["end"], hours["zone"]) if hours else None
        except (ValueError, KeyError, TypeError):
            known["hours"] = None
        return cls(**known)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
