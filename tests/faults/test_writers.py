"""One writer at a time, also between processes."""

from __future__ import annotations

import os
from pathlib import Path

from ingest.index import Index
from tests.faults.support import ingest
from tests.ingest.support import HASH, fill, names


def test_a_second_writer_is_told_who_is_writing(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("A note.")
    path = tmp_path / "index"
    with Index.open(path, settings=HASH, write=True, create=True) as index:
        fill(index)
        for command in (["add", note], ["sync", tmp_path], ["rebuild"]):
            second = ingest(*command, "--index", path, cwd=tmp_path)
            assert (second.code, second.out) == (1, "")
            assert f"Another process (process {os.getpid()}) is writing to the index {path}." in second.err
            assert "Traceback" not in second.err
        reader = ingest("search", "dogs", "--index", path, "--json", cwd=tmp_path)
        assert (reader.code, len(reader.json)) == (0, 4)
        assert len(names(index)) == 3
    assert ingest("add", note, "--index", path, cwd=tmp_path).code == 0
