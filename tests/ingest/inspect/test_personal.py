"""Personal data by form, checksum and a word nearby: what is found, and what only looks like it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.inspect import masked
from ingest.inspect.personal import KINDS, find_personal
from tests.ingest.inspect.support import growth, holds, values


def found(text: str) -> list[tuple[str, str]]:
    findings = find_personal(text)
    holds(text, findings)
    return values(text, findings)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Write to jane.doe+x@mail.example.co.uk.", "email", "jane.doe+x@mail.example.co.uk"),
        ("owner='o'brien@example.ie'", "email", "o'brien@example.ie"),
        ("<a href=mailto:Jörg@müller.example>", "email", "Jörg@müller.example"),
        ("Write to jane [at] example [dot] com now", "email", "jane [at] example [dot] com"),
        ("jane.doe(at)example.de", "email", "jane.doe(at)example.de"),
        ("It is jane at example dot org", "email", "jane at example dot org"),
        ("jane@example[.]com", "email", "jane@example[.]com"),
        ("Call (212) 555-0123 now", "phone", "(212) 555-0123"),
        ("or +44 20 7946 0958.", "phone", "+44 20 7946 0958"),
        ("Sweden: +46 (0)8 928 571 38", "phone", "+46 (0)8 928 571 38"),
        ("tel:+4930901820", "phone", "+4930901820"),
        ("Zentrale 030 1234567", "phone", "030 1234567"),
        ("020-7946-0958", "phone", "020-7946-0958"),
        ("Mobile: 0490 39 07 81", "phone", "0490 39 07 81"),
        ("Fax: 9498777106", "phone", "9498777106"),
        ("Phone:\n60-56-85-91\n", "phone", "60-56-85-91"),
        ("Mobile: 345-899-3560x4587", "phone", "345-899-3560x4587"),
        ("(37) 788-063-Office", "phone", "(37) 788-063"),
        ("4111 1111 1111 1111", "card", "4111 1111 1111 1111"),
        ("378282246310005", "card", "378282246310005"),
        ("my debit card 5018 6466 7909", "card", "5018 6466 7909"),
        ("DE89 3704 0044 0532 0130 00 and thanks", "iban", "DE89 3704 0044 0532 0130 00"),
        ("gb82west12345698765432", "iban", "gb82west12345698765432"),
        ("536-90-4399", "national_id", "536-90-4399"),
        ("his SSN is 536904399", "national_id", "536904399"),
        ("NI number AB 12 34 56 C", "national_id", "AB 12 34 56 C"),
        ("Steuer-ID: 36 574 261 809", "national_id", "36 574 261 809"),
        ("2 95 10 99 126 111 93", "national_id", "2 95 10 99 126 111 93"),
        ("111222333 (BSN)", "national_id", "111222333"),
        ("85.07.30-033.28", "national_id", "85.07.30-033.28"),
        ("DNI 54362315-K", "national_id", "54362315-K"),
        ("X2482300W", "national_id", "X2482300W"),
        ("RSSMRA85T10A562S", "national_id", "RSSMRA85T10A562S"),
        ("PESEL 44051401359", "national_id", "44051401359"),
        ("756.9217.0769.85", "national_id", "756.9217.0769.85"),
        ("390.533.447-05", "national_id", "390.533.447-05"),
        ("131052-308T", "national_id", "131052-308T"),
        ("Aadhaar: 2341 2341 2346", "national_id", "2341 2341 2346"),
        ("PAN ACUPA7085R", "national_id", "ACUPA7085R"),
        ("from 84.112.9.4:22", "ip", "84.112.9.4"),
        ("IP 8.8.8.8", "ip", "8.8.8.8"),
        ("[2001:4860:4860::8888]", "ip", "2001:4860:4860::8888"),
        ("Passport number: X1234567.", "passport", "X1234567"),
        ("My driver's license number is 2270-66-1551", "driver_licence", "2270-66-1551"),
        ("Date of birth: 12 May 1980.", "birth_date", "12 May 1980"),
        ("DOB 1980-05-12", "birth_date", "1980-05-12"),
        ("I was born on June 24, 1991.", "birth_date", "June 24, 1991"),
        ("Geburtsdatum: 24. Dezember 1991", "birth_date", "24. Dezember 1991"),
    ],
)
def test_found(text: str, kind: str, value: str) -> None:
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@",
        "icon@2x.png",
        "git@github.com:owner/project.git",
        "https://user:pass@host.example/",
        "see you @ noon, look at example.com",
        "polka dot dresses at the fair",
        "order 20240101-1234, part 0123-4567-89",
        "ISBN 978-3-16-148410-0 and ISBN 0-306-40615-2",
        "2003-08-28 12:13:52 or 28.08.2003",
        "1990-1995 1996",
        "12 345 678 EUR, 1,234,567, 0.12345678",
        "123456789012345678901234567890",
        "3.141592653589793",
        "https://example.com/articles/020-7946-0958",
        "4111-1111-1111-1112",
        "0.4111111111111111",
        "0000 0000 0000 0000",
        "DE89370400440532013001",
        "XX89370400440532013000",
        "order 536904399 of 44051401359 pieces",
        "666-12-3456",
        "GB 12 34 56 C",
        "12345678A",
        "version 12.100.4.1 and section 4.2.200.1",
        "Chrome/114.2.1.9 on kernel 4.15.2.1",
        "192.168.1.1 10.0.0.7 127.0.0.1 0.0.0.0 255.255.255.255 999.1.1.1 104.28.22.0/24",
        "fe80::1 ::1 std::abc 12:30:45 a::b",
        "passport holders 200000, a driver's license costs 25 dollars",
        "He was born on 12 May 1820.",
        "x\u200b" * 40,
    ],
)
def test_not_found(text: str) -> None:
    assert found(text) == []


def test_an_address_of_an_office_is_less_surely_personal() -> None:
    office, person = find_personal("support@example.com jane@example.com")
    assert (office.score, person.score) == (0.5, 1.0)


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u202e", "\U000e0041", "\x00"])
@pytest.mark.parametrize("value", ["jane@example.com", "4111111111111111", "DE89370400440532013000", "+442079460958"])
def test_what_is_not_seen_hides_nothing(value: str, unseen: str) -> None:
    text = f"It is {unseen.join(value)}{unseen}!"
    (one,) = find_personal(text)
    assert text[one.start : one.end] == unseen.join(value), "all of the value, and nothing beside it"
    assert unseen + "!" in masked(text, [one])


def test_wide_and_other_digits_are_digits() -> None:
    assert found("４１１１ １１１１ １１１１ １１１１") == [("card", "４１１１ １１１１ １１１１ １１１１")]
    assert found("٤١١١١١١١١١١١١١١١") == [("card", "٤١١١١١١١١١١١١١١١")]
    assert found("+44\u00a020\u20117946\u20110958") == [("phone", "+44\u00a020\u20117946\u20110958")]
    assert found("jane＠example．com") == [("email", "jane＠example．com")]


def test_the_surer_and_longer_wins() -> None:
    assert found("IBAN GB82 WEST 1234 5698 7654 32, card 4111 1111 1111 1111, phone 4111 1111 1111 1112") == [
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("card", "4111 1111 1111 1111"),
    ]


def test_kinds_are_chosen_after_all_were_looked_for() -> None:
    text = "jane@example.com, card 4111 1111 1111 1111"
    assert values(text, find_personal(text, ["email"])) == [("email", "jane@example.com")]
    assert find_personal("call 4111 1111 1111 1111", ["phone"]) == []
    assert find_personal(text, ()) == []
    assert find_personal(text, KINDS) == find_personal(text)
    with pytest.raises(ValueError, match="'name'"):
        find_personal(text, ["name"])


_PIECES = st.sampled_from(
    "jane@example.com|[at]|(dot)|4111 1111 1111 1111|+44 20 7946 0958|030 1234567|DE89 3704 0044 0532 0130 00|536-90-4399|"
    "84.112.9.4|Phone:|SSN|card|passport no|DOB 1.2.1980|2001:4860:4860::8888|RSSMRA85T10A562S|\u200b|\n| |-|.|/|+|(|)|@|:|0|7|"
    "a|Z|é|數".split("|")
)


@given(st.lists(_PIECES, max_size=30).map("".join) | st.text(max_size=200))
@settings(deadline=None)
def test_findings_lie_inside_in_order_and_apart(text: str) -> None:
    findings = find_personal(text)
    holds(text, findings)
    assert {one.kind for one in findings} <= set(KINDS)
    assert {one.group for one in findings} <= {"personal"}


@given(st.lists(_PIECES, max_size=30).map("".join))
@settings(deadline=None)
def test_what_is_masked_is_not_found_again(text: str) -> None:
    findings = find_personal(text)
    again = find_personal(masked(text, findings))
    assert not any(one.start < two.end and two.start < one.end for one in findings for two in again)


_HOSTILE = [
    "1", "1 ", "1.", "1-", "(1", "+1", "1 1:1 ", "12/", "a@", "@", "a.", "a-", "a@a.", "a@a-", "a [at] ", "a dot ", "at dot ",
    "1:", "2001:", "::", "A1", "AB12", "DE89 ", "GB82WEST1234", "RSSMRA85T10A562", "passport 1", "date of birth ", "1.1.1980 ",
    "1\u200b", "4111111111111111 ", "4111 1111 1111 1111, ", "123-45-6789, ", "phone 1", "://a",
]  # fmt: skip


@pytest.mark.parametrize("unit", _HOSTILE)
def test_time_grows_with_the_length_alone(unit: str) -> None:
    assert growth(find_personal, unit) < 2.5


def test_a_megabyte_of_everything_hostile_ends() -> None:
    text = "".join((unit * (1_000_000 // len(_HOSTILE) // len(unit) + 1)) for unit in _HOSTILE)
    assert len(text) >= 1_000_000
    holds(text, find_personal(text))


def test_the_libraries_are_imported_on_first_use() -> None:
    code = (
        "import sys; from ingest.inspect.personal import find_personal; find_personal('No digits, jane@example.com.');"
        "assert not {'phonenumbers', 'stdnum'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_note_never_repeats_what_was_found() -> None:
    text = "jane@example.com 4111 1111 1111 1111 +44 20 7946 0958 DE89370400440532013000 DOB 1.2.1980 SSN 536-90-4399"
    findings = find_personal(text)
    assert len(findings) == 6
    assert all(one.note and text[one.start : one.end] not in one.note for one in findings)
