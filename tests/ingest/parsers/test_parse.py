"""Which parser a file gets, and the reasons for refusing one."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.errors import BrokenDocument, DocumentError, EmptyDocument, Encrypted, TooLarge, UnsupportedFormat
from ingest.parsers import SUPPORTED, parse
from ingest.parsers.names import suffix_of, title_of
from tests.ingest.parsers.support import check, draw_pdf, make_docx, outcome

PDF = draw_pdf([[(72, 700, "Leave is twenty-five days.")]])
DOCX = make_docx(lambda document: document.add_paragraph("Leave is twenty-five days."))
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (PDF, "a.txt", "application/pdf"),
        (DOCX, "a.pdf", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"<!DOCTYPE html><p>Text.", "a.txt", "text/html"),
        (b"\xef\xbb\xbf <!-- saved --> <HTML><p>Text.", "page", "text/html"),
        ("\ufeff<html><p>Text.".encode("utf-16-le"), "a.htm", "text/html"),
        (b"Text.", "A.TXT", "text/plain"),
        (b"Text.", "README", "text/plain"),
        (b"Text.", ".notes", "text/plain"),
        (b"Text.", "a.md", "text/markdown"),
        (b"<p>Text.", "a.html", "text/html"),
        (b"a,b\n1,2", "a.csv", "text/csv"),
        (b"a\tb\n1\t2", "a.tsv", "text/csv"),
        (rb"{\rtf1 Text.}", "a.doc", "application/rtf"),
        (b"<html><table><tr><td>1<td>2</table>", "export.xls", "text/html"),
    ],
)
def test_content_decides_before_the_name(data: bytes, name: str, media_type: str) -> None:
    assert check(parse(data, name)).media_type == media_type


@pytest.mark.parametrize(
    ("data", "name", "error", "reason"),
    [
        (b"", "a.txt", EmptyDocument, "is empty"),
        (b" \n\t\n", "a.txt", EmptyDocument, "holds no text"),
        (b"\n", "a.md", EmptyDocument, "holds no text"),
        (b"<html></html>", "a.html", EmptyDocument, "holds no text"),
        (b",,\n", "a.csv", EmptyDocument, "holds no text"),
        (b"only words", "a.pdf", BrokenDocument, "is not a PDF although its name ends in .pdf"),
        (b"only words", "a.docx", BrokenDocument, "is not a Word document although its name ends in .docx"),
        (zipped("a.txt"), "a.docx", BrokenDocument, "is not a Word document although its name ends in .docx"),
        (zipped("a.txt"), "a.zip", UnsupportedFormat, "is an archive"),
        (zipped("a.txt"), "a.txt", UnsupportedFormat, "is a zip archive although its name ends in .txt"),
        (zipped("[Content_Types].xml", "visio/document.xml"), "a.vsdx", UnsupportedFormat, "is an Office file of a kind"),
        (zipped("[Content_Types].xml", "visio/document.xml"), "a.xlsx", BrokenDocument, "is not an Excel workbook although"),
        (
            zipped("mimetype", "content.xml"),
            "a.epub",
            BrokenDocument,
            "is not an e-book (EPUB) although its name ends in .epub",
        ),
        (zipped("a.txt")[:-30], "a.docx", BrokenDocument, "cut short or damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a.txt", DocumentError, "picture"),
        (bytes(range(256)) * 4, "a.txt", BrokenDocument, "looks like a binary file, not text"),
        (b"{}", "a.xyz", UnsupportedFormat, "ends in .xyz"),
        (b"only words", "a.rtf", BrokenDocument, "is not a rich text (RTF) file although its name ends in .rtf"),
        (b"only words", "a.json", BrokenDocument, "is not JSON"),
        (OLE, "a.doc", UnsupportedFormat, "Office's"),
        (OLE + "Workbook".encode("utf-16-le") + bytes(8), "a.xls", BrokenDocument, "broken Excel workbook"),
        (OLE + "WordDocument\0Workbook\0".encode("utf-16-le"), "a.xls", UnsupportedFormat, "Office's old format"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx", Encrypted, "needs a password"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",  # not the bytes: an archive's hold the time
)
def test_a_refusal_says_why(data: bytes, name: str, error: type[DocumentError], reason: str) -> None:
    with pytest.raises(error) as caught:
        parse(data, name)
    assert reason in str(caught.value)


def test_a_file_over_the_limit() -> None:
    with pytest.raises(TooLarge, match=r"has 5 bytes, more than the 4 that are allowed"):
        parse(b"12345", "a.txt", max_bytes=4)


_SUFFIXES = st.sampled_from([*SUPPORTED, "", ".xyz"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(), _SUFFIXES)
@example(b"%PDF-1.4\n%%EOF", ".pdf")
@example(b"PK\x03\x04", ".docx")
@example(b"\xff\xfe\x00", ".txt")
def test_any_bytes_give_a_document_or_a_reason(data: bytes, suffix: str) -> None:
    assert outcome(data, "file" + suffix)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([PDF, DOCX]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=20)), min_size=1, max_size=5),
)
def test_a_damaged_document_gives_a_document_or_a_reason(data: bytes, damages: list[tuple[float, bytes]]) -> None:
    damaged = bytearray(data)
    for place, noise in damages:
        start = int(place * len(damaged))
        damaged[start : start + len(noise)] = noise
    assert outcome(bytes(damaged), "file")


@pytest.mark.parametrize(
    ("name", "suffix", "title"),
    [
        ("docs/Leave_Policy-2024.PDF", ".pdf", "Leave Policy 2024"),
        ("README", "", "README"),
        (".hidden", "", ".hidden"),
        ("v1.2 notes", "", "v1.2 notes"),
        ("a\udcff.txt", ".txt", "a"),
        ("_.md", ".md", "untitled"),
    ],
)
def test_names(name: str, suffix: str, title: str) -> None:
    assert (suffix_of(name), title_of(name)) == (suffix, title)
