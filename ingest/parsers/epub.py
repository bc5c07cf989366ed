"""E-books (EPUB): the chapters in the order of the book, each a web page inside the archive."""

from __future__ import annotations

import zipfile
from posixpath import dirname, normpath
from urllib.parse import unquote

from ingest.errors import BrokenDocument, Encrypted
from ingest.parsers.builder import TextBuilder
from ingest.parsers.html import add_page
from ingest.parsers.names import title_of
from ingest.parsers.tree import local, read_xml
from ingest.parsers.zipped import opened
from ingest.types import Parsed

MEDIA_TYPE = "application/epub+zip"
_PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")
# Fonts are made unreadable by these, which locks nothing away.
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def parse_epub(data: bytes, name: str) -> Parsed:
    """An e-book, EPUB 2 or 3."""
    builder = TextBuilder()
    with opened(data, "e-book") as archive:
        _check_rights(archive)
        container = read_xml(archive.read("META-INF/container.xml"), mend=True)
        package = next((unquote(root.get("full-path") or "") for root in container.iter("{*}rootfile")), "")
        root = read_xml(archive.read(package), mend=True)
        folder = dirname(package)
        files = {
            item.get("id"): normpath(
                f"{folder}/{unquote(item.get('href') or '')}" if folder else unquote(item.get("href") or "")
            )
            for item in root.iterfind("{*}manifest/{*}item")
            if item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or "").split()
        }
        chapters = [files.get(reference.get("idref")) for reference in root.iterfind("{*}spine/{*}itemref")]
        found = [chapter for chapter in dict.fromkeys(chapters) if chapter in archive.NameToInfo]
        if not found:
            raise BrokenDocument("is a broken e-book: it names no chapter that it holds")
        missing = sum(chapter is not None and chapter not in archive.NameToInfo for chapter in set(chapters))
        if missing:
            builder.note(f"{missing} of {missing + len(found)} chapters that the book names are not in it")
        for chapter in found:
            add_page(builder, archive.read(str(chapter)))
        title = next((element.text or "" for element in root.iter("{*}title") if local(element.getparent()) != "head"), "")
    return builder.build(title, MEDIA_TYPE, title_of(name))


def _check_rights(archive: zipfile.ZipFile) -> None:
    if "META-INF/encryption.xml" not in archive.NameToInfo:
        return
    root = read_xml(archive.read("META-INF/encryption.xml"), mend=True)
    if any(method.get("Algorithm") not in _FONTS for method in root.iter("{*}EncryptionMethod")):
        raise Encrypted("is protected against copying (DRM)")
