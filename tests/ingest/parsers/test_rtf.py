"""Rich text."""

from __future__ import annotations

import pytest

from ingest.parsers import parse
from ingest.parsers.rtf import MEDIA_TYPE, parse_rtf
from tests.ingest.parsers.support import check, hidden, outcome, texts, view

_HEAD = (
    r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}{\f1\fcharset204 Arial Cyr;}{\f2\fcharset128 MS Gothic;}}"
    r"{\colortbl;\red255\green255\blue255;\red200\green0\blue0;}"
    r"{\stylesheet{\s0 Normal;}{\s1\sb240\keepn heading 1;}{\s2 heading 2;}}"
    r"{\info{\title Staff handbook}{\author A}}{\*\generator Thing 1.0;}"
)


def rtf(body: str) -> bytes:
    return (_HEAD + body + "}").encode("ascii")


def test_headings_paragraphs_and_notes() -> None:
    parsed = check(
        parse(
            rtf(
                r"\pard\s1 Leave\par\pard Everyone has {\b 25}\~days{\footnote\pard Full time.} of leave.\line Apply early."
                "\r\n"
                r"\par\pard\s2 Sick\par\pard Call \{in\}.{\pict\pngblip 89504e47}{\header top}\par"
            ),
            "a.rtf",
        )
    )
    assert view(parsed) == [
        ("heading", "Leave"),
        ("text", "Everyone has 25 days of leave.\nApply early."),
        ("text", "Full time."),
        ("heading", "Sick"),
        ("text", "Call {in}."),
    ]
    assert (parsed.title, parsed.media_type) == ("Staff handbook", MEDIA_TYPE)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"caf\'e9 \'80 5", "café € 5"),
        (r"\u8364? and \u-10179?\u-8704?", "€ and 😀"),
        (r"\uc0\u1078 \uc2\u1078\'e6\'e6 x", "ж ж x".replace(" ж", "ж", 1)),
        (r"{\f1 \'cf\'f0\'e8}", "При"),
        (r"{\f2 \'93\'fa\'96\'7b}", "日本"),
        (r"a\emdash b\ldblquote c\rdblquote\tab d", "a—b“c”\td"),
        ("split\r\n words\n", "split words"),
    ],
)
def test_letters_of_every_kind(body: str, text: str) -> None:
    assert texts(parse_rtf(rtf(body), "a.rtf")) == [text]


def test_tables() -> None:
    def row(*cells: str) -> str:
        return r"\trowd\cellx1000\cellx2000 " + "".join(rf"\pard\intbl {cell}\cell " for cell in cells) + r"\row "

    body = r"\pard Before.\par " + row("Region", "Days") + row("North", r"25\par net") + r"\pard After.\par"
    assert texts(check(parse_rtf(rtf(body), "a.rtf"))) == [
        "Before.",
        "| Region | Days |\n| --- | --- |\n| North | 25 net |",
        "After.",
    ]


def test_what_notes_headers_and_pictures_hold_leaves_the_text_as_it_is() -> None:
    body = (
        r"{\header\trowd\pard\intbl Logo\cell\row}\pard\s1 Leave{\footnote\pard\plain\s0 Full time.}\par"
        r"\pard {\pict\wmetafile8\bin5 }}{{x}Twenty-five days.\par"
        r"\trowd\pard\intbl Region\cell Days{\footnote\pard Net.}\par of leave\cell\row"
        r"\trowd\pard\intbl North\cell 25\cell\row\pard"
    )
    assert view(check(parse_rtf(rtf(body), "a.rtf"))) == [
        ("heading", "Leave"),
        ("text", "Full time."),
        ("text", "Twenty-five days."),
        ("table", "| Region | Days of leave |\n| --- | --- |\n| North | 25 |"),
        ("text", "Net."),
    ]


def test_hidden_white_and_tiny_text() -> None:
    body = (
        r"Seen {\v not\b  there}{\deleted  any more}{\cf1 pale}"
        r"{\cf1\highlight2 lit}{\fs2 small}{\cf2 red}{\*\annotation why?}\par"
    )
    parsed = check(parse_rtf(rtf(body), "a.rtf"))
    assert texts(parsed) == ["Seen palelitsmallred"]
    assert hidden(parsed) == [
        ("comment", "why?"),
        ("not displayed", "not there any more"),
        ("white", "pale"),
        ("tiny", "small"),
    ]


@pytest.mark.parametrize("body", ["{" * 100_000, "}" * 100_000, r"\u99999999999 x", r"\'zz\'", r"\bin99999999 x", "\\"])
def test_broken_files_give_a_document_or_a_reason(body: str) -> None:
    assert outcome(rtf(body), "a.rtf")
