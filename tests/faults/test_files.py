"""Files of every kind that goes wrong: a line in the ledger each, and the rest go on."""

from __future__ import annotations

import os
from pathlib import Path

from ingest.index import Index
from tests.faults.support import ingest
from tests.ingest.parsers.support import draw_pdf, make_docx
from tests.ingest.support import assert_whole, found

GOOD = "Dogs may come to the office on Fridays.\n"
# (\udcff is how Python writes the byte FF of a name, which is no UTF-8.)
ODD_NAMES = [
    "new\nline.txt",
    "🦊.txt",
    "not-utf8-\udcff.txt",
    "-rf.txt",
    "--index.txt",
    " .txt",
    "quote'\"`$(x).txt",
    "a" * 251 + ".txt",
]
SENTENCE = "Paragraphnumber {} concerns antidisestablishmentarianism, internationalization and counterrevolutionaries.\n\n"


def test_each_file_has_its_line_and_the_rest_go_on(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    docx = make_docx(lambda document: document.add_paragraph("Travel is booked by the office."))
    pdf = draw_pdf([[(72, 700, "The office has a garden.")]])
    broken = {
        "empty.txt": b"",
        "blank.md": b" \n\t\n ",
        "binary.txt": bytes(range(256)) * 64,
        "program.txt": b"\x7fELF\x02\x01\x01" + bytes(4000),
        "cut.pdf": pdf[: len(pdf) // 3],
        "no.pdf": b"This is no PDF.\x00\x01\x02",
        "cut.docx": docx[: len(docx) // 2],
        "no.docx": b"PK\x03\x04" + bytes(500),
    }
    for name, data in broken.items():
        (docs / name).write_bytes(data)
    (docs / "loop").symlink_to("loop")
    (docs / "round").mkdir()
    (docs / "round" / "again").symlink_to(docs)
    (docs / "nowhere.txt").symlink_to("no such file")
    os.mkfifo(docs / "pipe.txt")
    broken_links = {"loop", "again", "nowhere.txt", "pipe.txt"}
    for name in ODD_NAMES:
        (docs / name).write_text(GOOD + name.encode("utf-8", "replace").decode())
    (docs / "whole.docx").write_bytes(docx)
    (docs / "whole.pdf").write_bytes(pdf)
    (docs / "z.txt").write_text("The last one.")

    first = ingest("add", "docs", "--index", "index", "--json", cwd=tmp_path)
    assert first.code == 1
    assert "Traceback" not in first.err
    failed = {Path(entry["source"]).name: entry["reason"] for entry in first.json["documents"] if entry["status"] == "failed"}
    assert set(failed) == set(broken) | broken_links
    assert all(failed.values())
    added = [entry for entry in first.json["documents"] if entry["status"] == "added"]
    assert len(added) == len(ODD_NAMES) + 3 == first.json["added"]
    assert len(first.json["documents"]) == len(added) + len(failed)

    # Each name is the same text everywhere, and can be told by it.
    sources = {entry["source"] for entry in added}
    assert {os.fsencode(str(docs / name)).decode("utf-8", "backslashreplace") for name in ODD_NAMES} <= sources
    listed = ingest("list", "--index", "index", "--json", cwd=tmp_path).json
    assert {document["source"] for document in listed} == sources
    hits = ingest("search", "dogs on Fridays", "-k", 20, "--index", "index", "--json", cwd=tmp_path).json
    assert {hit["source"] for hit in hits} <= sources
    with Index.open(tmp_path / "index") as index:
        assert_whole(index)
        assert {entry.source for entry in index.ledger() if entry.status == "failed"} == {
            entry["source"] for entry in first.json["documents"] if entry["status"] == "failed"
        }
    removed = ingest("remove", "--index", "index", "--json", "--", *sorted(sources), cwd=tmp_path)
    assert (removed.code, removed.json["removed"]) == (0, len(sources))


def test_a_file_whose_name_looks_like_an_option(tmp_path: Path) -> None:
    (tmp_path / "-rf.txt").write_text(GOOD)
    assert ingest("add", "--index", "index", "--", "-rf.txt", cwd=tmp_path).code == 0


def test_fifty_megabytes_of_text(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    with book.open("w") as file:
        for n in range(450_000):
            file.write(SENTENCE.format(n))
    assert book.stat().st_size > 50_000_000
    (tmp_path / "note.txt").write_text(GOOD)
    outcome = ingest("add", book, tmp_path / "note.txt", "--index", "index", "--json", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert outcome.statuses == {"book.txt": "added", "note.txt": "added"}
    # Six words a sentence, at most 200 in a chunk.
    assert 450_000 * 6 / 200 <= outcome.json["chunks"] <= 450_000 * 6 / 150
    with Index.open(tmp_path / "index") as index:
        assert found(index.search("Dogs on Fridays", 1))[0][0] == "note.txt"
        for n in (0, 222_222, 449_999):
            hits = index.search(f"Paragraphnumber {n}", 3, "keyword")  # a chunk is also found by its neighbours' words
            assert any(SENTENCE.format(n).strip() in hit.chunk.text for hit in hits)
            for hit in hits:
                assert index.text(hit.document.document_id, hit.chunk.start, hit.chunk.end) == hit.chunk.text
        assert index.verify() == []
