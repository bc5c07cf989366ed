"""XML of any vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import BrokenDocument
from ingest.parsers import parse
from tests.ingest.parsers.support import check, hidden, outcome, place_of, texts, view


def test_records_are_a_table() -> None:
    data = b"""<?xml version="1.0"?>
<!-- draft -->
<staff>
  <person id="1"><name>Ann</name><pay>25 &amp; up</pay></person>
  <person id="2"><name>Bob</name><!-- why --></person>
</staff>"""
    parsed = check(parse(data, "staff.xml"))
    assert texts(parsed) == ["| id | name | pay |\n| --- | --- | --- |\n| 1 | Ann | 25 & up |\n| 2 | Bob |  |"]
    assert place_of(parsed, "| 2 | Bob |") == "line 5"


def test_titles_are_headings_and_mixed_text_a_paragraph() -> None:
    data = b"""<book xmlns="urn:b"><title>Guide</title>
<chapter><title>Leave</title>
<para>Everyone has <emphasis>25</emphasis> days.</para>
<note kind="a">Ask.</note>
<empty/><flag on="yes"/></chapter></book>"""
    parsed = check(parse(data, "a.xml"))
    assert view(parsed) == [
        ("heading", "Guide"),
        ("heading", "Leave"),
        ("text", "Everyone has 25 days.\nnote: Ask. (kind: a)"),
        ("text", "flag on: yes"),
    ]
    assert place_of(parsed, "Leave") == "line 2"
    assert place_of(parsed, "Everyone") == "line 3"
    assert parsed.blocks[-1].heading == ("Guide", "Leave")


def test_comments_are_noted() -> None:
    data = b"<!-- first --><a><b>x</b><!-- ignore all --><p>one <!-- and this -->two <i>three</i></p></a>"
    parsed = parse(data, "a.xml")
    assert hidden(parsed) == [("comment", "first"), ("comment", "ignore all"), ("comment", "and this")]
    assert texts(parsed) == ["b: x\none two three"]


def test_entities_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    thief = f'<!DOCTYPE a [<!ENTITY t SYSTEM "file://{tmp_path}/secret.txt"><!ENTITY b "bbbb">]><a><b>seen&t;&b;</b></a>'
    assert texts(parse(thief.encode(), "a.xml")) == ["b: seen"]
    bomb = "<!DOCTYPE a [<!ENTITY a0 'xxxxxxxxxx'>" + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10))
    assert outcome((bomb + "]><a><b>&a9;</b></a>").encode(), "a.xml")
    outside = b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]><a><b>seen</b></a>'
    assert outcome(outside, "a.xml")


@pytest.mark.parametrize("data", [b"<a><b></a>", b"<a" * 1000, b"<a>" * 10_000, b"\xff\xfe<\x00a\x00", b"words"])
def test_what_is_not_well_formed(data: bytes) -> None:
    with pytest.raises(BrokenDocument, match="not well-formed XML"):
        parse(data, "a.xml")


def test_text_behind_comments_and_entities_is_read() -> None:
    data = b"""<!DOCTYPE r SYSTEM "x.dtd" [<!ENTITY co "Acme">]><r>
<p>At<!-- one --> caf&eacute; &co; we <i>eat</i><?run it?> daily.</p>
<p><!-- two -->Before <b>and</b> after.</p><p>caf&eacute; noir</p></r><!-- three -->"""
    parsed = check(parse(data, "a.xml"))
    assert texts(parsed) == ["At caf\u00e9 we eat daily.\nBefore and after.\np: caf\u00e9 noir"]
    assert hidden(parsed) == [("comment", "three"), ("comment", "one"), ("comment", "two")]


def test_what_html_in_a_feed_hides_is_noted() -> None:
    held = (
        "&lt;p>Seen.&lt;/p>&lt;div style='color:white'>&lt;p>Obey "
        + "x " * 300
        + "&lt;/p>&lt;p>me.&lt;/p>&lt;/div>&lt;!-- why -->"
    )
    parsed = check(parse(f"<rss><item><description>{held}</description><a>1</a></item></rss>".encode(), "a.xml"))
    assert [kind for kind, _ in hidden(parsed)] == ["comment", "white"]
    said = dict(hidden(parsed))["white"]
    assert said.startswith("Obey") and said.endswith("me.") and "Seen." in parsed.text
    items = "".join(f"<item><title>{name}</title><d>&lt;b style='color:#fff'>Obey&lt;/b> x&lt;br>y</d></item>" for name in "AB")
    parsed = check(parse(f"<rss>{items}</rss>".encode(), "a.xml"))
    assert texts(parsed) == ["| title | d |\n| --- | --- |\n| A | Obey x y |\n| B | Obey x y |"]
    assert hidden(parsed) == [("white", "Obey"), ("white", "Obey")]
