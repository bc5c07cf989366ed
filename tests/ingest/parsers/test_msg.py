"""Outlook's messages: their text, and what is attached to them."""

from __future__ import annotations

import struct

import pytest

from ingest.errors import BrokenDocument
from ingest.parsers import parse
from ingest.parsers.containers import unpack
from ingest.parsers.msg import unpack_rtf
from tests.ingest.parsers.outlook import Tree, compound_file, message
from tests.ingest.parsers.support import check, hidden, texts

MIB = 1024 * 1024
SENT = 134_111_154_600_000_000  # 100 ns since 1601


def attachment(name: str, data: bytes) -> Tree:
    return {"__substg1.0_3707001F": name.encode("utf-16-le"), "__substg1.0_37010102": data, "__properties_version1.0": bytes(8)}


def example() -> bytes:
    inner = message({"0037": "The plan", "1000": "We meet on Monday.", "0C1A": "Cy"}, header=24)
    return compound_file(
        message(
            {
                "0037": "Our offer",
                "0C1A": "Ann Müller",
                "5D01": "ann@example.com",
                "0E04": "Bob; Cy",
                "1000": "See the attachment.\r\n\r\n> What does it cost?\r\nTwelve euros.",
            },
            {
                "__attach_version1.0_#00000000": attachment("C:\\temp\\offer.txt", b"It costs 12 euros."),
                "__attach_version1.0_#00000001": {"__substg1.0_3701000D": inner, "__properties_version1.0": bytes(8)},
            },
            sent=SENT,
        )
    )


def test_the_text_of_a_message() -> None:
    parsed = check(parse(example(), "a.msg"))
    assert (parsed.title, parsed.media_type) == ("Our offer", "application/vnd.ms-outlook")
    assert texts(parsed) == [
        "Our offer",
        "From: Ann Müller <ann@example.com>\nTo: Bob; Cy\nDate: Thu, 25 Dec 2025 05:51:00 +0000\n"
        "Attachments: offer.txt, The plan.eml",
        "See the attachment.",
        "> What does it cost?",
        "Twelve euros.",
    ]
    assert parse(example(), "no name that says so").title == "Our offer"


def test_a_body_that_is_packed_rtf() -> None:
    # The example of [MS-OXRTFCP].
    packed = bytes.fromhex("2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0")
    assert unpack_rtf(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    data = compound_file({**message({"0037": "Rich"}), "__substg1.0_10090102": packed})
    assert texts(parse(data, "a.msg")) == ["Rich", "hello world"]
    for end in range(len(packed)):  # cut anywhere, it ends
        assert texts(parse(compound_file({**message({"0037": "Rich"}), "__substg1.0_10090102": packed[:end]}), "a.msg"))


def test_what_a_body_in_rtf_hides_is_noted() -> None:
    body = rb"{\rtf1{\colortbl;\red255\green255\blue255;}\pard Seen.\par{\cf1 Obey.\par me.}\par}"
    packed = struct.pack("<LL4sL", len(body), len(body), b"MELA", 0) + body
    parsed = check(parse(compound_file({**message({"0037": "Rich"}), "__substg1.0_10090102": packed}), "a.msg"))
    assert texts(parsed) == ["Rich", "Seen.", "Obey.", "me."]
    assert hidden(parsed) == [("white", "Obey.\n\nme.")]


def test_what_is_attached() -> None:
    found = unpack(example(), "a.msg", 0, 100, MIB, MIB)
    assert found and found.is_document
    offer, plan = found.members
    assert (offer.name, offer.data) == ("offer.txt", b"It costs 12 euros.")
    assert plan.name == "The plan.eml" and plan.data
    assert texts(parse(plan.data, plan.name)) == ["The plan", "From: Cy", "We meet on Monday."]
    again = unpack(example(), "a.msg", 0, 100, MIB, MIB)
    assert again == found  # the same bytes each time: else it would be taken in again each time


def test_what_is_no_message() -> None:
    with pytest.raises(BrokenDocument, match="is not an Outlook message although"):
        parse(b"only words", "a.msg")
    with pytest.raises(BrokenDocument, match="Outlook message"):
        parse(example()[:700], "a.msg")
    with pytest.raises(BrokenDocument, match="is not an Outlook message: it has none"):
        parse(compound_file({"other": b"words"}), "a.msg")


def test_an_encrypted_file_in_a_message_does_not_lock_the_message() -> None:
    tree = {"__attach_version1.0_#00000000": attachment("a.docx", "EncryptedPackage".encode("utf-16-le"))}
    data = compound_file(message({"0037": "Plan", "1000": "Monday."}, tree))
    assert texts(parse(data, "a.msg"))[-1] == "Monday."
    assert texts(parse(data, "a"))[-1] == "Monday."
