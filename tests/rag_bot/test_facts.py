"""A sentence's figures, dates, names and negations, in one form for all the ways to write them."""

from __future__ import annotations

import pytest

from rag_bot.facts import bare, read, stem


def figures(text: str) -> list[tuple[str, str]]:
    """The figures of a sentence as (value, unit), without those that only prove."""
    return [(number.value, number.unit) for number in read(text).numbers if not number.weak]


def dates(text: str) -> list[tuple[int, int, int]]:
    return [(date.year, date.month, date.day) for date in read(text).dates]


def names(text: str) -> list[str]:
    return [name.text for name in read(text).names if not name.first]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It holds 1,000 litres.", [("1000", "litre")]),
        ("It holds 1000.0 l.", [("1000", "litre")]),
        ("five days", [("5", "day")]),
        ("twenty-five days", [("25", "day")]),
        ("two hundred and fifty-three seats", [("253", "")]),
        ("1.5 million people", [("1500000", "")]),
        ("two million people", [("2000000", "")]),
        ("20%", [("20", "%")]),
        ("20 percent", [("20", "%")]),
        ("twenty per cent", [("20", "%")]),
        ("€140 a night", [("140", "EUR")]),
        ("140 euros a night", [("140", "EUR")]),
        ("EUR 140", [("140", "EUR")]),
        ("$10-20", [("10", "USD"), ("20", "USD")]),
        ("3 to 5 working days", [("3", "day"), ("5", "day")]),
        ("26 paid leave days", [("26", "day")]),
        ("a 20-day notice", [("20", "day")]),
        ("at -5 °C", [("-5", "celsius")]),
        ("before 9:30 pm", [("21:30", "clock")]),
        ("at 9 am", [("9:00", "clock")]),
        ("on the 3rd floor", [("3", "ordinal")]),
        ("on the third floor", [("3", "ordinal")]),
        ("in the 1990s", [("1990", "decade")]),
        ("version 1.2.3", [("1.2.3", "")]),
        ("five six", [("5", ""), ("6", "")]),
        ("one of the teams", []),
        ("one year", [("1", "year")]),
        ("no figure at all", []),
    ],
)
def test_figures_have_one_form(text: str, expected: list[tuple[str, str]]) -> None:
    assert figures(text) == expected


def test_a_year_proves_one_year_but_claims_none() -> None:
    assert [(number.value, number.unit, number.weak) for number in read("for a year").numbers] == [("1", "year", True)]


@pytest.mark.parametrize(
    "text",
    ["on 3 July 2024", "on July 3, 2024", "on 2024-07-03", "on July 3rd, 2024", "on the 3rd of July 2024", "on 3.7.2024"],
)
def test_dates_have_one_form(text: str) -> None:
    assert dates(text) == [(2024, 7, 3)]
    assert figures(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in July", [(0, 7, 0)]),
        ("in July 2024", [(2024, 7, 0)]),
        ("by 31 March", [(0, 3, 31)]),
        ("You may march on.", []),
        ("May I go?", []),
        ("in May", [(0, 5, 0)]),
        ("from 2024-13-45", []),
        ("by 45 July", [(0, 7, 0)]),
    ],
)
def test_dates_say_only_what_is_said(text: str, expected: list[tuple[int, int, int]]) -> None:
    assert dates(text) == expected


def test_a_date_in_slashes_may_be_read_both_ways() -> None:
    assert [date.either for date in read("by 03/07/2024").dates] == [True]
    assert [date.either for date in read("by 03/17/2024").dates] == [False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We moved from Oslo to New York.", ["Oslo", "New", "York"]),
        ("Ask in writing.", []),
        ("However, ask Maria.", ["Maria"]),
        ("the model GPT-4 and the virus H1N1", ["GPT", "H1N1"]),
        ("CouchDB runs on iOS.", ["CouchDB", "iOS"]),
        ("It is paid in EUR, on Fridays.", ["Fridays"]),
        ("Gandhi 's speech in Bombay", ["Bombay"]),
    ],
)
def test_names_are_found(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_a_name_has_initials() -> None:
    facts = read("the World Health Organization")
    assert facts.runs[0].initials == "who"
    assert "who" in facts.initials
    assert "who" in read("the WHO").capitals


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Contractors do not get paid leave.", [("paid", "leav")]),
        ("Contractors don't get paid leave.", [("paid", "leav")]),
        ("Contractors do n't get paid leave.", [("paid", "leav")]),
        ("They get no salary, but a bonus.", [("salari",)]),
        ("Smoking is forbidden.", [("allow",)]),
        ("The limit is not 40.", [("limit",)]),
        ("It is not only cheap.", []),
        ("No, it is cheap.", []),
        ("Pay no later than Friday.", []),
        ("Pay within no more than 5 days.", []),
    ],
)
def test_negations_know_what_they_deny(text: str, expected: list[tuple[str, ...]]) -> None:
    assert list(read(text).negated) == expected


def test_not_forbidden_denies_nothing_of_what_is_allowed() -> None:
    facts = read("Dogs are not forbidden.")
    assert "allow" in facts.plain
    assert ("allow",) not in facts.negated


@pytest.mark.parametrize(
    "text", ["Ask a.b@example.org.", "Ask [a.b@example.org](mailto:a.b@example.org).", "<a.b@example.org>"]
)
def test_an_address_is_the_same_in_markdown(text: str) -> None:
    assert read(text).addresses == {"a.b@example.org"}


def test_addresses_are_kept_whole() -> None:
    facts = read("See [the page](https://example.org/a), or write to a.b@example.org.")
    assert facts.addresses == {"https://example.org/a", "a.b@example.org"}
    assert "exampl" not in facts.words


@pytest.mark.parametrize(
    ("one", "other"),
    [("policies", "policy"), ("employees", "employee"), ("allowed", "allow"), ("running", "run"), ("required", "requires")],
)
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("bus", "business"), ("paid", "unpaid"), ("week", "weekend")])
def test_other_words_have_other_stems(one: str, other: str) -> None:
    assert stem(one) != stem(other)


@pytest.mark.parametrize(
    "text", ["- Leave is **26** days.", "2. Leave is 26 days.", "* Leave is `26` days.", "a) Leave is 26 days."]
)
def test_a_list_marker_and_emphasis_are_not_part_of_a_sentence(text: str) -> None:
    assert bare(text) == "Leave is 26 days."


def test_chinese_is_known_by_pairs_of_characters() -> None:
    assert read("员工有假期").words == {"员工", "工有", "有假", "假期"}


ODD = [
    "",
    " ",
    "👍",
    "-",
    "1",
    "’s",
    "not",
    "a",
    "\x00",
    "\ud800",
    "١٢ ٣",
    "²",
    "n't n't",
    "one",
    "May",
    "1:2:3",
    "9:",
    ".5",
    "@",
]
LONG = [odd * (10_000 // max(1, len(odd))) for odd in (*ODD, "A ", "1-", "://")]


@pytest.mark.parametrize("text", [*ODD, *LONG])
def test_odd_input_is_read(text: str) -> None:
    facts = read(text)
    assert facts.plain <= facts.words <= facts.known
