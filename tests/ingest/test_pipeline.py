"""The story of ingestion: what becomes of each file, and what it costs."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from reportlab.pdfgen import canvas

from ingest.build import open_pipeline
from ingest.errors import DocumentNotFound, SourceError
from ingest.index import Index
from ingest.pipeline import Pipeline
from ingest.settings import IngestSettings
from ingest.types import LedgerEntry, Progress, Report
from tests.ingest.support import CountingEmbedder, assert_whole, found, names


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "more").mkdir(parents=True)
    (folder / "leave.md").write_text("# Leave\n\nParental leave lasts sixteen weeks.\n\n## Pay\n\nIt is paid.\n")
    (folder / "pets.txt").write_text("Dogs may come to the office on Fridays.\n")
    (folder / "more" / "rates.csv").write_text("city,rate\nOslo,140\n")
    return folder


SETTINGS = IngestSettings(embedder="hash", max_file_bytes=100_000)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with open_pipeline(SETTINGS, path=tmp_path / "index", embedder=CountingEmbedder()) as pipeline:
        yield pipeline


def outcomes(report: Report) -> dict[str, str]:
    """File name to status, and the reason where there is one."""
    return {Path(e.source).name: f"{e.status}: {e.reason}" if e.reason else e.status for e in report.documents}


def embedded(pipeline: Pipeline) -> int:
    embedder = pipeline.index.embedder
    assert isinstance(embedder, CountingEmbedder)
    return embedder.passages


# --- adding


def test_a_folder_is_taken_in_with_one_line_for_each_file(pipeline: Pipeline, docs: Path) -> None:
    report = pipeline.add([docs])
    assert outcomes(report) == {"leave.md": "added", "rates.csv": "added", "pets.txt": "added"}
    assert (report.chunks, report.failed, report.count("added")) == (4, False, 3)
    assert sorted(entry.source for entry in report.documents) == [info.source for info in pipeline.index.documents()]
    assert sorted(pipeline.index.ledger(), key=str) == sorted(report.documents, key=str)
    assert_whole(pipeline.index)


def test_pages_that_were_not_read_are_told_in_the_ledger(pipeline: Pipeline, tmp_path: Path) -> None:
    stream = io.BytesIO()
    drawing = canvas.Canvas(stream)
    drawing.drawString(72, 700, "The first page carries its text.")
    drawing.showPage()
    drawing.rect(100, 100, 300, 300, fill=1)
    drawing.save()
    (tmp_path / "scan.pdf").write_bytes(stream.getvalue())
    [entry] = pipeline.add([tmp_path / "scan.pdf"]).documents
    assert (entry.status, entry.chunks) == ("added", 1)
    assert entry.reason is not None and entry.reason.startswith("page 2 of 2 is a picture without text")
    assert pipeline.index.ledger() == [entry]


def test_what_did_not_change_costs_no_embedding(pipeline: Pipeline, docs: Path) -> None:
    first = pipeline.add([docs])
    before, version = embedded(pipeline), pipeline.index.version
    assert before == first.chunks
    os.utime(docs / "pets.txt", (1, 1))
    again = pipeline.add([docs, docs / "pets.txt"])
    assert set(outcomes(again).values()) == {"unchanged"}
    assert [(e.source, e.document_id, e.chunks) for e in again.documents] == [
        (e.source, e.document_id, e.chunks) for e in first.documents
    ]
    assert (embedded(pipeline), pipeline.index.version) == (before, version)


def test_what_changed_takes_the_place_of_what_was(pipeline: Pipeline, docs: Path) -> None:
    pipeline.add([docs])
    before = embedded(pipeline)
    (docs / "pets.txt").write_text("Cats may come to the office on Mondays.\n")
    assert outcomes(pipeline.add([docs])) == {"leave.md": "unchanged", "rates.csv": "unchanged", "pets.txt": "replaced"}
    assert embedded(pipeline) == before + 1
    texts = [text for _, text in found(pipeline.index.search("dogs and cats in the office", 10))]
    assert texts[0] == "Cats may come to the office on Mondays."
    assert not any("Dogs" in text for text in texts)
    assert pipeline.index.counts() == (3, 4)


def test_files_are_known_by_their_place_not_by_how_they_were_named(
    pipeline: Pipeline, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.add([docs])
    monkeypatch.chdir(docs / "more")
    again = pipeline.add([Path("..") / "pets.txt", Path("rates.csv"), docs / "more" / ".." / "leave.md"])
    assert outcomes(again) == {"leave.md": "unchanged", "rates.csv": "unchanged", "pets.txt": "unchanged"}
    sources = {entry.source for entry in again.documents}
    assert sources == {info.source for info in pipeline.index.documents()} == {e.source for e in pipeline.index.ledger()}
    assert sources == {str(docs / name) for name in ("leave.md", "pets.txt", "more/rates.csv")}


def test_one_bad_file_stops_no_other(pipeline: Pipeline, docs: Path) -> None:
    (docs / "empty.txt").touch()
    (docs / "large.txt").write_text("x" * 100_001)
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\n" + bytes(2000))
    report = pipeline.add([docs, docs / "nowhere.txt"])
    found_outcomes = outcomes(report)
    assert [name for name, outcome in found_outcomes.items() if outcome == "added"] == ["leave.md", "rates.csv", "pets.txt"]
    reasons = {name: outcome for name, outcome in found_outcomes.items() if outcome != "added"}
    assert set(reasons) == {"empty.txt", "large.txt", "broken.pdf", "nowhere.txt"}
    assert reasons["empty.txt"].startswith("failed: ") and reasons["broken.pdf"].startswith("failed: ")
    assert reasons["large.txt"] == "failed: is larger (100,001 bytes) than the limit (100,000; RAG_BOT_MAX_FILE_BYTES)"
    assert reasons["nowhere.txt"] == "failed: does not exist"
    assert report.failed
    assert sorted(pipeline.index.ledger(), key=str) == sorted(report.documents, key=str)


def test_a_file_that_broke_keeps_what_the_index_has_of_it(pipeline: Pipeline, docs: Path) -> None:
    (document,) = pipeline.add([docs / "pets.txt"]).documents
    (docs / "pets.txt").write_text("")
    (entry,) = pipeline.add([docs / "pets.txt"]).documents
    assert (entry.status, entry.document_id) == ("failed", document.document_id)
    assert found(pipeline.index.search("dogs", 1))[0][0] == "pets.txt"


def test_progress_is_told_file_by_file(pipeline: Pipeline, docs: Path) -> None:
    told: list[Progress] = []
    report = pipeline.add([docs], told.append)
    assert [progress.entry for progress in told if progress.entry] == list(report.documents)
    assert [progress.files_done for progress in told] == sorted(progress.files_done for progress in told)
    assert (told[-1].files_done, told[-1].files_total, told[-1].chunks_done) == (3, 3, 4)


def test_what_was_told_as_added_is_in_the_index_already(pipeline: Pipeline, docs: Path) -> None:
    seen: list[tuple[str, list[str]]] = []

    def watch(progress: Progress) -> None:
        if progress.entry:
            with Index.open(pipeline.index.path) as reader:
                seen.append((Path(progress.entry.source).name, names(reader)))

    pipeline.add([docs], watch)
    assert len(seen) == 3
    assert all(name in there for name, there in seen)


def test_who_watches_may_stop_it(pipeline: Pipeline, docs: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.entry:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.add([docs], stop)
    assert names(pipeline.index) == ["leave.md"]
    assert outcomes(pipeline.add([docs])) == {"leave.md": "unchanged", "rates.csv": "added", "pets.txt": "added"}


@pytest.mark.parametrize("place", ["index", "sub/index"])
def test_the_index_itself_is_never_taken_in(place: str, docs: Path) -> None:
    with open_pipeline(SETTINGS, path=docs / place, embedder=CountingEmbedder()) as pipeline:
        pipeline.upload("note.txt", b"A note that somebody uploaded.")
        for status in ("added", "unchanged"):
            assert outcomes(pipeline.add([docs])) == {"leave.md": status, "pets.txt": status, "rates.csv": status}
        for path in (docs / place, docs / place / "files"):
            with pytest.raises(SourceError, match="is in the folder of the index itself"):
                pipeline.add([docs, path])


def test_the_index_can_not_be_the_folder_of_the_documents(docs: Path) -> None:
    with open_pipeline(SETTINGS, path=docs, embedder=CountingEmbedder()) as pipeline:
        for take_in in (pipeline.add, lambda folders: pipeline.sync(folders[0])):
            with pytest.raises(SourceError, match="is in the folder of the index itself") as caught:
                take_in([docs])
            assert "--index" in caught.value.hint


def test_a_link_to_the_index_leads_nowhere(pipeline: Pipeline, docs: Path) -> None:
    (docs / "linked").symlink_to(pipeline.index.path)
    (docs / "manifest.txt").symlink_to(pipeline.index.path / "manifest.json")
    assert sorted(outcomes(pipeline.add([docs]))) == ["leave.md", "pets.txt", "rates.csv"]


# --- syncing


def test_sync_removes_what_is_gone_and_only_that(pipeline: Pipeline, docs: Path, tmp_path: Path) -> None:
    other = tmp_path / "docs-of-others.txt"  # its path begins like the folder's, but it is not in it
    other.write_text("Elsewhere.")
    pipeline.add([docs, other])
    pipeline.upload("note.txt", b"A note.")
    (docs / "pets.txt").unlink()
    (docs / "more" / "rates.csv").rename(docs / "rates.csv")
    report = pipeline.sync(docs)
    assert [(Path(e.source).relative_to(docs).as_posix(), e.status) for e in report.documents] == [
        ("leave.md", "unchanged"),
        ("rates.csv", "added"),
        ("more/rates.csv", "removed"),
        ("pets.txt", "removed"),
    ]
    assert sorted(names(pipeline.index)) == ["docs-of-others.txt", "leave.md", "rates.csv", "upload:note.txt"]
    assert_whole(pipeline.index)


def test_add_removes_nothing(pipeline: Pipeline, docs: Path) -> None:
    pipeline.add([docs])
    (docs / "pets.txt").unlink()
    pipeline.add([docs])
    assert "pets.txt" in names(pipeline.index)


@pytest.mark.parametrize("accident", ["emptied", "gone", "a file", "only unreadable"])
def test_sync_removes_nothing_when_the_folder_had_an_accident(pipeline: Pipeline, docs: Path, accident: str) -> None:
    pipeline.add([docs])
    before = names(pipeline.index)
    shutil.rmtree(docs)
    if accident == "a file":
        docs.touch()
    elif accident != "gone":
        docs.mkdir()
        if accident == "only unreadable":
            (docs / "leave.md").symlink_to("leave.md")
    with pytest.raises(SourceError, match=r"nothing was (changed|removed)"):
        pipeline.sync(docs)
    assert names(pipeline.index) == before


def test_sync_of_a_folder_that_never_had_anything(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert pipeline.sync(tmp_path / "empty").documents == ()


def test_sync_keeps_what_stands_below_a_place_that_can_not_be_read(pipeline: Pipeline, docs: Path) -> None:
    pipeline.add([docs])
    shutil.rmtree(docs / "more")
    (docs / "more").symlink_to("more")  # as a mount that went away: it is there, and nothing can be read from it
    report = pipeline.sync(docs)
    assert outcomes(report)["more"].startswith("failed: is a link that can't be followed")
    assert "rates.csv" in names(pipeline.index)
    assert report.count("removed") == 0


def test_sync_keeps_a_file_that_can_not_be_read(pipeline: Pipeline, docs: Path) -> None:
    pipeline.add([docs])
    (docs / "pets.txt").unlink()
    os.mkfifo(docs / "pets.txt")
    assert outcomes(pipeline.sync(docs))["pets.txt"] == "failed: is a named pipe, not a file"
    assert "pets.txt" in names(pipeline.index)


# --- uploading and removing


def test_an_upload_keeps_its_file(pipeline: Pipeline) -> None:
    data = b"Dogs may come.\n"
    entry = pipeline.upload("pets.txt", data)
    assert entry.document_id
    assert entry == LedgerEntry("upload:pets.txt", entry.document_id, "added", None, 1)
    assert pipeline.index.original(entry.document_id).read_bytes() == data
    assert pipeline.upload("pets.txt", data).status == "unchanged"
    replaced = pipeline.upload("pets.txt", b"Cats may come.\n")
    assert (replaced.status, replaced.document_id) == ("replaced", entry.document_id)
    assert pipeline.index.original(entry.document_id).read_bytes() == b"Cats may come.\n"
    assert pipeline.upload("empty.txt", b"").status == "failed"
    assert pipeline.upload("../../x.txt", b"A name with a path in it.").status == "added"
    assert sorted(p.name for p in (pipeline.index.path / "files").iterdir()) == sorted(
        f"{info.document_id}-{info.sha256[:16]}" for info in pipeline.index.documents()
    )


def test_remove_takes_all_or_nothing(pipeline: Pipeline, docs: Path) -> None:
    leave, rates, pets = (e.document_id or "" for e in pipeline.add([docs]).documents)
    with pytest.raises(DocumentNotFound, match="'nowhere'"):
        pipeline.remove([leave, "nowhere"])
    assert len(names(pipeline.index)) == 3
    assert [entry.status for entry in pipeline.remove([leave, rates, leave])] == ["removed", "removed"]
    assert [info.document_id for info in pipeline.index.documents()] == [pets]
    assert_whole(pipeline.index)
