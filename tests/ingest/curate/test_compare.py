"""Sentences that disagree are found; sentences that are merely different are not."""

from __future__ import annotations

import pytest

from ingest.curate.compare import disagreements

LEAVE = "Every employee gets 25 days of leave a year. Ask the manager in writing."


def sentences(one: str, other: str, *, table: bool = False) -> list[tuple[str, str]]:
    return [(one[a:b], other[c:d]) for a, b, c, d in ((*e.one, *e.other) for e in disagreements(one, other, table=table))]


@pytest.mark.parametrize(
    ("other", "facts"),
    [
        ("Every employee gets 30 days of leave a year.", (("25",), ("30",))),
        ("Every employee gets no 25 days of leave a year.", ((), ("not",))),
    ],
)
def test_a_number_or_a_negation(other: str, facts: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    (found,) = disagreements(LEAVE, other)
    assert LEAVE[slice(*found.one)] == "Every employee gets 25 days of leave a year."
    assert other[slice(*found.other)] == other
    assert (found.facts, found.other_facts) == facts


@pytest.mark.parametrize(
    "other",
    [
        LEAVE,
        "Every employee gets 25 days of leave a year, and one more. Every contractor gets 30 days.",
        "Every employee gets 30 hours of leave a week.",
        LEAVE + " Every employee gets 30 days of leave a year.",  # says the one thing, too
        "",
    ],
)
def test_no_disagreement(other: str) -> None:
    assert disagreements(LEAVE, other) == []


def test_rows_of_tables() -> None:
    one = "| leave of employees in Oslo | 25 |\n| hours | 40 |"
    other = "| hours | 38 |\n| leave of employees in Oslo | 30 |"
    assert sentences(one, other, table=True) == [("| leave of employees in Oslo | 25 |", "| leave of employees in Oslo | 30 |")]


def test_a_million_identical_lines() -> None:
    assert disagreements("Room 7 is the red room here.\n" * 20_000, "Room 8 is the red room here.\n" * 20_000, table=True)
