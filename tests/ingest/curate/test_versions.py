"""Versions and dates are found where a document says them, and tell which document replaces which."""

from __future__ import annotations

import time

import pytest

from ingest.curate import Signature
from ingest.curate.dating import family_keys, find_version
from ingest.curate.sign import sign
from ingest.curate.versions import Edition, superseded


@pytest.mark.parametrize(
    ("source", "title", "text", "expected"),
    [
        ("/docs/policy-v2.pdf", "", "", ("2", "")),
        ("/docs/policy_V1.3.docx", "", "", ("1.3", "")),
        ("/docs/policy rev_4.docx", "", "", ("4", "")),
        ("/docs/report 2024-03.pdf", "", "", ("", "2024-03")),
        ("/docs/20250301_report.pdf", "", "", ("", "2025-03-01")),
        ("/docs/v1.2/install.md", "", "", ("1.2", "")),
        ("/docs/2023/travel.md", "", "", ("", "2023")),
        ("upload:policy (final) v3 copy.txt", "", "", ("3", "")),
        ("/docs/a.md", "Travel policy 2024", "", ("", "2024")),
        ("/docs/a.md", "", "Travel policy\nVersion 2.1, effective 1 March 2025\n", ("2.1", "2025-03-01")),
        ("/docs/a.md", "", "**Version:** 3\n**Last updated:** March 5, 2024", ("3", "2024-03-05")),
        ("/docs/a.md", "", "| Version | 1.4 |\n| Date | 2024-05-06 |", ("1.4", "2024-05-06")),
        ("/docs/a.md", "", "version: 1.4.2\ndate: 2024-05-06", ("1.4.2", "2024-05-06")),
        ("/docs/a.md", "", "Stand: 01.03.2025, Fassung 4", ("4", "2025-03-01")),
        ("/docs/a.md", "", "Dieser Plan ist gültig ab 15. März 2024.", ("", "2024-03-15")),
        ("/docs/a.md", "", "It is valid from 3rd of May 2021.", ("", "2021-05-03")),
        ("/docs/a.md", "", "It is valid from 31 February 2021.", ("", "")),
        ("/docs/a.md", "", "We use Python version 3.11 since 12 May 2020, and v2 of the API.", ("", "")),
        ("/docs/a.md", "", "The rate is valid from 50 to 60, and 100% effective 24 hours a day.", ("", "")),
        ("/docs/rfc2616.txt", "", "", ("", "")),
        ("", "", "", ("", "")),
    ],
)
def test_what_a_document_says_of_itself(source: str, title: str, text: str, expected: tuple[str, str]) -> None:
    assert find_version(source, title, text) == expected


def test_versions_have_their_name_in_common() -> None:
    names = ["policy-v2.pdf", "Policy v1.docx", "policy_2024-03.pdf", "policy (1).md", "policy FINAL.md", "Policy.2023.txt"]
    assert {family_keys(f"/docs/{name}", "")[0] for name in names} == {"policy"}
    assert family_keys("/docs/x.md", "Travel policy, version 2.1")[1] == "travel policy"
    assert family_keys("/docs/2024-03.md", "1.2") == ("", "")


SIGNATURE = sign(["The travel policy says which hotels may be booked, and who pays for the meals on the way."])[0][0]
OTHER = sign(["Something else altogether is written in this text, about the garden behind the house."])[0][0]


def edition(name: str, version: str = "", dated: str = "", signature: Signature = SIGNATURE) -> Edition:
    return Edition(name, ("name:policy",), version, dated, signature)


@pytest.mark.parametrize(
    ("editions", "expected"),
    [
        ([edition("a", "1"), edition("b", "2"), edition("c", "1.10"), edition("d", "1.9")], {"a": "b", "c": "b", "d": "b"}),
        ([edition("a", dated="2024-03"), edition("b", dated="2025-01-01")], {"a": "b"}),
        ([edition("a", dated="2024"), edition("b", dated="2024-06")], {}),  # the one may be older or newer
        ([edition("a", "2.0"), edition("b", "2")], {}),
        ([edition("a", "1", "2025"), edition("b", "2", "2024")], {"a": "b"}),  # the number counts before the date
        ([edition("a", "1"), edition("b", dated="2024")], {}),
        ([edition("a", "1"), edition("b", "2", signature=OTHER)], {}),
        ([edition("a", "1")], {}),
        ([], {}),
    ],
)
def test_the_newer_replaces_the_older(editions: list[Edition], expected: dict[str, str]) -> None:
    assert superseded(editions) == expected
    assert superseded(reversed(editions)) == expected


def test_a_newer_one_that_may_not_be_read_replaces_nothing() -> None:
    editions = [edition("a", "1"), edition("b", "2"), edition("c", "3")]
    assert superseded(editions, {"a", "b"}) == {"a": "b"}
    assert superseded(editions, {"a"}) == {}


def test_a_series_of_thousands_takes_seconds_at_most() -> None:
    began = time.process_time()
    assert len(superseded(edition(f"{n}", str(n)) for n in range(1, 5001))) == 4999
    assert time.process_time() - began < 60


@pytest.mark.parametrize("text", ["version " * 5000, "effective " * 5000, "v1" * 3000, "1." * 3000, "date: " + "9" * 3000])
def test_hostile_texts_take_no_time(text: str) -> None:
    began = time.process_time()
    find_version(f"/docs/{text[:250]}", text, text)
    assert time.process_time() - began < 5
