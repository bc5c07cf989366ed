"""The report says what is in an index and what is wrong with it, and takes no text of a document for markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.cli import main
from ingest.index import Index
from ingest.report import report
from ingest.report_page import html
from ingest.types import LedgerEntry
from tests.ingest.support import HASH, put

NIGHT = (
    "Every employee may book a hotel for up to {} euros a night when travelling for the company. Flights are booked in economy "
    "class unless the flight takes longer than usual. Receipts are handed in after the journey, with the name of the project."
)
EVIL = '<script>alert(1)</script> & "quotes" <img src=x onerror=alert(2)> </style></title>'


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", settings=HASH, write=True, create=True) as index:
        yield index


def test_an_empty_index(index: Index) -> None:
    found = report(index)
    assert (found.status["documents"], found.contradictions, found.copies, found.topics, found.quality) == (0, (), (), (), None)
    assert "What is in the index" in html(found)
    assert json.loads(json.dumps(found.as_dict()))["failures"] == []


def test_contradictory_twins_stand_side_by_side(index: Index) -> None:
    put(index, "/a.txt", NIGHT.format(120))
    put(index, "/b.txt", NIGHT.format(150))
    put(index, "/c.txt", "Dogs may come to the office on Fridays.")
    (pair,) = report(index).contradictions
    first, second = NIGHT.format(120).partition(". ")[0] + ".", NIGHT.format(150).partition(". ")[0] + "."
    assert {pair.one.text, pair.other.text} == {first, second}
    assert {pair.facts, pair.other_facts} == {("120",), ("150",)}
    for said in (pair.one, pair.other):
        assert index.text(said.document_id, said.start, said.end) == said.text
    page = html(report(index))
    assert "<mark>120</mark>" in page
    assert "<mark>150</mark>" in page


def test_a_contradiction_with_an_older_version_says_so(index: Index) -> None:
    put(index, "/travel-v1.txt", NIGHT.format(120))
    put(index, "/travel-v2.txt", NIGHT.format(150))
    found = report(index)
    assert [pair.replaced for pair in found.contradictions] == [True]
    assert [(one.source, one.replaced_by) for one in found.versions] == [
        ("/travel-v2.txt", None),
        ("/travel-v1.txt", "/travel-v2.txt"),
    ]


def test_copies_failures_and_sizes(index: Index) -> None:
    for source in ("/a.txt", "/b.txt", "/c.txt"):
        put(index, source, NIGHT.format(120))
    index.record(LedgerEntry("/broken.pdf", None, "failed", "is a broken PDF"))
    index.record(LedgerEntry("/mended.txt", None, "failed", "is a broken PDF"))
    put(index, "/mended.txt", "It is whole now.")
    found = report(index)
    assert found.folded_chunks == 2
    assert [(one.count, sorted(place.source for place in one.places)) for one in found.copies] == [
        (3, ["/a.txt", "/b.txt", "/c.txt"])
    ]
    assert found.same_documents == (("/a.txt", "/b.txt", "/c.txt"),)
    assert found.failures == (("/broken.pdf", "is a broken PDF"),)
    assert sum(count for _, count in found.sizes) == sum(share.documents for share in found.formats) == 4
    assert len(found.topics) == 4
    assert all(0 <= point.x <= 1 and 0 <= point.y <= 1 for point in found.topics)
    assert found.topics == report(index).topics  # the same each time


def test_no_text_is_taken_for_markup_and_nothing_is_loaded(index: Index) -> None:
    for number in range(3):
        put(index, f"/{EVIL}{number}.txt", f"{EVIL}\n\n{NIGHT.format(number)} {EVIL}")
    index.record(LedgerEntry(f"/{EVIL}", None, "failed", EVIL))
    found = report(index)
    assert found.contradictions and found.failures
    page = html(found)
    assert not re.search(r"<(?:script|img|link|iframe|object)\b", page)
    assert page.count("</style>") == page.count("</title>") - page.count("<title>") + 1 == 1
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:href|src|url)\s*[=(]""", page.replace(" src=x", ""))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Index.open(tmp_path / "index", settings=HASH, write=True, create=True) as index:
        put(index, "/a.txt", NIGHT.format(120))
        index.publish()
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["report", "--index", str(tmp_path / "index"), *arguments])
        return int(ended.value.code or 0), *capsys.readouterr()

    assert run()[:2] == (0, "report.html: 1 document, 1 chunk.\n")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    (tmp_path / "report.html").unlink()
    code, out, _ = run("--json")
    assert (code, json.loads(out)["status"]["documents"]) == (0, 1)
    assert not (tmp_path / "report.html").exists()
    assert run("--out", "other.html", "--json")[0] == 0
    assert (tmp_path / "other.html").exists()
    code, _, err = run("--out", "nowhere/other.html")
    assert (code, "can't be written: No such file" in err, "--out" in err) == (1, True, True)
