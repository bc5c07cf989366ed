"""Where every document stands: in a run, after a run was stopped at any point, and what a retry and a dry run make of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.build import open_pipeline
from ingest.curate.curator import compared
from ingest.curate.sign import sign
from ingest.errors import SourceError
from ingest.index import STORE, Index
from ingest.pipeline import Pipeline, _Run
from ingest.plan import plan
from ingest.settings import IngestSettings
from ingest.store import Store
from ingest.types import LedgerEntry, Parsed, Progress, Report
from tests.ingest.support import CountingEmbedder, as_first_schema, as_second_schema, assert_whole, names

SETTINGS = IngestSettings(embedder="hash", max_file_bytes=5_000_000)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.txt").write_text(f"The note {name} is about {name}.\n")
    (folder / "empty.txt").touch()
    return folder


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with open_pipeline(SETTINGS, path=tmp_path / "index", embedder=CountingEmbedder()) as pipeline:
        yield pipeline


def states(pipeline: Pipeline) -> dict[str, str]:
    return {Path(one.source).name: one.state for one in pipeline.index.standings()}


def outcomes(report: Report) -> dict[str, str]:
    return {Path(entry.source).name: entry.status for entry in report.documents}


# --- states


def test_every_document_has_its_state_and_a_failure_its_reason(pipeline: Pipeline, docs: Path) -> None:
    pipeline.add([docs])
    assert states(pipeline) == {"a.txt": "done", "b.txt": "done", "c.txt": "done", "empty.txt": "failed"}
    (failed,) = pipeline.index.standings("failed")
    assert failed.reason == "is empty"
    assert pipeline.index.status()["states"] == {"done": 3, "failed": 1}


def test_states_change_while_a_run_goes_on(pipeline: Pipeline, docs: Path) -> None:
    (docs / "empty.txt").unlink()
    parser, seen = pipeline._prepare.parse, []

    def parse(path: Path | None, name: str, data: bytes | None = None) -> Parsed:
        seen.append(states(pipeline))
        return parser(path, name, data)

    pipeline._prepare.parse = parse
    pipeline.add([docs], lambda progress: seen.append(states(pipeline)))
    assert seen[0] == {"a.txt": "parsing", "b.txt": "queued", "c.txt": "queued"}
    assert {"a.txt": "embedding", "b.txt": "embedding", "c.txt": "embedding"} in seen
    assert set(seen[-1].values()) == {"done"}


@pytest.mark.parametrize("at", ["parsing", "embedding", "written"])
def test_what_was_not_done_when_a_run_was_stopped_waits_and_a_retry_goes_on(pipeline: Pipeline, docs: Path, at: str) -> None:
    (docs / "empty.txt").unlink()
    parser = pipeline._prepare.parse

    def parse(path: Path | None, name: str, data: bytes | None = None) -> Parsed:
        if at == "parsing" and name == "b.txt":
            raise KeyboardInterrupt
        return parser(path, name, data)

    def watch(progress: Progress) -> None:
        if progress.entry and at == "written":
            raise KeyboardInterrupt
        if not progress.entry and at == "embedding":
            raise KeyboardInterrupt

    pipeline._prepare.parse = parse
    with pytest.raises(KeyboardInterrupt):
        pipeline.add([docs], watch)
    pipeline._prepare.parse = parser
    done = {name: state for name, state in states(pipeline).items() if state == "done"}
    assert set(states(pipeline).values()) <= {"done", "queued"}
    assert sorted(done) == names(pipeline.index) == (["a.txt"] if at == "written" else [])
    report = pipeline.retry()
    assert outcomes(report) == {name: "added" for name in ("a.txt", "b.txt", "c.txt") if name not in done}
    assert set(states(pipeline).values()) == {"done"}
    assert_whole(pipeline.index)


def test_a_retry_looks_at_what_failed_and_at_nothing_else(pipeline: Pipeline, docs: Path) -> None:
    pipeline.add([docs])
    (docs / "a.txt").write_text("This has changed since.")
    assert outcomes(pipeline.retry()) == {"empty.txt": "failed"}
    (docs / "empty.txt").write_text("No longer empty.")
    assert outcomes(pipeline.retry()) == {"empty.txt": "added"}
    assert pipeline.retry().documents == ()


def test_a_retry_of_what_is_gone(pipeline: Pipeline, docs: Path) -> None:
    pipeline.add([docs])
    (docs / "a.txt").write_text("")
    pipeline.add([docs])
    (docs / "a.txt").unlink()
    (docs / "empty.txt").unlink()
    report = pipeline.retry()
    assert outcomes(report) == {"a.txt": "unchanged", "empty.txt": "removed"}
    assert states(pipeline) == {"a.txt": "done", "b.txt": "done", "c.txt": "done"}
    assert pipeline.retry().documents == ()


def test_an_upload_that_failed_can_only_be_sent_again(pipeline: Pipeline) -> None:
    pipeline.upload("empty.txt", b"")
    report = pipeline.retry()
    assert report.documents == ()
    assert report.notes[-1].startswith("1 uploaded files that failed are not kept here")


def test_sync_forgets_what_failed_and_is_gone(pipeline: Pipeline, docs: Path) -> None:
    pipeline.sync(docs)
    (docs / "empty.txt").unlink()
    (docs / "a.txt").unlink()
    pipeline.sync(docs)
    assert states(pipeline) == {"b.txt": "done", "c.txt": "done"}


@pytest.mark.parametrize("names_of_bytes", [b"caf\xe9.txt", "café.txt".encode(), b"back\\x41slash.txt"])
def test_a_file_of_any_name_is_retried(pipeline: Pipeline, tmp_path: Path, names_of_bytes: bytes) -> None:
    import os

    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    path = os.path.join(folder, names_of_bytes)
    with open(path, "wb"):
        pass
    assert pipeline.add([Path(os.fsdecode(folder))]).count("failed") == 1
    with open(path, "wb") as file:
        file.write(b"It has words now.")
    assert [entry.status for entry in pipeline.retry().documents] == ["added"]


# --- stores of older schemas


def test_an_older_store_is_read_as_it_is_and_brought_up_to_date_by_a_writer(tmp_path: Path, docs: Path) -> None:
    path = tmp_path / "index"
    with open_pipeline(SETTINGS, path=path) as made:
        made.add([docs])
    as_second_schema(path / STORE)
    with Index.open(path) as reader:
        assert reader.standings() == [] and reader.status()["states"] == {}
        with open_pipeline(SETTINGS, path=path) as writer:
            assert states(writer) == {"a.txt": "done", "b.txt": "done", "c.txt": "done", "empty.txt": "failed"}
            assert outcomes(writer.retry()) == {"empty.txt": "failed"}
            assert_whole(writer.index)
        assert reader.version and len(reader.standings()) == 4


def test_the_first_schema_comes_all_the_way(tmp_path: Path, docs: Path) -> None:
    path = tmp_path / "index"
    with open_pipeline(SETTINGS, path=path) as made:
        made.add([docs])
    as_first_schema(path / STORE)
    with open_pipeline(SETTINGS, path=path) as writer:
        assert states(writer)["empty.txt"] == "failed"
        assert_whole(writer.index)


def test_embedding_anew_keeps_states_and_runs(tmp_path: Path, docs: Path) -> None:
    from ingest.build import reembed

    settings = SETTINGS.model_copy(update={"index": tmp_path / "index"})
    with open_pipeline(settings) as made:
        made.add([docs])
        before = made.index.standings()
    reembed(settings, "hash")
    with Index.open(settings.index) as index:
        assert index.standings() == before


# --- many together, and one that is huge


class SlowEmbedder(CountingEmbedder):
    """Remembers how many texts it was given at once, and by which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.threads: set[str] = set()

    def embed_passages(self, texts, spans):  # type: ignore[no-untyped-def]
        self.calls.append(len(texts))
        self.threads.add(threading.current_thread().name)
        return super().embed_passages(texts, spans)


