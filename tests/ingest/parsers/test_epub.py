"""E-books."""

from __future__ import annotations

import pytest

from ingest.errors import BrokenDocument, Encrypted
from ingest.parsers import parse
from ingest.parsers.epub import MEDIA_TYPE
from tests.ingest.parsers.support import check, view, zip_of

_CONTAINER = '<container xmlns="urn:c"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
_PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
<dc:title>The Book</dc:title></metadata><manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="b" href="text/b%20two.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>
<item id="css" href="s.css" media-type="text/css"/></manifest>
<spine><itemref idref="nav"/><itemref idref="a"/><itemref idref="b"/><itemref idref="missing"/></spine></package>"""
_BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": _CONTAINER,
    "OEBPS/book.opf": _PACKAGE,
    "OEBPS/nav.xhtml": "<html><body>Contents</body></html>",
    "OEBPS/text/a.xhtml": "<html><body><h1>One</h1><p>It began.</p></body></html>",
    "OEBPS/text/b two.xhtml": "<html><body><h1>Two</h1><table><tr><th>a<th>b<tr><td>1<td>2</table></body></html>",
}


def test_chapters_in_the_order_of_the_book() -> None:
    parsed = check(parse(zip_of(_BOOK), "a.epub"))
    assert view(parsed) == [
        ("heading", "One"),
        ("text", "It began."),
        ("heading", "Two"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
    ]
    assert (parsed.title, parsed.media_type) == ("The Book", MEDIA_TYPE)
    assert parsed.blocks[3].heading == ("Two",)


def test_chapters_that_are_not_in_the_book_are_noted() -> None:
    parsed = parse(zip_of({name: held for name, held in _BOOK.items() if name != "OEBPS/text/a.xhtml"}), "a.epub")
    assert parsed.notes == ("1 of 2 chapters that the book names are not in it",)
    assert not parse(zip_of(_BOOK), "a.epub").notes


def test_protected_and_broken_books() -> None:
    locked = '<e><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></e>'
    fonts = '<e><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></e>'
    with pytest.raises(Encrypted, match="protected against copying"):
        parse(zip_of({**_BOOK, "META-INF/encryption.xml": locked}), "a.epub")
    assert parse(zip_of({**_BOOK, "META-INF/encryption.xml": fonts}), "a.epub").title == "The Book"
    with pytest.raises(BrokenDocument, match="broken e-book: parts of it are missing"):
        parse(zip_of({"mimetype": "application/epub+zip"}), "a.epub")
    with pytest.raises(BrokenDocument, match="names no chapter"):
        parse(zip_of({**_BOOK, "OEBPS/book.opf": "<package/>"}), "a.epub")
    with pytest.raises(BrokenDocument, match="parts of it are missing"):
        parse(zip_of({**_BOOK, "META-INF/container.xml": _CONTAINER.replace("OEBPS/book.opf", "../../etc/passwd")}), "a.epub")
