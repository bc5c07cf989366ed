"""Curation in an index: copies are folded for each reader, older versions left out where that is wanted, facts kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.build import open_pipeline
from ingest.index import STORE, Index
from ingest.settings import IngestSettings
from ingest.types import Allowed, DocumentInfo, Hit, Mode
from tests.ingest.support import HASH, as_first_schema, assert_whole, put

LEAVE = (
    "Leave is asked for in writing, at least two weeks before it begins, and the manager answers within three days. "
    "Whoever falls ill during it gets the days back, if a doctor has confirmed the illness. Days that are left at the end of "
    "the year may be taken until the end of March, and are lost after that, unless the manager agrees to something else."
)
TYPO = LEAVE.replace("confirmed", "confrmed")
OTHER_DAYS = LEAVE.replace("three days", "five days")
PETS = "Dogs may come to the office on Fridays, if nobody there is afraid of them. Cats stay at home."


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", settings=HASH, write=True, create=True) as index:
        yield index


def sources(hits: list[Hit]) -> list[str]:
    return [hit.document.source for hit in hits]


def also(hit: Hit) -> list[str]:
    return [place.source for place in hit.also]


def only(*allowed: str) -> Allowed:
    return lambda info: info.source in allowed


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
def test_copies_are_one_hit_that_names_the_others(index: Index, mode: Mode) -> None:
    for source, text in {"/a.txt": LEAVE, "/b.txt": TYPO, "/c.txt": LEAVE, "/pets.txt": PETS}.items():
        put(index, source, text)
    hits = index.search("leave asked for in writing, dogs", 10, mode)
    assert sorted(sources(hits)) in [[one, "/pets.txt"] for one in ("/a.txt", "/b.txt", "/c.txt")]
    folded = next(hit for hit in hits if hit.document.source != "/pets.txt")
    assert sorted([folded.document.source, *also(folded)]) == ["/a.txt", "/b.txt", "/c.txt"]
    for place in folded.also:
        assert index.text(place.document_id, place.start, place.end) in (LEAVE, TYPO)
    assert "also" in folded.as_dict()
    assert all("also" not in hit.as_dict() for hit in hits if hit is not folded)


def test_what_says_something_else_is_not_folded(index: Index) -> None:
    put(index, "/a.txt", LEAVE)
    put(index, "/b.txt", OTHER_DAYS)
    put(index, "/c.txt", LEAVE.replace("the manager agrees", "Anna agrees"))
    hits = index.search("leave asked for in writing", 10)
    assert sorted(sources(hits)) == ["/a.txt", "/b.txt", "/c.txt"]
    assert not any(hit.also for hit in hits)
    assert index.curation.folded() == 0


def test_a_copy_that_a_reader_may_not_see_hides_nothing_and_is_not_named(index: Index) -> None:
    for source in ("/a.txt", "/b.txt", "/c.txt"):
        put(index, source, LEAVE)
    for allowed in (("/a.txt",), ("/b.txt",), ("/c.txt",)):
        (hit,) = index.search("leave asked for in writing", 10, allowed=only(*allowed))
        assert (sources([hit]), hit.also) == ([*allowed], ())
    (hit,) = index.search("leave asked for in writing", 10, allowed=only("/a.txt", "/c.txt"))
    assert {hit.document.source, *also(hit)} == {"/a.txt", "/c.txt"}


def test_a_thousand_copies_do_not_crowd_out_the_rest(index: Index) -> None:
    for number in range(300):
        put(index, f"/copy-{number:03}.txt", LEAVE)
    put(index, "/pets.txt", PETS)
    modes: tuple[Mode, ...] = ("hybrid", "dense")
    for mode in modes:
        hits = index.search("leave asked for in writing", 2, mode)
        assert len(hits) == 2
        assert sources(hits)[1] == "/pets.txt"
        assert len(hits[0].also) == 100


def test_places_that_may_be_read_are_named_however_many_stand_before_them(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.index._COPIES_AT_ONCE", 10)
    monkeypatch.setattr("ingest.index._MOST_PLACES", 10)
    for number in range(60):
        put(index, f"/copy-{number:02}.txt", LEAVE)
    mine = tuple(f"/copy-{number}.txt" for number in range(45, 60, 2))
    (hit,) = index.search("leave asked for in writing", 10, allowed=only(*mine))
    assert sorted([hit.document.source, *also(hit)]) == sorted(mine)
    monkeypatch.setattr("ingest.index._COPIES_LOOKED_AT", 50)  # of a text that a million share, not all are looked at
    (hit,) = index.search("leave asked for in writing", 10, allowed=only(*mine))
    assert set(also(hit)) == {"/copy-45.txt", "/copy-47.txt", "/copy-49.txt"} - {hit.document.source}


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
def test_the_best_of_many_copies_hides_none_that_a_reader_may_see(index: Index, mode: Mode) -> None:
    put(index, "/best.md", f"# Leave asked for in writing\n\n{LEAVE}\n")  # nearest to the question
    for number in range(30):
        put(index, f"/copy-{number:02}.txt", LEAVE)
    put(index, "/pets.txt", PETS)
    assert index.curation.folded() >= 29
    hits = index.search("leave asked for in writing", 2, mode, allowed=only("/copy-29.txt", "/pets.txt"))
    assert sources(hits)[0] == "/copy-29.txt" and not any(hit.also for hit in hits)


def test_a_copy_that_goes_leaves_the_others(index: Index) -> None:
    for source in ("/a.txt", "/b.txt", "/c.txt"):
        put(index, source, LEAVE)
    index.remove(index.find("/a.txt").document_id)  # type: ignore[union-attr]
    (hit,) = index.search("leave asked for in writing", 10)
    assert {hit.document.source, *also(hit)} == {"/b.txt", "/c.txt"}
    put(index, "/c.txt", PETS)
    hits = index.search("leave asked for in writing", 10)
    assert sorted(sources(hits)) == ["/b.txt", "/c.txt"]
    assert not any(hit.also for hit in hits)
    put(index, "/d.txt", LEAVE)
    (hit, _) = index.search("leave asked for in writing", 10)
    assert {hit.document.source, *also(hit)} == {"/b.txt", "/d.txt"}
    assert_whole(index)


def test_nothing_is_left_of_what_went(index: Index) -> None:
    for source, text in {"/a.txt": LEAVE, "/b.txt": LEAVE, "/c.txt": OTHER_DAYS}.items():
        put(index, source, text)
    for info in index.documents():
        index.remove(info.document_id)
    with sqlite3.connect(index.path / STORE) as db:
        for table in ("curation", "twins", "bands", "contradictions"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_short_texts_are_the_same_only_below_the_same_heading(index: Index) -> None:
    put(index, "/faq.md", "# Questions\n\n## May dogs come in?\n\nYes.\n\n## May cats come in?\n\nYes.\n")
    put(index, "/rates.csv", "city,2024\nOslo,140\n")
    put(index, "/rates-new.csv", "city,2025\nOslo,140\n")
    assert index.curation.folded() == 0


VERSIONS = {
    "/travel-v1.md": f"# Travel\n\nVersion 1\n\n{LEAVE}\n",
    "/travel-v2.md": f"# Travel\n\nVersion 2\n\n{OTHER_DAYS}\n",
    "/pets.txt": PETS,
}


def test_older_versions_are_searched_or_not_as_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with Index.open(path, settings=HASH, write=True, create=True) as index:
        for source, text in VERSIONS.items():
            put(index, source, text)
        index.publish()
        old, new = (index.find(source).document_id for source in ("/travel-v1.md", "/travel-v2.md"))  # type: ignore[union-attr]
        assert index.superseded() == {old: new}
        assert sorted(sources(index.search("leave in writing", 10))) == sorted(VERSIONS)
    newest = HASH.model_copy(update={"documents_versions": "newest"})
    with Index.open(path, settings=newest) as index:
        assert sorted(sources(index.search("leave in writing", 10))) == ["/pets.txt", "/travel-v2.md"]
        assert sources(index.search("leave in writing", 10, allowed=only("/travel-v1.md"))) == ["/travel-v1.md"]
        assert len(index.documents()) == 3
        both = index.search("leave in writing", 10, allowed=only("/travel-v1.md", "/travel-v2.md"))
        assert sources(both) == ["/travel-v2.md"]


def test_facts_are_kept_and_listed(index: Index) -> None:
    put(index, "/travel-v2.md", VERSIONS["/travel-v2.md"] + "\nIn force since 1 March 2025.\n")
    (info,) = index.documents()
    assert (info.language, info.version, info.dated) == ("en", "2", "2025-03-01")
    assert info.quality is not None and info.quality > 0.9
    assert index.document(info.document_id) == info
    assert index.find(info.source) == info


def paged(file: Path) -> Path:
    """A PDF of three pages, each with a header and a page number."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(file), A4)
    for number, text in enumerate(LEAVE.split(". "), 1):
        canvas.drawString(60, 800, "Acme Ltd, strictly confidential")
        for line in range(0, len(text), 80):
            canvas.drawString(60, 700 - line / 5, text[line : line + 80])
        canvas.drawString(300, 40, f"Page {number} of 3")
        canvas.showPage()
    canvas.save()
    return file


