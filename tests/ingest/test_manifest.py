"""The manifest, replaced whole and believed only when it is whole; and the lock of the one writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import IndexBusy
from ingest.lock import WriteLock
from ingest.manifest import NAME, Artifact, Manifest, check, hash_file

MANIFEST = Manifest(
    generation=3,
    epoch="c0ffee",
    embedder="hash",
    fingerprint="hash-256-v1",
    dimension=256,
    vectors=Artifact("vectors-000003.faiss", {"vectors-000003.faiss": "0" * 64}, last_chunk=12, count=11),
    keywords=Artifact("keywords-000003", {"keywords-000003/meta.json": "1" * 64}, last_chunk=12, count=11),
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert Manifest.read(tmp_path) is None
    MANIFEST.write(tmp_path)
    replace(MANIFEST, generation=4).write(tmp_path)
    found = Manifest.read(tmp_path)
    assert found and replace(found, checksum="") == replace(MANIFEST, generation=4)
    assert os.listdir(tmp_path) == [NAME]


def test_every_cut_and_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    whole = (tmp_path / NAME).read_bytes()
    damaged = [whole[:end] for end in range(0, len(whole), 7)]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, len(whole), 3)]
    believed = []
    for content in damaged:
        (tmp_path / NAME).write_bytes(content)
        try:
            found = Manifest.read(tmp_path)
        except (ValueError, TypeError, KeyError):
            continue
        # Only white space may change unnoticed: it means nothing.
        assert found and replace(found, checksum="") == MANIFEST
        believed.append(content)
    assert all(json.loads(content) == json.loads(whole) for content in believed)


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"format": 99}', b"null", b"\xff\xfe"])
def test_other_json_is_no_manifest(content: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ValueError):
        Manifest.read(tmp_path)


def test_an_artifact_is_checked_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "two").write_bytes(b"2")
    artifact = Artifact("folder", {name: hash_file(tmp_path / name) for name in ("one", "folder/two")}, 1, 1)
    assert check(tmp_path, artifact) is None
    (tmp_path / "folder" / "two").write_bytes(b"3")
    assert check(tmp_path, artifact) == "folder/two does not match its hash"
    (tmp_path / "one").unlink()
    assert check(tmp_path, artifact) == "one is missing"
    (tmp_path / "one").mkdir()
    assert check(tmp_path, artifact) == "one can't be read (Is a directory)"


# --- the lock


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    busy = pytest.raises(IndexBusy, match=rf"process {os.getpid()}\) is writing to the index {tmp_path}")
    with WriteLock(tmp_path), busy:
        WriteLock(tmp_path)
    WriteLock(tmp_path).close()


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from ingest.lock import WriteLock; "
        f"lock = WriteLock(Path({str(tmp_path)!r})); print(1, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read(1) == b"1"
        with pytest.raises(IndexBusy, match=str(process.pid)):
            WriteLock(tmp_path)
        process.kill()
        process.wait()
        WriteLock(tmp_path).close()
