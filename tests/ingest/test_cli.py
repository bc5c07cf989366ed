"""The command `ingest`, as a person and as a program use it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ingest.cli import main
from tests.commands import Outcome, outcome_of

COMMAND = [sys.executable, "-m", "ingest.cli"]


Ingest = Callable[..., Outcome]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with two short documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "leave.md").write_text("# Leave\n\nEveryone has thirty days of leave a year.\n", encoding="utf-8")
    (folder / "pets.txt").write_text("Dogs may come to the office on Fridays.\n", encoding="utf-8")
    return folder


@pytest.fixture
def ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ingest:
    """Runs `ingest …` in a folder of its own with the hash embedder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_BOT_EMBEDDER", "hash")
    monkeypatch.setenv("RAG_BOT_INDEX", str(tmp_path / "index"))

    def run(*arguments: object) -> Outcome:
        return outcome_of(main, [str(argument) for argument in arguments], capsys)

    return run


def environment(tmp_path: Path) -> dict[str, str]:
    root = Path(__file__).parents[2]
    return os.environ | {
        "PYTHONPATH": str(root),
        "RAG_BOT_EMBEDDER": "hash",
        "RAG_BOT_INDEX": str(tmp_path / "index"),
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }


# --- adding


def test_add_tells_of_every_file(ingest: Ingest, docs: Path) -> None:
    added = ingest("add", docs, "--json")
    assert added.code == 0
    report = added.json
    counts = {name: report[name] for name in ("added", "unchanged", "replaced", "removed", "failed", "quarantined")}
    assert counts == {"added": 2, "unchanged": 0, "replaced": 0, "removed": 0, "failed": 0, "quarantined": 0}
    assert report["chunks"] == sum(document["chunks"] for document in report["documents"]) >= 2
    assert report["seconds"] >= 0
    for document in report["documents"]:
        assert set(document) >= {"source", "document_id", "status", "reason", "chunks"}
        assert (document["status"], document["reason"]) == ("added", None)


def test_adding_again_changes_nothing_but_what_changed(ingest: Ingest, docs: Path) -> None:
    ingest("add", docs)
    (docs / "pets.txt").write_text("No dogs any more.\n", encoding="utf-8")
    again = ingest("add", docs, "--json").json
    assert (again["unchanged"], again["replaced"], again["added"]) == (1, 1, 0)


def test_progress_and_summary_for_a_person(ingest: Ingest, docs: Path) -> None:
    added = ingest("add", docs)
    assert added.out.startswith("2 files: 2 added; ")
    assert [line.split()[0] for line in added.err.splitlines()] == ["added", "added"]
    assert ingest("add", docs).err == ""