def test_what_an_older_index_has_in_its_chunks_is_not_said_to_be_in_none(tmp_path: Path) -> None:
    settings, file = HASH.model_copy(update={"index": tmp_path / "index"}), paged(tmp_path / "paged.pdf")
    with open_pipeline(settings) as pipeline:
        pipeline.add([file])
    as_first_schema(tmp_path / "index" / STORE)
    with open_pipeline(settings) as pipeline:
        assert pipeline.add([file]).count("unchanged") == 1
        (details,) = pipeline.index.curation.details().values()
        assert (details["pages"], details["boilerplate"]) == (3, [])


def test_pages_are_chunked_without_what_is_repeated(tmp_path: Path) -> None:
    file = paged(tmp_path / "paged.pdf")
    with open_pipeline(HASH.model_copy(update={"index": tmp_path / "index"})) as pipeline:
        pipeline.add([file])
        (info,) = pipeline.index.documents()
        text = pipeline.index.text(info.document_id)
        assert text.count("strictly confidential") == 3
        chunks = pipeline.index.chunks_of(info.document_id)
        assert chunks
        assert not [chunk.text for chunk in chunks if "confidential" in chunk.text or "Page" in chunk.text]
        details = pipeline.index.curation.details()[info.document_id]
        assert [text[start:end] for start, end in details["boilerplate"]][:2] == [
            "Acme Ltd, strictly confidential",
            "Page 1 of 3",
        ]
        assert_whole(pipeline.index)


