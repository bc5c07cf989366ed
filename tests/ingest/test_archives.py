"""Archives and attachments through the pipeline: each member a document, which changes and goes with what holds it."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from ingest.build import open_pipeline
from ingest.follow import Follower
from ingest.index import STORE
from ingest.originals import FILES
from ingest.pipeline import Pipeline
from ingest.plan import plan
from ingest.report import report as look_over
from ingest.settings import IngestSettings
from ingest.sources.archives import ArchiveLimits, Opened, may_hold, rounds
from ingest.sources.files import Found
from ingest.types import LedgerEntry, Member, Progress, Report, Unpacked
from tests.ingest.parsers.archives import make_tar, make_zip
from tests.ingest.support import HASH, assert_whole


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with opened(tmp_path) as pipeline:
        yield pipeline


def opened(folder: Path, **settings: object) -> Pipeline:
    return open_pipeline(IngestSettings(**(HASH.model_dump(exclude_unset=True) | {"index": folder / "index"} | settings)))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


def outcome(report: Report, docs: Path) -> dict[str, str]:
    return {entry.source.removeprefix(f"{docs}/"): entry.status for entry in report.documents}


def reasons(report: Report, docs: Path) -> dict[str, str]:
    return {e.source.removeprefix(f"{docs}/"): e.reason or "" for e in report.documents if e.status == "failed"}


def message(subject: str, body: str, **attached: bytes) -> bytes:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "Ann <ann@example.com>", "bob@example.com"
    made.set_content(body)
    for name, data in attached.items():
        made.add_attachment(data, maintype="application", subtype="octet-stream", filename=name.replace("_", "."))
    return made.as_bytes()


def test_each_member_is_a_document(pipeline: Pipeline, docs: Path) -> None:
    inner = make_tar([("deep/foxes.txt", b"Foxes sleep in the garden.")])
    data = make_zip([("a/dogs.txt", b"Dogs may come on Fridays."), ("../cats.txt", b"Cats stay at home."), ("in.tgz", inner)])
    (docs / "all.zip").write_bytes(data)
    (docs / "plain.txt").write_text("A plain file.")
    report = pipeline.add([docs])
    assert outcome(report, docs) == {
        "plain.txt": "added",
        "all.zip!/a/dogs.txt": "added",
        "all.zip!/cats.txt": "added",
        "all.zip!/in.tgz!/deep/foxes.txt": "added",
    }
    assert not (docs.parent / "cats.txt").exists()
    assert_whole(pipeline.index)
    hit = pipeline.index.search("where do foxes sleep", 1)[0]
    assert hit.document.source == f"{docs}/all.zip!/in.tgz!/deep/foxes.txt"
    assert pipeline.index.original(hit.document.document_id).read_bytes() == b"Foxes sleep in the garden."
    assert set(outcome(pipeline.sync(docs), docs).values()) == {"unchanged"}


def test_the_files_that_are_kept_are_listed_once(pipeline: Pipeline, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (docs / "all.zip").write_bytes(make_zip({f"{n}.txt": f"Note {n}.".encode() for n in range(30)}))
    glob, listed = Path.glob, []

    def counted(path: Path, pattern: str) -> Iterator[Path]:
        if path.name == FILES:
            listed.append(pattern)
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", counted)
    assert pipeline.add([docs]).count("added") == 30
    assert len(listed) == 1
    monkeypatch.undo()
    (docs / "all.zip").write_bytes(make_zip({f"{n}.txt": f"Another {n}.".encode() for n in range(20)}))
    assert pipeline.add([docs]).count("replaced") == 20
    documents = pipeline.index.documents()
    kept = sorted(path.name for path in (pipeline.index.path / FILES).iterdir())
    assert kept == sorted(f"{info.document_id}-{info.sha256[:16]}" for info in documents)


def test_members_change_and_go_with_their_archive(pipeline: Pipeline, docs: Path) -> None:
    archive = docs / "all.zip"
    archive.write_bytes(make_zip({"a.txt": b"One.", "b.txt": b"Two.", "c.txt": b"Three."}))
    pipeline.add([docs])
    archive.write_bytes(make_zip({"a.txt": b"One.", "b.txt": b"Another two."}))
    assert outcome(pipeline.add([archive]), docs) == {
        "all.zip!/a.txt": "unchanged",
        "all.zip!/b.txt": "replaced",
        "all.zip!/c.txt": "removed",
    }
    (docs / "other.txt").write_text("Another file.")
    archive.unlink()
    assert outcome(pipeline.sync(docs), docs) == {
        "other.txt": "added",
        "all.zip!/a.txt": "removed",
        "all.zip!/b.txt": "removed",
    }
    assert_whole(pipeline.index)


def test_an_archive_that_was_damaged_takes_nothing_away(pipeline: Pipeline, docs: Path) -> None:
    archive = docs / "all.zip"
    data = make_zip({"a.txt": b"One.", "in.zip": make_zip({"b.txt": b"Two."})})
    archive.write_bytes(data)
    pipeline.sync(docs)
    archive.write_bytes(data[:-40])
    (docs / "other.txt").write_text("Another file.")
    report = pipeline.sync(docs)
    assert outcome(report, docs) == {"other.txt": "added", "all.zip": "failed"}
    assert "damaged" in reasons(report, docs)["all.zip"]
    # The inner one: the outer is whole, and what is known of the inner stays.
    archive.write_bytes(make_zip({"a.txt": b"One.", "in.zip": make_zip({"b.txt": b"Two."})[:-40]}))
    assert outcome(pipeline.sync(docs), docs) == {
        "other.txt": "unchanged",
        "all.zip!/a.txt": "unchanged",
        "all.zip!/in.zip": "failed",
    }
    assert len(pipeline.index.documents()) == 3


@pytest.mark.parametrize("dry", [False, True])
def test_an_archive_that_cannot_be_opened_takes_nothing_away(tmp_path: Path, docs: Path, dry: bool) -> None:
    def synced(**settings: object) -> dict[str, str]:
        with opened(tmp_path, **settings) as pipeline:
            report = pipeline.sync(docs)
            assert len(pipeline.index.documents()) == 3
        return outcome(report, docs)

    def planned(**settings: object) -> dict[str, str]:
        return outcome(plan(HASH.model_copy(update={"index": tmp_path / "index"} | settings), [docs], sync=True), docs)

    archive = docs / "all.zip"
    archive.write_bytes(make_zip({"a.txt": b"One.", "b.txt": b"Two."}))
    (docs / "other.txt").write_text("Another.")
    synced()
    run = planned if dry else synced
    assert run(max_file_bytes=50) == {"other.txt": "unchanged", "all.zip": "failed"}
    archive.unlink()
    archive.symlink_to(tmp_path / "not mounted.zip")
    assert run() == {"other.txt": "unchanged", "all.zip": "failed"}


def test_hostile_archives_have_a_line_each(tmp_path: Path, docs: Path) -> None:
    deep = b"The bottom."
    for number in range(6):
        deep = make_zip({f"{number}.zip" if number else "bottom.txt": deep})
    (docs / "deep.zip").write_bytes(deep)
    many = make_zip([(f"{number}.txt", b"x") for number in range(15)])
    (docs / "many.zip").write_bytes(make_zip([("1.zip", many), ("2.zip", many)]))
    (docs / "odd.zip").write_bytes(make_zip([("a.png", b"\x7fELF\x02" + bytes(50)), ("b.txt", b"Good."), ("b.txt", b"Too.")]))
    with opened(tmp_path, archive_files=20) as pipeline:
        report = pipeline.add([docs])
    failed = reasons(report, docs)
    assert failed["deep.zip!/5.zip!/4.zip!/3.zip"] == "is nested more than 3 archives deep"
    assert failed["many.zip!/2.zip"] == "holds more files than the 3 that may be unpacked"
    assert failed["odd.zip!/a.png"].startswith("is a program")
    assert len(failed) == 3
    assert {"odd.zip!/b.txt", "odd.zip!/b (2).txt"} <= outcome(report, docs).keys()


def test_an_archive_that_holds_itself_ends() -> None:
    # A real one of this kind (a quine) unpacks to itself: here the unpacker gives the same bytes back.
    def unpack(name: str, data: bytes, *, start: int = 0, files: int, size: int) -> Unpacked:
        return Unpacked((Member("again.zip", data),))

    file = Found("/a.zip", Path("/a.zip"), data=b"PK")
    state = Opened()
    (found,) = [one for some in rounds([file], unpack, ArchiveLimits(), 1000, state) for one in some]
    assert (found.source, found.error) == ("/a.zip!/again.zip", "holds itself")


def test_a_message_and_what_is_attached_to_it(pipeline: Pipeline, docs: Path) -> None:
    inner = message("The plan", "We meet on Monday.", plan_txt=b"The plan is secret.")
    (docs / "a.eml").write_bytes(message("Our offer", "See the attachment.", offer_txt=b"It costs 12 euros.", fwd_eml=inner))
    assert outcome(pipeline.add([docs]), docs) == {
        "a.eml": "added",
        "a.eml!/offer.txt": "added",
        "a.eml!/fwd.eml": "added",
        "a.eml!/fwd.eml!/plan.txt": "added",
    }
    source = pipeline.index.find(f"{docs}/a.eml")
    assert source
    removed = pipeline.remove([source.document_id])
    assert [entry.status for entry in removed] == ["removed"] * 4
    assert removed[0].source == f"{docs}/a.eml"
    assert pipeline.index.documents() == []


def test_an_archive_may_be_uploaded(pipeline: Pipeline) -> None:
    def sent(data: bytes) -> LedgerEntry:
        return pipeline.upload("all.zip", data)

    first = sent(make_zip({"a.txt": b"One.", "b.png": b"\x7fELF\x02", "c.txt": b"Three."}))
    assert (first.source, first.document_id, first.status, first.chunks) == ("upload:all.zip", None, "added", 2)
    assert first.reason == "2 of 3 files in it are taken in; b.png: is a program, which can't be read"
    (a, c) = pipeline.index.documents()
    assert (a.source, c.source) == ("upload:all.zip!/a.txt", "upload:all.zip!/c.txt")
    assert pipeline.index.original(a.document_id).read_bytes() == b"One."
    assert sent(make_zip({"a.txt": b"One.", "b.png": b"\x7fELF\x02"})).status == "unchanged"
    assert [info.source for info in pipeline.index.documents()] == [a.source]
    assert sent(b"PK\x05\x06").status == "failed"


def test_a_member_in_quarantine_can_be_released(tmp_path: Path, docs: Path) -> None:
    (docs / "all.zip").write_bytes(make_zip({"a.txt": b"Write to ann.smith@example.com or call her."}))
    with opened(tmp_path, documents_personal="quarantine") as pipeline:
        assert outcome(pipeline.add([docs]), docs) == {"all.zip!/a.txt": "quarantined"}
        (held,) = pipeline.quarantine()
        (docs / "all.zip").unlink()  # the bytes are kept
        kept = pipeline.index.held_file(held)
        data = kept.read_bytes()
        kept.unlink()
        assert pipeline.index.verify() == [f"The file of {held.source}, which is in quarantine, is missing."]
        kept.write_bytes(data)
        (entry,) = pipeline.release([held.document_id])
        assert entry.status == "added"
        assert pipeline.index.original(held.document_id).read_bytes().startswith(b"Write to")
        assert pipeline.index.verify() == []


def test_what_was_dropped_comes_in_after_all_when_it_is_added_again(tmp_path: Path, docs: Path) -> None:
    text = b"Write to ann.smith@example.com or call her."
    (docs / "all.zip").write_bytes(make_zip({"a.txt": text}))
    with opened(tmp_path, documents_personal="quarantine") as pipeline:
        ways: dict[str, Callable[[], object]] = {
            f"{docs}/all.zip!/a.txt": lambda: pipeline.add([docs]),
            "upload:a.txt": lambda: pipeline.upload("a.txt", text),
        }
        for source, add in ways.items():
            add()
            (held,) = pipeline.quarantine()
            assert held.source == source
            pipeline.drop([held.document_id])
            add()
            assert pipeline.quarantine() == []
            (failed,) = pipeline.release([held.document_id])
            assert failed.reason == "is not kept here any more: add it again, then release it"
            add()
            (released,) = pipeline.release([one.document_id for one in pipeline.quarantine()])
            assert (released.source, released.status) == (source, "added")
            pipeline.index.forget_held(pipeline.index.quarantine()[0], None, drop=False)
            pipeline.remove([released.document_id or ""])
        assert pipeline.index.verify() == []


def test_which_files_are_asked() -> None:
    assert all(map(may_hold, ("a.zip", "A.ZIP", "a.tar.gz", "a.tgz", "a.eml", "a.msg", "a.mbox")))
    assert not any(map(may_hold, ("a.txt", "a.docx", "zip", "a.pdf")))
    assert may_hold("archive", b"PK\x03\x04....") and not may_hold("notes", b"words")


def test_limits_are_settings() -> None:
    fields = IngestSettings.model_fields
    limits = ArchiveLimits()
    assert (fields["archive_files"].default, fields["archive_bytes"].default, fields["archive_depth"].default) == (
        dataclasses.astuple(limits)
    )


def test_an_archive_that_is_read_waits_no_longer(pipeline: Pipeline, docs: Path) -> None:
    (docs / "all.zip").write_bytes(make_zip({"a.txt": b"One.", "b.exe": b"\x7fELF\x02"}))
    pipeline.add([docs])
    states = {one.source.removeprefix(f"{docs}/"): one.state for one in pipeline.index.standings()}
    assert states == {"all.zip!/a.txt": "done", "all.zip!/b.exe": "failed"}
    assert outcome(pipeline.retry(), docs) == {"all.zip!/a.txt": "unchanged", "all.zip!/b.exe": "failed"}
    (docs / "all.zip").write_bytes(make_zip({"a.txt": b"One."}))
    assert outcome(pipeline.retry(), docs) == {"all.zip!/a.txt": "unchanged", "all.zip!/b.exe": "removed"}
    assert [one.source for one in pipeline.index.standings()] == [f"{docs}/all.zip!/a.txt"]


def test_a_retry_calls_nothing_gone_whose_archive_cannot_be_read(pipeline: Pipeline, docs: Path) -> None:
    archive = docs / "all.zip"
    data = make_zip({"a.txt": b"One.", "b.exe": b"\x7fELF\x02"})
    archive.write_bytes(data)
    pipeline.add([docs])
    archive.write_bytes(data[:-40])
    assert outcome(pipeline.retry(), docs) == {"all.zip": "failed"}
    failed = [one.source.removeprefix(f"{docs}/") for one in pipeline.index.standings("failed")]
    assert failed == ["all.zip", "all.zip!/b.exe"]
    archive.write_bytes(data)
    assert outcome(pipeline.retry(), docs) == {"all.zip!/a.txt": "unchanged", "all.zip!/b.exe": "failed"}
    assert [source.removeprefix(f"{docs}/") for source, _ in look_over(pipeline.index).failures] == ["all.zip!/b.exe"]


def test_an_upload_is_called_by_its_own_name(pipeline: Pipeline) -> None:
    pipeline.upload("notes.txt", b"Dogs may come.")
    pipeline.upload("cats.txt.gz", gzip.compress(b"Cats stay at home."))
    documents = [(info.source, info.title) for info in pipeline.index.documents()]
    assert documents == [("upload:cats.txt.gz!/cats.txt", "cats"), ("upload:notes.txt", "notes")]


def test_a_run_over_an_archive_is_over_what_is_in_it(pipeline: Pipeline, docs: Path) -> None:
    (docs / "all.zip").write_bytes(make_zip({"a.txt": b"One.", "b.txt": b"Two.", "c.exe": b"\x7fELF\x02"}))
    (docs / "other.txt").write_text("Another file.")
    seen: list[tuple[int, int]] = []
    with Follower(pipeline.index.path, STORE) as follower:

        def watch(_: Progress) -> None:
            look = follower.look(0.0)
            assert look.run
            seen.append((look.done, look.run.files))

        pipeline.add([docs], watch)
        look = follower.look(1.0)
    assert look.run and (look.done, look.run.files) == (4, 4)
    assert all(done <= files for done, files in seen)


def test_a_dry_run_looks_into_archives(docs: Path, tmp_path: Path) -> None:
    settings = IngestSettings(index=tmp_path / "index", embedder="hash")
    archive = docs / "all!" / "all.zip"  # a folder's name may end like the mark
    archive.parent.mkdir()
    archive.write_bytes(make_zip({"a.txt": b"One.", "b.txt": b"Two."}))
    assert set(outcome(plan(settings, [docs]), docs).values()) == {"added"}
    with opened(tmp_path) as pipeline:
        pipeline.sync(docs)
    archive.write_bytes(make_zip({"a.txt": b"One.", "c.exe": b"\x7fELF\x02"}))
    for sync in (False, True):
        assert outcome(plan(settings, [docs], sync=sync), docs) == {
            "all!/all.zip!/a.txt": "unchanged",
            "all!/all.zip!/b.txt": "removed",
            "all!/all.zip!/c.exe": "failed",
        }
    (docs / "other.txt").write_text("Another file.")
    archive.unlink()
    assert outcome(plan(settings, [docs]), docs) == {"other.txt": "added"}
    assert outcome(plan(settings, [docs], sync=True), docs) == {
        "other.txt": "added",
        "all!/all.zip!/a.txt": "removed",
        "all!/all.zip!/b.txt": "removed",
    }
