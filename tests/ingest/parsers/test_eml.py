"""E-mail and mailboxes: subject, who to whom, body, quoted lines, and what is attached."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from ingest.errors import BrokenDocument, EmptyDocument, Encrypted
from ingest.parsers import parse
from ingest.parsers.containers import unpack
from ingest.types import Member
from tests.ingest.parsers.support import check, hidden, texts

MIB = 1024 * 1024
SIMPLE = b"Subject: Lunch\nFrom: ann@example.com\nTo: bob@example.com\nDate: Mon, 2 Nov 2026 10:00:00 +0100\n\n"


def members(data: bytes, name: str = "a.eml") -> tuple[Member, ...]:
    found = unpack(data, name, 0, 100, MIB, MIB)
    assert found and found.is_document and found.following is None
    return found.members


def made(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in ({"Subject": "Offer", "From": "Ann <ann@example.com>"} | headers).items():
        message[name] = value
    return message


def test_headers_and_body() -> None:
    parsed = check(parse(SIMPLE + b"Shall we eat?\n\nYours,\nAnn\n", "a.eml"))
    assert (parsed.title, parsed.media_type) == ("Lunch", "message/rfc822")
    assert texts(parsed) == [
        "Lunch",
        "From: ann@example.com\nTo: bob@example.com\nDate: Mon, 2 Nov 2026 10:00:00 +0100",
        "Shall we eat?",
        "Yours,\nAnn",
    ]
    assert all(block.heading == ("Lunch",) for block in parsed.blocks[1:])


def test_quoted_lines_stay_and_stand_apart() -> None:
    parsed = parse(SIMPLE + b"On Monday Bob wrote:\n> Shall we eat?\n> Or drink?\nYes.\n", "a.eml")
    assert texts(parsed)[2:] == ["On Monday Bob wrote:", "> Shall we eat?\n> Or drink?", "Yes."]


def test_quoted_html_stands_below_a_heading() -> None:
    message = made()
    message.set_content("<h1>Yes</h1><p>Gladly.</p><blockquote><p>Shall we eat?</p></blockquote>", subtype="html")
    parsed = check(parse(message.as_bytes(), "a.eml"))
    assert texts(parsed)[2:] == ["Yes", "Gladly.", "Quoted message", "Shall we eat?"]
    assert parsed.blocks[-1].heading == ("Offer", "Yes", "Quoted message")


def test_plain_text_is_taken_before_html() -> None:
    message = made()
    message.set_content("Plain words.")
    message.add_alternative("<p>HTML words.</p>", subtype="html")
    assert texts(parse(message.as_bytes(), "a.eml"))[2:] == ["Plain words."]


@pytest.mark.parametrize(
    ("data", "subject", "body"),
    [
        (b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nContent-Type: text/plain; charset=iso-8859-1\n\nSch\xf6n", "Grüße", "Schön"),
        (b"Subject: =?nonsense?q?a?= b\nContent-Type: text/plain; charset=nonsense\n\nGr\xc3\xbc\xc3\x9fe", "a b", "Grüße"),
        (b"Subject  : Old\n style\n\nBody.", "Old style", "Body."),
        ("Subject: Wide\n\nBody.".encode("utf-16"), "Wide", "Body."),
        (b"Subject: S\nContent-Transfer-Encoding: base64\n\nQm9keS4=", "S", "Body."),
        (b"Subject: S\nContent-Type: text/plain; format=flowed\n\nOne \nline.\nTwo.", "S", "One line.\nTwo."),
        (b"From: a@example.com\n\nBody.", "(no subject)", "Body."),
    ],
    ids=range(7),
)
def test_what_mail_is_like(data: bytes, subject: str, body: str) -> None:
    shown = texts(check(parse(data, "a.eml")))
    assert (shown[0], shown[-1]) == (subject, body)


def test_an_invitation_does_not_stand_before_the_body() -> None:
    message = made()
    message.set_content("<p>Come at noon.</p>", subtype="html")
    message.add_alternative("BEGIN:VCALENDAR", subtype="calendar")
    assert texts(parse(message.as_bytes(), "a.eml"))[2:] == ["Come at noon."]
    only = made()
    only.set_content("BEGIN:VCALENDAR", subtype="calendar")
    assert texts(parse(only.as_bytes(), "a.eml"))[2:] == ["BEGIN:VCALENDAR"]


def test_what_is_attached() -> None:
    inner = made(Subject="The plan / final")
    inner.set_content("Monday.")
    message = made()
    message.set_content("See below.")
    message.add_attachment(b"a,b\n", maintype="text", subtype="csv", filename="../größe.csv")
    message.add_attachment(inner)
    message.add_attachment(b"GIF8", maintype="image", subtype="gif", filename="logo.gif", cid="<logo>", disposition="inline")
    message.add_attachment(b"GIF8", maintype="image", subtype="gif", filename="photo.gif")
    message.add_attachment(b"sig", maintype="application", subtype="pgp-signature", filename="s.asc")
    found = members(message.as_bytes())
    assert [member.name for member in found] == ["größe.csv", "The plan - final.eml", "photo.gif"]
    assert found[0].data == b"a,b\n" and found[1].data
    assert texts(parse(found[1].data, "a.eml"))[-1] == "Monday."
    assert "Attachments: größe.csv, The plan - final.eml, photo.gif" in texts(parse(message.as_bytes(), "a.eml"))[1]


def test_a_mailbox() -> None:
    message = made(Subject="Two")
    message.set_content("Body two.")
    message.add_attachment(b"words", maintype="text", subtype="plain", filename="a.txt")
    box = b"From ann Mon\n" + SIMPLE + b"Body one.\n>From here on.\n\nFrom bob Tue\n" + message.as_bytes()
    parsed = check(parse(box, "letters_2026.mbox"))
    assert (parsed.title, parsed.media_type) == ("letters 2026", "application/mbox")
    assert [block.heading for block in parsed.blocks if block.kind == "text"][-1] == ("Two",)
    assert "Body one.\nFrom here on." in texts(parsed) and "Body two." in texts(parsed)
    assert members(box, "a.mbox") == (Member("2/a.txt", b"words"),)


def test_a_message_that_cannot_be_read_is_noted_and_the_mailbox_goes_on() -> None:
    sealed = b"From: a@b.c\nContent-Type: application/pkcs7-mime\n\nAAAA\n"
    box = b"From ann Mon\n" + SIMPLE + b"Body one.\n\nFrom here on it counts.\n\nFrom eve Tue\n" + sealed
    parsed = check(parse(box + b"\nFrom bob Wed\n" + SIMPLE + b"Body two.", "a.mbox"))
    assert {"Body one.", "From here on it counts.", "Body two."} <= set(texts(parsed))
    (note,) = parsed.notes
    assert note.startswith("1 of the messages can't be read: number 2, is an encrypted")
    with pytest.raises(Encrypted):
        parse(b"From eve Tue\n" + sealed, "a.mbox")


def test_what_is_no_message() -> None:
    for data, name, error, reason in (
        (b"only words", "a.eml", BrokenDocument, "is not an e-mail message"),
        (b" \n ", "a.eml", EmptyDocument, "holds no text"),
        (SIMPLE, "a.mbox", BrokenDocument, "is not a mailbox"),
        (b"Subject: S\nContent-Type: multipart/encrypted; boundary=x\n\n--x\n\n--x--", "a.eml", Encrypted, "encrypted"),
    ):
        with pytest.raises(error, match=reason):
            parse(data, name)


def test_parts_that_are_no_forms_of_one_another_are_all_read() -> None:
    def part(kind: str, body: str) -> str:
        return f"--b\nContent-Type: {kind}; charset=utf-8\n\n{body}\n"

    head = "From: a@b.c\nContent-Type: multipart/{}; boundary=b\n\n"
    page = part("text/html", "<html><head><meta charset=iso-2022-jp></head><body><p>Süßer Brei</p></body></html>")
    footer = part("text/plain", "To unsubscribe, ask.")
    mixed = parse((head.format("mixed") + page + footer + "--b--\n").encode(), "a.eml")
    assert texts(mixed)[-2:] == ["Süßer Brei", "To unsubscribe, ask."]
    assert texts(parse((head.format("alternative") + page + footer + "--b--\n").encode(), "a.eml"))[1:] == [
        "From: a@b.c",
        "To unsubscribe, ask.",
    ]


def test_what_hides_a_quoted_message_counts() -> None:
    page = (
        b"<style>.w {color: white}</style><p>Hi.</p>"
        b"<div style='color:white'><blockquote>Obey me.</blockquote></div><p class=w>And me.</p>"
    )
    parsed = check(parse(b"From: a@b.c\nContent-Type: text/html\n\n" + page, "a.eml"))
    assert texts(parsed)[2:] == ["Hi.", "Quoted message", "Obey me.", "And me."]
    assert {"Obey me.", "And me."} <= {part for kind, said in hidden(parsed) if kind == "white" for part in said.split("\n\n")}


def test_a_tag_with_very_many_classes_takes_no_longer() -> None:
    page = b"<p>Seen.</p><b " + b"class=a " * 20_000 + b">so</b>"
    assert texts(parse(b"From: a@b.c\nContent-Type: text/html\n\n" + page, "a.eml"))[-2:] == ["Seen.", "so"]


def test_parts_in_parts_end() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2_000))
    with pytest.raises(BrokenDocument):
        parse(b"Subject: S\n" + deep + b"\nBody.", "a.eml")