def test_small_documents_are_embedded_together_by_a_thread_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(100):
        (folder / f"{n:03}.txt").write_text(f"Note {n} is here.")
    with open_pipeline(SETTINGS, path=tmp_path / "index", embedder=SlowEmbedder()) as pipeline:
        report = pipeline.add([folder])
        embedder = pipeline.index.embedder
        assert isinstance(embedder, SlowEmbedder)
        assert len(embedder.calls) <= 3 and sum(embedder.calls) == 100
        assert threading.current_thread().name not in embedder.threads
        assert [Path(e.source).name for e in report.documents] == [f"{n:03}.txt" for n in range(100)]
        assert pipeline.index.ledger()[::-1] == list(report.documents)


def test_an_embedder_with_nothing_to_do_begins_with_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.feed._BATCH_TOKENS", 900)  # more than there are
    monkeypatch.setattr("ingest.feed._PATIENCE", 600.0)
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(100):
        (folder / f"{n:03}.txt").write_text(f"Note {n} is here.")
    with open_pipeline(SETTINGS, path=tmp_path / "index", embedder=SlowEmbedder()) as pipeline:
        pipeline.add([folder])
        embedder = pipeline.index.embedder
        assert isinstance(embedder, SlowEmbedder)
        assert 10 < embedder.calls[0] < 50 and sum(embedder.calls) == 100