def test_an_index_from_before_gets_its_facts_with_the_next_run(tmp_path: Path) -> None:
    path, folder = tmp_path / "index", tmp_path / "docs"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(LEAVE)
    with open_pipeline(HASH.model_copy(update={"index": path})) as pipeline:
        pipeline.add([folder])
    as_first_schema(path / STORE)
    with Index.open(path) as reader:  # as it is, for one that only reads
        assert len(reader.search("leave in writing", 10)) == 2
        assert [info.language for info in reader.documents()] == ["", ""]
        assert (reader.superseded(), reader.curation.groups(10), reader.curation.missing()) == ({}, [], [])
        with open_pipeline(HASH.model_copy(update={"index": path})) as pipeline:
            assert pipeline.add([folder]).count("unchanged") == 2
            assert pipeline.index.curation.missing() == []
        assert [len(hit.also) for hit in reader.search("leave in writing", 10)] == [1]
        assert [info.language for info in reader.documents()] == ["en", "en"]


def test_facts_come_along_when_all_is_embedded_anew(tmp_path: Path) -> None:
    from ingest.build import reembed

    settings = IngestSettings(index=tmp_path / "index", embedder="hash")
    (tmp_path / "a.txt").write_text(LEAVE)
    (tmp_path / "b.txt").write_text(LEAVE)
    with open_pipeline(settings) as pipeline:
        pipeline.add([tmp_path / "a.txt", tmp_path / "b.txt"])
    reembed(settings, "hash")
    with Index.open(tmp_path / "index") as index:
        assert [len(hit.also) for hit in index.search("leave in writing", 10)] == [1]
        assert {info.language for info in index.documents()} == {"en"}


def test_the_rights_may_change_between_choosing_and_reading(index: Index) -> None:
    put(index, "/a.txt", LEAVE)
    put(index, "/b.txt", LEAVE)
    seen: list[str] = []

    def once(info: DocumentInfo) -> bool:
        """Allows all at first, then no other than the first."""
        seen.append(info.source)
        return len(seen) <= 2 or info.source == first

    (hit,) = index.search("leave in writing", 10)
    first = hit.document.source
    assert hit.also
    (hit,) = index.search("leave in writing", 10, allowed=once)
    assert (hit.document.source, hit.also) == (first, ())
