"""What may vary between two texts that say the same, and what may not."""

from __future__ import annotations

import pytest

from ingest.curate.tokens import read


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Twenty days of leave, every year.", "  twenty days of leave - every\nyear "),
        ("It costs 1,000 euros.", "It costs 1000 euros."),
        ("You don’t pay.", "You don't pay!"),
    ],
)
def test_spelling_makes_no_difference(one: str, other: str) -> None:
    assert read(one) == read(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("You get 25 days.", "You get 30 days."),
        ("You get two weeks.", "You get three weeks."),
        ("It begins in March.", "It begins in April."),
        ("You may smoke here.", "You may not smoke here."),
        ("You can pay in cash.", "You can't pay in cash."),
        ("You can pay in cash.", "You cannot pay in cash."),
        ("You will pay.", "You won't pay."),
        ("Sie haben ein Recht darauf.", "Sie haben kein Recht darauf."),
        ("You must ask first.", "You may ask first."),
        ("Receipts are due weekly.", "Receipts are due monthly."),
    ],
)
def test_facts_differ_where_the_words_are_the_same(one: str, other: str) -> None:
    first, second = read(one), read(other)
    assert first.words == second.words
    assert first.facts != second.facts


def test_a_name_is_a_capital_inside_a_sentence() -> None:
    assert read("Leave in\nGermany. Ask Anna.\n\nReceipts go to her.").names == {"germany", "anna"}


def test_the_order_of_facts_counts() -> None:
    assert read("10 for adults, 5 for children").facts != read("5 for adults, 10 for children").facts


@pytest.mark.parametrize("text", ["", " ", "…", "|---|", "\x00", "\ud800", "a", "7", "漢字かな", "a" * 100_000])
def test_no_text_is_too_odd(text: str) -> None:
    assert len(read(text).words) <= max(1, len(text))
