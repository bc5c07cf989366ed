"""Labels in an index: kept with the document, replaced with it, brought along, and read of files that came in before."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.build import open_pipeline, reembed
from ingest.index import STORE, Index
from ingest.pipeline import Pipeline
from ingest.settings import IngestSettings
from ingest.types import Report
from tests.ingest.support import CountingEmbedder, as_first_schema, as_fourth_schema, assert_whole

SETTINGS = IngestSettings(embedder="hash")
PAY = "---\nlabels: [HR, Board]\n---\n# Pay\n\nSalaries are paid monthly.\n"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "pay.md").write_text(PAY)
    (folder / "pets.txt").write_text("Dogs may come to the office.\n")
    (folder / "rates.csv").write_text("city,rate\nOslo,140\n")
    return folder


@pytest.fixture
def pipeline(tmp_path: Path, docs: Path) -> Iterator[Pipeline]:
    with open_pipeline(SETTINGS, path=tmp_path / "index", embedder=CountingEmbedder()) as pipeline:
        pipeline.add([docs])
        yield pipeline


@pytest.fixture
def before(tmp_path: Path, docs: Path) -> Path:
    """An index that was filled before files were asked for their labels."""
    path = tmp_path / "before"
    with open_pipeline(SETTINGS, path=path) as made:
        made.add([docs])
    as_fourth_schema(path / STORE)
    return path


def labels(index: Index) -> dict[str, tuple[str, ...]]:
    return {Path(info.source).name: info.labels for info in index.documents()}


def outcomes(report: Report) -> dict[str, str]:
    return {Path(entry.source).name: entry.status for entry in report.documents}


def passages(pipeline: Pipeline) -> int:
    embedder = pipeline.index.embedder
    assert isinstance(embedder, CountingEmbedder)
    return embedder.passages


def test_they_are_kept_with_the_document_and_shown_wherever_it_is(pipeline: Pipeline, docs: Path) -> None:
    assert labels(pipeline.index) == {"pay.md": ("board", "hr"), "pets.txt": (), "rates.csv": ()}
    info = pipeline.index.find(str(docs / "pay.md"))
    assert info and pipeline.index.document(info.document_id) == info
    assert pipeline.index.search("salaries", 1)[0].document.labels == ("board", "hr")
    assert pipeline.index.parsed(info.document_id).labels == info.labels
    assert "Board" not in pipeline.index.text(info.document_id)


def test_another_label_makes_another_version_of_the_document(pipeline: Pipeline, docs: Path) -> None:
    (docs / "pay.md").write_text(PAY.replace(", Board", ""))
    assert outcomes(pipeline.add([docs])) == {"pay.md": "replaced", "pets.txt": "unchanged", "rates.csv": "unchanged"}
    assert labels(pipeline.index)["pay.md"] == ("hr",)
    (docs / "pay.md").write_text(PAY.partition("---\n#")[2])
    pipeline.sync(docs)
    assert labels(pipeline.index)["pay.md"] == ()


def test_labels_that_can_not_be_read_leave_the_earlier_version_and_say_so(pipeline: Pipeline, docs: Path) -> None:
    (docs / "pay.md").write_text(PAY.replace("]", ""))
    report = pipeline.add([docs])
    (failed,) = (entry for entry in report.documents if entry.status == "failed")
    assert "labels that can't be read" in str(failed.reason)
    assert labels(pipeline.index)["pay.md"] == ("board", "hr")


def test_they_come_along_with_what_is_masked_released_and_uploaded(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"documents_personal": "quarantine", "documents_secrets": "mask"})
    held = PAY + "\nWrite to ada.lovelace@example.org.\n"
    masked = PAY + "\nThe key is AKIAIOSFODNN7EXAMPLQ and password = 'hunter2-Long-Enough-9'.\n"
    with open_pipeline(settings, path=tmp_path / "index") as pipeline:
        assert pipeline.upload("masked.md", masked.encode()).status == "added"
        assert pipeline.upload("held.md", held.encode()).status == "quarantined"
        pipeline.release([one.document_id for one in pipeline.quarantine()])
        found = {info.source: (info.labels, info.masked) for info in pipeline.index.documents()}
    assert found == {"upload:held.md": (("board", "hr"), False), "upload:masked.md": (("board", "hr"), True)}


def test_they_come_along_when_all_is_embedded_anew(tmp_path: Path, docs: Path) -> None:
    settings = SETTINGS.model_copy(update={"index": tmp_path / "index"})
    with open_pipeline(settings) as made:
        made.add([docs])
    reembed(settings, "hash")
    with Index.open(tmp_path / "index") as index:
        assert labels(index)["pay.md"] == ("board", "hr")
        assert index.without_labels() == set()


# --- stores from before


def test_what_came_in_before_has_none_until_it_is_added_again(before: Path, docs: Path) -> None:
    with Index.open(before) as reader:  # as it is, for one that only reads
        assert set(labels(reader).values()) == {()}
        assert len(reader.without_labels()) == 3
        version = reader.version
        with open_pipeline(SETTINGS, path=before, embedder=CountingEmbedder()) as writer:
            unread = {writer.index.document(one).media_type for one in writer.index.without_labels()}
            assert unread == {"text/markdown", "text/plain"}
            assert set(outcomes(writer.add([docs])).values()) == {"unchanged"}
            assert passages(writer) == 0
            assert reader.version > version  # whoever has chosen what may be read chooses again
            assert labels(reader)["pay.md"] == ("board", "hr")
            assert reader.without_labels() == set()
            assert_whole(writer.index)
    with open_pipeline(SETTINGS, path=before) as writer:
        known = writer.index.version
        writer.add([docs])
        assert writer.index.version == known


def test_a_file_whose_labels_can_not_be_read_now_has_failed(before: Path, docs: Path) -> None:
    (docs / "pay.md").write_text(PAY.replace("]", ""))
    sha256 = hashlib.sha256((docs / "pay.md").read_bytes()).hexdigest()
    with sqlite3.connect(before / STORE) as db:  # an older version of this program took no offence at it
        db.execute("UPDATE documents SET sha256 = ? WHERE source = ?", (sha256, str(docs / "pay.md")))
    db.close()
    with open_pipeline(SETTINGS, path=before) as writer:
        assert outcomes(writer.add([docs])) == {"pay.md": "failed", "pets.txt": "unchanged", "rates.csv": "unchanged"}
        assert [writer.index.document(one).title for one in writer.index.without_labels()] == ["Pay"]


def test_the_first_schema_comes_all_the_way_and_embedding_anew_forgets_nothing(before: Path, docs: Path) -> None:
    with Index.open(before, write=True):
        pass
    as_first_schema(before / STORE)
    with Index.open(before, write=True) as writer:
        unread = writer.without_labels()
        assert len(unread) == 2
    settings = SETTINGS.model_copy(update={"index": before})
    reembed(settings, "hash")
    with open_pipeline(settings) as again:
        assert again.index.without_labels() == unread
        again.add([docs])
        assert labels(again.index)["pay.md"] == ("board", "hr")


def test_the_command_line_shows_them(tmp_path: Path, docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ingest.cli import main

    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            main([*arguments, "--index", str(tmp_path / "index")])
        return capsys.readouterr().out

    with open_pipeline(SETTINGS, path=tmp_path / "index") as made:
        made.add([docs])
    listed = {Path(one["source"]).name: one["labels"] for one in json.loads(said("list", "--json"))}
    assert listed == {"pay.md": ["board", "hr"], "pets.txt": [], "rates.csv": []}
    assert json.loads(said("show", str(docs / "pay.md"), "--json"))["labels"] == ["board", "hr"]
    assert "board, hr" in said("show", str(docs / "pay.md"))
