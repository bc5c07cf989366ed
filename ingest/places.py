"""Where a passage stands in its file, in the words of its format: a range of cells, a slide, lines, a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple


class Place(NamedTuple):
    """From the character at `start` of the document's text on, this is where it stands in the file.

    `name` may be all there is to say (`slide 3`, `00:01:02`). Else `number` counts `unit`s in it: `row`, `line`; or rows of
    a sheet where `unit` names the first and last column of a table, as in `A:F`.
    """

    start: int
    name: str = ""
    unit: str = ""
    number: int | None = None


def within(places: Sequence[Place], start: int, end: int) -> tuple[Place, ...]:
    """Those of `places` (in order) that the text from `start` to `end` stands at."""
    first = max(0, bisect_right(places, start, key=lambda place: place.start) - 1)
    last = bisect_right(places, end - 1, key=lambda place: place.start)
    return tuple(places[first:last])


def label(places: Sequence[Place]) -> str | None:
    """The places as a person reads them: `Sheet 'Q1', A2:F9`, `lines 3-7`, `slide 3`. None where there are none.

    Where they are of several kinds, the first says where it begins.
    """
    if not places:
        return None
    _, name, unit, first = places[0]
    if first is None:
        return name or None
    last = max(place.number or first for place in places if (place.name, place.unit) == (name, unit))
    if ":" in unit:
        left, _, right = unit.partition(":")
        counted = f"{left}{first}" if (left, first) == (right, last) else f"{left}{first}:{right}{last}"
    else:
        counted = f"{unit} {first}" if last <= first else f"{unit}s {first}-{last}"
    return f"{name}, {counted}" if name else counted


def pack_places(places: Iterable[Place]) -> list[Any]:
    """The places as JSON, with names said once for all that follow one another."""
    return [
        [name, unit, [[place.start, place.number] for place in some]]
        for (name, unit), some in groupby(places, key=lambda place: (place.name, place.unit))
    ]


def read_places(data: Iterable[Any]) -> tuple[Place, ...]:
    """The places in what `pack_places` made."""
    return tuple(
        Place(int(start), str(name), str(unit), None if number is None else int(number))
        for name, unit, some in data
        for start, number in some
    )