def test_a_bad_file_is_named_with_its_reason_and_the_rest_goes_on(ingest: Ingest, docs: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    added = ingest("add", docs)
    assert added.code == 1
    assert "2 added, 1 failed" in added.out
    last = added.out.splitlines()[-1]
    assert last.startswith("failed") and "broken.pdf  " in last
    assert "Traceback" not in added.err


def test_sync_removes_what_is_gone(ingest: Ingest, docs: Path) -> None:
    ingest("sync", docs)
    (docs / "pets.txt").unlink()
    synced = ingest("sync", docs, "--json")
    assert synced.code == 0
    assert (synced.json["removed"], synced.json["unchanged"]) == (1, 1)
    assert [document["title"] for document in ingest("list", "--json").json] == ["Leave"]


def test_a_path_that_is_not_there(ingest: Ingest, docs: Path) -> None:
    missing = ingest("add", docs / "nowhere.md")
    assert missing.code == 1
    assert "nowhere.md" in missing.out + missing.err
    assert "Traceback" not in missing.err


def test_ctrl_c_keeps_what_was_added(tmp_path: Path, ingest: Ingest) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    # Their lines are more than a pipe holds: the run can't end before its output is read.
    for n in range(2000):
        (folder / f"{n:04}.txt").write_text(f"Note number {n}.", encoding="utf-8")
    # What a shell starts in the background ignores Ctrl-C, and so would all below it.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from ingest.cli import main; main()"
    command = [sys.executable, "-c", heeding, "add", str(folder)]
    run = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stderr and run.stderr.readline().startswith("added")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Stopped; what was added stays." in err
    assert "Traceback" not in err and out == ""
    kept = ingest("list", "--json").json
    assert 1 <= len(kept) < 2000
    assert ingest("verify").code == 0


def test_a_dry_run_for_people_and_programs(ingest: Ingest, docs: Path, tmp_path: Path) -> None:
    (docs / "empty.txt").touch()
    tried = ingest("add", docs, "--dry-run")
    assert tried.code == 1
    lines = tried.out.splitlines()
    assert [line.split()[0] for line in lines] == ["added", "added", "Dry", "failed"]
    assert "Dry run, nothing was changed. 3 files: 2 added, 1 failed." in lines
    assert not (tmp_path / "index").exists()
    (docs / "empty.txt").unlink()
    ingest("add", docs)
    (docs / "pets.txt").unlink()
    (docs / "leave.md").write_text("# Leave\n\nForty days.\n", encoding="utf-8")
    tried = ingest("sync", docs, "--dry-run", "--json")
    assert (tried.code, tried.json["dry_run"], tried.json["replaced"], tried.json["removed"]) == (0, True, 1, 1)
    assert len(ingest("list", "--json").json) == 2


def test_retry_takes_in_what_failed(ingest: Ingest, docs: Path) -> None:
    (docs / "empty.txt").touch()
    assert ingest("add", docs).code == 1
    assert ingest("retry").code == 1
    status = ingest("status")
    assert "2 done, 1 failed" in status.out and "empty.txt  is empty" in status.out
    assert ingest("status", "--json").json["states"] == {"done": 2, "failed": 1}
    (docs / "empty.txt").write_text("No longer.", encoding="utf-8")
    retried = ingest("retry", "--json")
    assert (retried.code, retried.json["added"], len(retried.json["documents"])) == (0, 1, 1)
    assert ingest("retry").out.startswith("0 files: nothing to do")


def test_retry_and_follow_without_an_index(ingest: Ingest, tmp_path: Path) -> None:
    for arguments in (["retry"], ["status", "--follow"]):
        outcome = ingest(*arguments)
        assert outcome.code == 1 and "There is no index" in outcome.err
    assert not (tmp_path / "index").exists()


def test_following_a_run_of_another_process(tmp_path: Path, docs: Path, ingest: Ingest) -> None:
    ingest("add", docs / "pets.txt")
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "0.txt").touch()
    for n in range(1, 1500):
        (folder / f"{n:04}.txt").write_text(f"Note number {n} of the many that there are.", encoding="utf-8")
    run = subprocess.Popen(
        [*COMMAND, "add", str(folder)], env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert run.stderr and run.stderr.readline().startswith(b"failed")  # it has begun
    run.send_signal(signal.SIGSTOP)
    follow = subprocess.Popen([*COMMAND, "status", "--follow"], env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
    assert follow.stdout
    first = follow.stdout.readline()
    assert re.match(r"\d\d:\d\d:\d\d  [\d,]+ of 1,500 files", first), first
    run.send_signal(signal.SIGCONT)
    run.communicate(timeout=120)
    rest, _ = follow.communicate(timeout=60)
    assert "The run over 1,500 files" in rest.splitlines()[-1]
    assert "is over: 1,499 done, 1 failed." in rest.splitlines()[-1]
    looks = ingest("status", "--follow", "--json")
    assert (looks.code, looks.json["live"], looks.json["run"]["outcome"]) == (0, False, "done")


def test_following_names_a_file_that_takes_long_and_tells_of_failures(tmp_path: Path, ingest: Ingest, docs: Path) -> None:
    from ingest.lock import WriteLock
    from ingest.store import Store
    from ingest.types import LedgerEntry

    ingest("add", docs)
    index = tmp_path / "index"
    store = Store(index / "store.sqlite3", write=True)
    with WriteLock(index):
        store.begin_run("add", ["/docs/slow.pdf", "/docs/bad.pdf", "/docs/next.pdf"])
        store.note("parsing", ("/docs/slow.pdf", 0, 0))
        store._db.execute("UPDATE states SET at = '2026-01-01T00:00:00+00:00' WHERE source = '/docs/slow.pdf'")
        follow = subprocess.Popen(
            [*COMMAND, "status", "--follow"], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
        )
        assert follow.stdout
        assert re.search(r"0 of 3 files; parsing slow\.pdf for [\d,]+ s", follow.stdout.readline())
        store.record([LedgerEntry("/docs/bad.pdf", None, "failed", "needs a password")])
        assert re.match(r"failed +/docs/bad.pdf  needs a password", follow.stdout.readline())
    rest, _ = follow.communicate(timeout=60)
    assert "was stopped; `ingest retry` goes on: 1 failed, 1 parsing, 1 queued." in rest
    assert follow.returncode == 1
    store.close()


# --- looking


def test_list_for_programs_and_for_people(ingest: Ingest, docs: Path) -> None:
    ingest("add", docs)
    listed = ingest("list", "--json").json
    fields = {"document_id", "source", "title", "media_type", "chunks", "characters", "sha256", "added_at"}
    assert all(set(document) >= fields for document in listed)
    lines = [line.split("\t") for line in ingest("list").out.splitlines()]
    assert [(line[0], line[1]) for line in lines] == [(document["document_id"], document["source"]) for document in listed]


def test_an_option_wins_over_the_environment(ingest: Ingest, docs: Path, tmp_path: Path) -> None:
    ingest("add", docs, "--index", tmp_path / "other")
    assert len(ingest("list", "--json", "--index", tmp_path / "other").json) == 2
    assert ingest("list").code == 1


def test_show_takes_an_id_its_beginning_or_a_path(ingest: Ingest, docs: Path) -> None:
    ingest("add", docs)
    leave = next(document for document in ingest("list", "--json").json if document["title"] == "Leave")
    for name in (leave["document_id"], leave["document_id"][:8], leave["source"], docs / "leave.md"):
        shown = ingest("show", name)
        assert shown.code == 0
        assert leave["document_id"] in shown.out and "thirty days" in shown.out
    assert ingest("show", leave["document_id"], "--json").json == leave | {"findings": []}
    with_text = ingest("show", leave["document_id"], "--json", "--text").json
    assert len(with_text["text"]) == leave["characters"]
    assert ingest("show", leave["document_id"], "--text").out == with_text["text"] + "\n"


def test_show_of_what_is_not_there_says_what_to_do(ingest: Ingest, docs: Path) -> None:
    ingest("add", docs)
    shown = ingest("show", "0000nothing")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("Error: There is no document '0000nothing'")
    assert "ingest list" in shown.err


def test_search_in_one_language(ingest: Ingest, docs: Path) -> None:
    (docs / "hunde.txt").write_text("Hunde dürfen freitags ins Büro kommen, wenn sich niemand vor ihnen fürchtet.")
    ingest("add", docs)
    for language, expected in (("de", {"hunde.txt"}), ("fr", set())):
        hits = ingest("search", "dogs office Hunde", "--language", language, "--json").json
        assert {Path(hit["source"]).name for hit in hits} == expected


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
def test_search_gives_exact_places(ingest: Ingest, docs: Path, mode: str) -> None:
    ingest("add", docs)
    hits = ingest("search", "dogs office Fridays", "-k", 1, "--mode", mode, "--json").json
    assert len(hits) == 1
    hit = hits[0]
    assert set(hit) >= {"document_id", "source", "title", "page", "heading", "start", "end", "score", "text"}
    assert "Dogs may come" in hit["text"]
    text = ingest("show", hit["document_id"], "--text", "--json").json["text"]
    assert text[hit["start"] : hit["end"]] == hit["text"]


def test_search_for_a_person(ingest: Ingest, docs: Path) -> None:
    ingest("add", docs)
    found = ingest("search", "thirty days of leave").out
    assert found.startswith("1  Leave")
    assert "Everyone has thirty days of leave a year." in found


def test_remove_by_id_and_by_path(ingest: Ingest, docs: Path) -> None:
    ingest("add", docs)
    first = ingest("list", "--json").json[0]["document_id"]
    removed = ingest("remove", first, "nothing-like-it", "--json")
    assert removed.code == 1
    assert [entry["status"] for entry in removed.json["documents"]] == ["removed", "failed"]
    assert ingest("remove", docs / "pets.txt").code == 0
    assert ingest("list", "--json").json == []
    assert ingest("search", "dogs", "--json").json == []
    assert (docs / "pets.txt").exists()


def test_status_verify_and_rebuild(ingest: Ingest, docs: Path) -> None:
    ingest("add", docs)
    status = ingest("status", "--json").json
    assert set(status) >= {"documents", "chunks", "embedder", "dimension", "vector_index", "device", "bytes", "version"}
    assert (status["documents"], status["embedder"]) == (2, "hash")
    assert "hash" in ingest("status").out
    assert ingest("verify", "--json").json == {"whole": True, "faults": []}
    assert ingest("verify").out == f"Whole: 2 documents, {status['chunks']} chunks.\n"
    assert ingest("rebuild", "--json").json["chunks"] == status["chunks"]
    assert len(ingest("search", "dogs", "-k", 1, "--json").json) == 1


def test_verify_lists_faults_and_mends_none(ingest: Ingest, docs: Path, tmp_path: Path) -> None:
    ingest("add", docs)
    manifest = tmp_path / "index" / "manifest.json"
    manifest.write_text("{}", encoding="utf-8")
    for _ in range(2):
        faulty = ingest("verify", "--json")
        assert (faulty.code, faulty.json["whole"], len(faulty.json["faults"])) == (1, False, 1)
        assert "manifest" in faulty.json["faults"][0]
    assert "ingest rebuild --index" in ingest("verify").err
    assert ingest("rebuild").code == 0
    assert ingest("verify").code == 0


def test_rebuild_with_another_embedder_needs_no_files(ingest: Ingest, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest("add", docs)
    (docs / "pets.txt").unlink()
    rebuilt = ingest("rebuild", "--embedder", "hash", "--json")
    assert rebuilt.code == 0
    assert (rebuilt.json["documents"], rebuilt.json["embedder"]) == (2, "hash")
    assert "Dogs" in ingest("search", "dogs office", "-k", 1).out


def test_a_store_that_can_not_be_read(ingest: Ingest, docs: Path, tmp_path: Path) -> None:
    ingest("add", docs)
    (tmp_path / "index" / "store.sqlite3").write_bytes(b"no database" * 1000)
    assert len(ingest("verify", "--json").json["faults"]) == 1
    failed = ingest("list")
    assert (failed.code, failed.out) == (1, "")
    assert failed.err.startswith("Error: ") and "Traceback" not in failed.err


# --- failing


def test_without_an_index(ingest: Ingest) -> None:
    for command in (["list"], ["search", "x"], ["status"], ["verify"], ["show", "x"], ["remove", "x"], ["rebuild"]):
        for arguments in (command, [*command, "--json"]):
            failed = ingest(*arguments)
            assert (failed.code, failed.out) == (1, ""), arguments
            assert failed.err.startswith("Error: ") and "ingest add" in failed.err
            assert "Traceback" not in failed.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["add"],
        ["list", "--loud"],
        ["search", "x", "-k", "0"],
        ["search", "x", "--mode", "psychic"],
        ["search", "\udcff"],
    ],
    ids=ascii,
)
def test_wrong_usage(ingest: Ingest, arguments: list[str]) -> None:
    assert ingest(*arguments).code == 2


def test_a_setting_that_can_not_be_read(ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAG_BOT_CHUNK_TOKENS", "many")
    failed = ingest("list", "--json")
    assert (failed.code, failed.out) == (2, "")
    assert "RAG_BOT_CHUNK_TOKENS can't be 'many'" in failed.err
    monkeypatch.delenv("RAG_BOT_CHUNK_TOKENS")
    (tmp_path / "rag-bot.toml").write_text("index = [", encoding="utf-8")
    failed = ingest("list")
    assert failed.code == 2
    assert "rag-bot.toml" in failed.err


def test_odd_names_are_printed_safely(ingest: Ingest, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ("[bold]x.txt", "esc\x1b[31m.txt", "line\nbreak.txt", "right\u202etxt.md"):
        (folder / name).write_text(f"Harmless words in {name!r}, and \x1b[31m in red.", encoding="utf-8")
    with suppress(OSError):  # some file systems take names in UTF-8 only
        (folder / os.fsdecode(b"bytes\xff.txt")).write_text("Bytes that are no text.", encoding="utf-8")
    outcomes = [ingest("add", folder), ingest("list"), ingest("search", "harmless words"), ingest("status")]
    assert ingest("add", folder, "--json").json["failed"] == 0
    for outcome in outcomes:
        assert outcome.code == 0, outcome.err
        for shown in (outcome.out, outcome.err):
            assert "\x1b" not in shown and "\u202e" not in shown
    assert "[bold]x.txt" in outcomes[1].out
    assert r"line\nbreak.txt" in outcomes[1].out


# --- as a process


def test_a_reader_that_leaves_early_is_no_noise(ingest: Ingest, docs: Path, tmp_path: Path) -> None:
    ingest("add", docs)
    for arguments in (["list"], ["list", "--json"], ["search", "dogs"]):
        run = subprocess.Popen(
            [*COMMAND, *arguments], env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert run.stdout and run.stderr
        run.stdout.close()
        assert run.stderr.read() == ""
        run.wait(timeout=60)
        run.stderr.close()


def test_help_and_version_load_nothing_heavy() -> None:
    heavy = {
        "pydantic",
        "torch",
        "faiss",
        "numpy",
        "sqlalchemy",
        "fastapi",
        "rich",
        "tantivy",
        "sentence_transformers",
        "asyncio",
    }
    for module in ("ingest.cli", "rag_bot.cli"):
        for option in ("--help", "--version"):
            code = f"""
import sys
from {module} import main
try:
    main(["{option}"])
except SystemExit as end:
    assert not end.code
print(sorted({heavy!r} & set(sys.modules)))
"""
            run = subprocess.run(
                [sys.executable, "-c", code], env=environment(Path()), capture_output=True, text=True, check=True
            )
            assert run.stdout.splitlines()[-1] == "[]", module


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_a_bar_shows_the_progress(docs: Path, tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [*COMMAND, "add", str(docs)],
        env=environment(tmp_path) | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # how Linux says that the other side has closed
            break
        if not piece:
            break
        seen += piece
    out, _ = run.communicate(timeout=60)
    os.close(ours)
    assert run.returncode == 0
    assert b"2/2" in seen and b"files" in seen
    assert out.startswith(b"2 files: 2 added; ")
