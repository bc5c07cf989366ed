"""Files made to do harm: a line in the ledger with the reason each, and the rest go on."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from tests.faults.support import ingest
from tests.ingest.parsers.archives import encrypted, make_tar, make_zip, overlapping_zip
from tests.ingest.parsers.support import draw_pdf, make_docx

XXE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
LAUGHS = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "ha">%s]>' % b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12)
)


def with_part(document: bytes, name: str, change: bytes, doctype: bytes) -> bytes:
    """The Word document with an entity in one of its parts."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as archive, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename == name:
                data = doctype + re.sub(rb"^<\?xml[^>]*\?>\s*", b"", data).replace(b"Travel", change, 1)
            copy.writestr(entry.filename, data)
    return result.getvalue()


def many_paragraphs(count: int) -> bytes:
    """A Word document of nothing but empty paragraphs: small, and long to read."""
    document = make_docx(lambda document: document.add_paragraph("x"))
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(document)) as archive,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as copy,
    ):
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename == "word/document.xml":
                data = data.replace(b"<w:sectPr", b"<w:p/>" * count + b"<w:sectPr", 1)
            copy.writestr(entry.filename, data)
    return result.getvalue()


def pdf_of_many_pages() -> bytes:
    """A PDF that says it has two thousand million pages, and one of a tree of pages that goes round in a circle."""
    data = draw_pdf([[(72, 700, "One page.")]], pageCompression=0)
    return re.sub(rb"/Count 1\b", b"/Count 2000000000", data)


def pdf_in_a_circle() -> bytes:
    data = draw_pdf([[(72, 700, "One page.")]], pageCompression=0)
    kids = re.search(rb"/Kids \[ (\d+ 0 R) \]", data)
    parent = re.search(rb"/Parent (\d+ 0 R)", data)
    assert kids and parent
    return data.replace(kids[0], b"/Kids [ %s ]" % parent[1])


def test_each_has_its_line(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    word = make_docx(lambda document: document.add_paragraph("Travel is booked by the office."))
    deep = b"The bottom."
    for number in range(6):
        deep = make_zip({f"{number}.zip" if number else "a.txt": deep})
    pdf = draw_pdf([[(72, 700, "A page.")]])
    hostile = {
        "bomb.docx": many_paragraphs(10_000_000),
        "bomb.tgz": make_tar([("a.txt", bytes(40_000_000))]),
        "overlap.zip": overlapping_zip(),
        "deep.zip": deep,
        "locked.zip": encrypted(make_zip({"a.txt": b"A."})),
        "cut.zip": make_zip({"a.txt": b"A." * 1000})[:-30],
        "cut.eml": b"\x00\x01",
        "laughs.docx": with_part(word, "word/document.xml", b"&a11;", LAUGHS),
        "xxe.docx": with_part(word, "word/document.xml", b"&x;", XXE),
        "circle.pdf": pdf_in_a_circle(),
        "picture.txt": b"\x89PNG\r\n\x1a\n" + bytes(100),
    }
    harmless = {
        "xxe.html": XXE + b"<html><body><p>Words &x; here.</p></body></html>",
        "pages.pdf": pdf_of_many_pages(),
        "polyglot.pdf": pdf + make_zip({"a.txt": b"Hidden in a PDF."}),
        "word.pdf": word,
        "z.txt": b"The last one.",
    }
    for name, data in (hostile | harmless).items():
        (docs / name).write_bytes(data)
    done = ingest("add", "docs", "--index", "index", "--json", cwd=tmp_path)
    assert done.code == 1 and "Traceback" not in done.err
    entries = {entry["source"].removeprefix(f"{docs}/"): entry for entry in done.json["documents"]}
    failed = {name: entry["reason"] for name, entry in entries.items() if entry["status"] == "failed"}
    assert {name.split("!/")[0] for name in failed} == set(hostile)
    assert all(failed.values())
    assert "may be a zip bomb" in failed["bomb.docx"] and "may be a bomb" in failed["bomb.tgz"]
    assert "overlap" in failed["overlap.zip"] and "password" in failed["locked.zip"]
    assert "nested more than 3 archives deep" in failed["deep.zip!/5.zip!/4.zip!/3.zip"]
    assert entries["z.txt"]["status"] == entries["polyglot.pdf"]["status"] == "added"
    assert failed["xxe.docx"] == "holds no text"
    shown = [
        ingest("show", docs / name, "--text", "--index", "index", cwd=tmp_path).out for name in ("xxe.html", "polyglot.pdf")
    ]
    assert "Words" in shown[0] and "A page." in shown[1]
    assert "root:" not in shown[0] and "Hidden in a PDF" not in shown[1]