def test_a_large_index_is_published_less_often(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[int] = []
    monkeypatch.setattr(pipeline.index, "publish", lambda: published.append(1))
    run = _Run(0, None)
    run.published -= 100.0
    run.publishing = 10.0
    pipeline._publish_now_and_then(run)
    assert published == []
    run.publishing = 4.0
    pipeline._publish_now_and_then(run)
    pipeline._publish_now_and_then(run)
    assert published == [1] and run.publishing < 4.0


def test_a_huge_document_is_embedded_in_parts_and_stored_whole(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    huge = "\n\n".join(f"Paragraph {n} of the long report says {n * 7}. " * 12 for n in range(4_000))
    (folder / "huge.txt").write_text(huge)
    (folder / "small.txt").write_text("A note beside it.")
    with open_pipeline(SETTINGS, path=tmp_path / "index", embedder=SlowEmbedder()) as pipeline:
        seen: list[Progress] = []
        report = pipeline.add([folder], seen.append)
        embedder = pipeline.index.embedder
        assert isinstance(embedder, SlowEmbedder)
        assert outcomes(report) == {"huge.txt": "added", "small.txt": "added"}
        assert report.documents[0].chunks == sum(embedder.calls) - 1
        assert len(embedder.calls) > 5 and max(embedder.calls) < report.documents[0].chunks / 4
        assert_whole(pipeline.index)
        hits = pipeline.index.search("paragraph 3999 of the long report", 1, "keyword")
        assert "27993" in hits[0].chunk.text
        chunks = pipeline.index.chunks_of(report.documents[0].document_id or "")
        assert [chunk.start for chunk in chunks] == sorted(chunk.start for chunk in chunks)
        # Each has its own facts, those that were put aside as well as the last ones.
        with sqlite3.connect(tmp_path / "index" / STORE) as db:
            told = dict(db.execute("SELECT chunk_id, signature FROM twins").fetchall())
        db.close()
        some = chunks[:: len(chunks) // 20]
        signatures, _ = sign([compared(chunk, huge) for chunk in some])
        assert [told[chunk.id] for chunk in some] == [signature.minhash for signature in signatures]
        # The same again, shorter: what was put aside of the former is not there any more.
        (folder / "huge.txt").write_text(huge[: len(huge) * 3 // 4])
        again = pipeline.add([folder])
        assert outcomes(again) == {"huge.txt": "replaced", "small.txt": "unchanged"}
        assert_whole(pipeline.index)


def test_an_embedder_that_fails_ends_the_run_and_loses_nothing(tmp_path: Path, docs: Path) -> None:
    class Failing(CountingEmbedder):
        def embed_passages(self, texts, spans):  # type: ignore[no-untyped-def]
            if any("note b" in text for text in texts):
                raise TimeoutError("the device is gone")
            return super().embed_passages(texts, spans)

    with open_pipeline(SETTINGS, path=tmp_path / "index", embedder=Failing()) as pipeline:
        with pytest.raises(TimeoutError, match="the device is gone"):
            pipeline.add([docs])
        assert {one.state for one in pipeline.index.standings()} == {"queued"}
        (docs / "b.txt").write_text("Another one.")
        assert outcomes(pipeline.retry())["a.txt"] == "added"


# --- what would change


def dry(index: Path, *paths: Path, sync: bool = False) -> dict[str, str]:
    settings = SETTINGS.model_copy(update={"index": index})
    report = plan(settings, paths, sync=sync)
    return {Path(e.source).name: f"{e.status}: {e.reason}" if e.reason else e.status for e in report.documents}


def snapshot(folder: Path) -> dict[str, bytes]:
    """All files but those that SQLite makes to read."""
    kept = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path): path.read_bytes() for path in kept}


def test_a_dry_run_says_what_would_become_of_each_file_and_writes_nothing(tmp_path: Path, docs: Path) -> None:
    index = tmp_path / "index"
    (docs / "picture.txt").write_bytes(b"\x7fELF\x02" + bytes(100))
    (docs / "large.txt").write_text("x" * 5_000_001)
    reasons = {
        "empty.txt": "failed: is empty",
        "large.txt": "failed: is larger (5,000,001 bytes) than the limit (5,000,000; RAG_BOT_MAX_FILE_BYTES)",
        "picture.txt": "failed: is a program, which can't be read",
    }
    assert dry(index, docs) == {"a.txt": "added", "b.txt": "added", "c.txt": "added"} | reasons
    assert not index.exists()
    with open_pipeline(SETTINGS, path=index) as pipeline:
        pipeline.add([docs])
    (docs / "a.txt").write_text("Another text.")
    (docs / "b.txt").unlink()
    (docs / "d.txt").write_text("A new one.")
    before = snapshot(index)
    changed = {"a.txt": "replaced", "c.txt": "unchanged", "d.txt": "added"} | reasons
    assert dry(index, docs) == changed
    assert dry(index, docs, sync=True) == changed | {"b.txt": "removed"}
    assert snapshot(index) == before
    with open_pipeline(SETTINGS, path=index) as pipeline:
        real = pipeline.sync(docs)
    assert {Path(e.source).name: e.status for e in real.documents} == {
        name: outcome.partition(":")[0] for name, outcome in (changed | {"b.txt": "removed"}).items()
    }


def test_a_dry_run_refuses_what_a_run_refuses(tmp_path: Path, docs: Path) -> None:
    index = tmp_path / "index"
    with open_pipeline(SETTINGS, path=index) as pipeline:
        pipeline.add([docs])
    for path in docs.iterdir():
        path.unlink()
    with pytest.raises(SourceError, match="nothing was removed"):
        dry(index, docs, sync=True)
    with pytest.raises(SourceError, match="folder of the index itself"):
        dry(index, index)


# --- the store itself


def test_what_a_run_that_died_has_begun_waits_for_the_next(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite3", write=True)
    store.begin_run("add", ["/a", "/b", "/c"])
    store.note("parsing", ("/a", 0, 0))
    store.note("embedding", ("/b", 5, 9))
    store.record([LedgerEntry("/c", None, "failed", "is empty")])
    store.close()
    store = Store(tmp_path / "store.sqlite3", write=True)
    died = store.last_run()
    assert died and (died.kind, died.files, died.ended, died.outcome) == ("add", 3, None, None)
    assert [(one.source, one.state, one.chunks_done) for one in store.standings("embedding")] == [("/b", "embedding", 5)]
    store.begin_run("retry", ["/b"])
    assert {one.source: one.state for one in store.standings()} == {"/a": "queued", "/b": "queued", "/c": "failed"}
    store.end_run("done")
    over = store.last_run()
    assert over and over.ended and over.outcome == "done"
    with sqlite3.connect(tmp_path / "store.sqlite3") as db:
        assert db.execute("SELECT outcome FROM runs WHERE id = ?", (died.id,)).fetchone() == ("stopped",)
    db.close()
    store.close()
