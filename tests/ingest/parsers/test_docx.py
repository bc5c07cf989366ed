"""Word documents."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import BrokenDocument, EmptyDocument, Encrypted, TooLarge
from ingest.parsers import parse
from ingest.parsers.docx import MEDIA_TYPE, parse_docx
from tests.ingest.parsers.support import check, make_docx, texts, view

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def in_body(xml: str) -> bytes:
    """A document with `xml` at the beginning of its body."""

    def fill(document: Any) -> None:
        from docx.oxml import parse_xml

        for index, element in enumerate(parse_xml(f'<w:body xmlns:w="{_W}">{xml}</w:body>')):
            document.element.body.insert(index, element)

    return make_docx(fill)


def repacked(data: bytes, name: str, content: bytes) -> bytes:
    """The same archive with the part `name` replaced or added."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry.filename, old.read(entry))
        new.writestr(name, content)
    return stream.getvalue()


def test_headings_paragraphs_lists_and_tables_in_order() -> None:
    def fill(document: Any) -> None:
        document.add_heading("Handbook", 0)
        document.add_heading("Leave", 1)
        document.add_paragraph("Everyone has ").add_run("25 days").bold = True
        document.add_paragraph("apply early", style="List Bullet")
        table = document.add_table(3, 2)
        for index, text in enumerate(["Region", "Days", "North", "25", "South", "26"]):
            table.cell(index // 2, index % 2).text = text
        document.add_heading("Sick", 2)
        document.add_paragraph("Call\tin.\nEarly.")
        document.sections[0].header.paragraphs[0].text = "CONFIDENTIAL"

    document = check(parse_docx(make_docx(fill), "hand_book.docx"))
    assert view(document) == [
        ("heading", "Handbook"),
        ("heading", "Leave"),
        ("text", "Everyone has 25 days"),
        ("text", "apply early"),
        ("table", "| Region | Days |\n| --- | --- |\n| North | 25 |\n| South | 26 |"),
        ("heading", "Sick"),
        ("text", "Call\tin.\nEarly."),
    ]
    assert document.blocks[-1].heading == ("Handbook", "Leave", "Sick")
    assert (document.title, document.media_type) == ("Handbook", MEDIA_TYPE)


def test_the_title_in_the_properties_comes_first() -> None:
    def fill(document: Any) -> None:
        document.core_properties.title = "Staff handbook"
        document.add_paragraph("Text.")

    assert parse_docx(make_docx(fill), "a.docx").title == "Staff handbook"


def test_merged_cells_and_nested_tables() -> None:
    def fill(document: Any) -> None:
        table = document.add_table(3, 2)
        for index, text in enumerate(["Region", "Rate", "North", "4", "", "5"]):
            table.cell(index // 2, index % 2).text = text
        table.cell(1, 0).merge(table.cell(2, 0))
        inner = table.cell(1, 1).add_table(1, 1)
        inner.cell(0, 0).text = "net"

    assert texts(parse_docx(make_docx(fill), "a.docx")) == [
        "| Region | Rate |\n| --- | --- |\n| North | 4 net |\n| North | 5 |"
    ]


def test_changes_count_as_accepted_and_content_controls_as_text() -> None:
    data = in_body(
        "<w:p><w:r><w:t>old </w:t></w:r><w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:hyperlink><w:r><w:t>linked</w:t></w:r></w:hyperlink></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:t>seen</w:t></w:r></w:p>"
    )
    assert texts(parse_docx(data, "a.docx")) == ["old new", "linked", "seen"]


def test_a_text_box_is_read_once() -> None:
    data = in_body(
        '<w:p><w:r><w:t>Beside.</w:t></w:r><w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/'
        'markup-compatibility/2006"><mc:Choice><w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent>'
        "</mc:Choice><mc:Fallback><w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert texts(parse_docx(data, "a.docx")) == ["Beside.", "In the box."]


def test_the_strict_flavour() -> None:
    data = make_docx(lambda document: document.add_paragraph("Strictly speaking."))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, content in parts.items():
        strict = content.replace(_W.encode(), b"http://purl.oclc.org/ooxml/wordprocessingml/main").replace(
            b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
            b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        )
        data = repacked(data, name, strict)
    assert texts(parse(data, "a.docx")) == ["Strictly speaking."]


def test_a_document_without_text() -> None:
    with pytest.raises(EmptyDocument, match="holds no text"):
        parse_docx(make_docx(lambda document: document.add_paragraph(" ")), "a.docx")


def test_bombs_are_refused_before_they_are_unpacked() -> None:
    plain = make_docx(lambda document: document.add_paragraph("x"))
    with pytest.raises(TooLarge, match="times its size"):
        parse(repacked(plain, "word/document.xml", b"<w:p/>" * 1_000_000), "a.docx")
    stream = io.BytesIO(plain)
    with zipfile.ZipFile(stream, "a") as archive:
        for number in range(10_001):
            archive.writestr(f"word/{number}", b"")
    with pytest.raises(TooLarge, match="parts, more than 10,000"):
        parse(stream.getvalue(), "a.docx")


def test_entities_are_not_expanded() -> None:
    bomb = (
        b'<!DOCTYPE x [<!ENTITY a "'
        + b"y" * 1000
        + b'">'
        + b"".join(b'<!ENTITY %c "%b">' % (name, b"&%c;" % (name - 1) * 50) for name in b"bcdefg")
        + f']><w:document xmlns:w="{_W}"><w:body><w:p><w:r><w:t>&g;seen</w:t></w:r></w:p></w:body></w:document>'.encode()
    )
    data = repacked(make_docx(lambda document: document.add_paragraph("x")), "word/document.xml", bomb)
    with pytest.raises(BrokenDocument, match="entity"):
        parse(data, "a.docx")


def test_files_on_this_machine_are_not_drawn_in(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    thief = (
        f'<!DOCTYPE x [<!ENTITY thief SYSTEM "file://{tmp_path}/secret.txt">]><w:document xmlns:w="{_W}">'
        "<w:body><w:p><w:r><w:t>&thief;</w:t></w:r><w:r><w:t>seen</w:t></w:r></w:p></w:body></w:document>"
    )
    data = repacked(make_docx(lambda document: document.add_paragraph("x")), "word/document.xml", thief.encode())
    assert texts(parse(data, "a.docx")) == ["seen"]


def test_broken_and_encrypted_archives() -> None:
    plain = make_docx(lambda document: document.add_paragraph("x"))
    with pytest.raises(BrokenDocument, match="cut short or damaged"):
        parse(plain[: len(plain) // 2], "a.docx")
    with pytest.raises(BrokenDocument, match="Word document"):
        parse(repacked(plain, "word/document.xml", b"<not xml"), "a.docx")
    locked = bytearray(plain)
    directory = locked.find(b"PK\x01\x02")
    locked[directory + 8] |= 1
    with pytest.raises(Encrypted, match="needs a password"):
        parse_docx(bytes(locked), "a.docx")


def test_formulas_read_like_formulas() -> None:
    def run(text: str) -> str:
        return f"<m:r><m:t>{text}</m:t></m:r>"

    power = f"<m:sSup><m:e>{run('a')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>"
    ratio = f"<m:f><m:fPr/><m:num>{run('nπ')}</m:num><m:den>{run('L')}</m:den></m:f>"
    total = f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{run("n=1")}</m:sub><m:sup>{run("k")}</m:sup>'
    total += f"<m:e>{run('n')}</m:e></m:nary>"
    root = f"<m:rad><m:e>{run('x')}</m:e></m:rad>"
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    around = (
        '<w:p xmlns:m="{}"><w:r><w:t xml:space="preserve">With </w:t></w:r><m:oMath>{}</m:oMath><w:r><w:t>.</w:t></w:r></w:p>'
    )
    deep = "<m:e>" * 100 + "</m:e>" * 100
    shown = [texts(parse_docx(in_body(around.format(math, one)), "a.docx"))[0] for one in (power, ratio, total, root, deep)]
    assert shown == ["With a^2.", "With (nπ)/(L).", "With ∑_{n=1}^k n.", "With √(x).", "With ."]
