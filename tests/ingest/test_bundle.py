"""The file of a backup: what is written is read back, and of what was not written so, nothing is."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ingest import bundle
from ingest.bundle import Contents, Member
from ingest.errors import BackupError

FILES = {
    "index/store.sqlite3": b"store" * 300,
    "state.jsonl": b"{}\n",
    "index/files/ab12-cd34": b"x" * 512,
    "index/keywords-000001/.managed.json": b"",
    "index/empty": b"",
}
FACTS = {"index": {"documents": 3}, "state": None}


def written(tmp_path: Path, files: dict[str, bytes] = FILES, facts: dict[str, Any] = FACTS) -> bytes:
    """The bytes of a backup that holds these files."""
    paths = {}
    for number, (name, data) in enumerate(files.items()):
        paths[name] = tmp_path / f"file{number}"
        paths[name].write_bytes(data)
    out = io.BytesIO()
    bundle.write(out, "1.2.3", facts, paths)
    return out.getvalue()


def everything(data: bytes) -> tuple[Contents, dict[str, bytes]]:
    found: dict[str, bytes] = {}

    def take(member: Member, pieces: Iterable[bytes]) -> None:
        found[member.name] = b"".join(pieces)

    return bundle.read(io.BytesIO(data), None, take), found


def made_up(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The same with another manifest, whose checksum is right; headers say what the manifest says, where they can."""
    size = tarfile.TarInfo.frombuf(data[:512], "ascii", "strict").size
    body = json.loads(data[512 : 512 + size])
    at = body["at"]
    del body["checksum"]
    change(body)
    body["checksum"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    manifest = json.dumps(body, indent=1).encode() + b"\n"
    rest = bytearray(data[512 + size + -size % 512 :])
    first = body["members"][0]
    with suppress(ValueError, TypeError, AttributeError):
        rest[:512] = bundle._header(first["name"], first["size"], at)
    return bundle._header(bundle.MANIFEST, len(manifest), at) + manifest + bytes(-len(manifest) % 512) + rest


def test_what_is_written_is_read(tmp_path: Path) -> None:
    contents, found = everything(written(tmp_path))
    assert found == FILES
    assert (contents.program, contents.format, dict(contents.facts)) == ("1.2.3", 1, FACTS)
    assert contents.at.endswith("+00:00")
    assert contents.bytes == sum(map(len, FILES.values()))


def test_any_tar_can_read_it_too(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(tmp_path))) as tar:
        assert tar.getnames() == ["manifest.json", *FILES]
        for name, data in FILES.items():
            member = tar.getmember(name)
            assert member.mode == 0o600 and member.isreg()
            file = tar.extractfile(member)
            assert file and file.read() == data


def test_what_is_not_taken_is_checked_all_the_same(tmp_path: Path) -> None:
    data = written(tmp_path)
    assert bundle.read(io.BytesIO(data)).members == everything(data)[0].members

    def first_byte(member: Member, pieces: Iterable[bytes]) -> None:
        next(iter(pieces), None)

    bundle.read(io.BytesIO(data), None, first_byte)
    broken = data.replace(b"store" * 300, b"store" * 299 + b"stole")
    for take in (None, first_byte):
        with pytest.raises(BackupError, match=r"index/store\.sqlite3 is not as it was written"):
            bundle.read(io.BytesIO(broken), None, take)


def test_every_byte_counts_and_what_is_damaged_is_named(tmp_path: Path) -> None:
    data = written(tmp_path)
    where: list[str] = []
    at = 0
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            end = member.offset_data + member.size + -member.size % 512
            where += [member.name] * (end - at)
            at = end
    chance = random.Random(5)
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << chance.randrange(8)
        with pytest.raises(BackupError) as caught:
            everything(bytes(broken))
        said = str(caught.value)
        expected = where[place] if place < len(where) else "its end"
        assert expected in said or (expected == "manifest.json" and "manifest is damaged" in said), (place, said)


def test_nothing_may_be_missing_at_the_end_and_nothing_may_follow(tmp_path: Path) -> None:
    data = written(tmp_path)
    for size in {0, 1, 511, 512, 513, *range(600, len(data), 97), len(data) - 1}:
        with pytest.raises(BackupError):
            everything(data[:size])
    with pytest.raises(BackupError, match="its end"):
        everything(data + b"\0")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../up", "index/../../up", "index/..", "..", ".", "", "index//x", "index/", "a/b/c/d/e", "index\\up",
        "index/a\0b", "index/ä", "x" * 101, "index/a b", "~/x", "C:x", "index/.", "index/-x",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BackupError):
        everything(made_up(written(tmp_path), lambda body: body["members"][0].update(name=name)))
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match="no name for a file in a backup"):
        bundle.write(io.BytesIO(), "1", {}, {name: file})


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["members"].append(body["members"][0]),
        lambda body: body["members"][0].update(size=-1),
        lambda body: body["members"][0].update(size=1.5),
        lambda body: body["members"][0].update(size=True),
        lambda body: body["members"][0].update(size=10**13),
        lambda body: body["members"][0].update(sha256="0" * 63),
        lambda body: body["members"][0].update(sha256=None),
        lambda body: body.update(at="yesterday"),
        lambda body: body.update(at=5),
        lambda body: body.update(program=None),
        lambda body: body.update(facts=[]),
        lambda body: body.update(format="1"),
        lambda body: body.update(format=0),
        lambda body: body.update(kind="something else"),
    ],
)
def test_a_manifest_that_is_made_up_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(BackupError):
        everything(made_up(written(tmp_path), change))


def test_one_that_is_only_made_up_in_its_facts_is_read(tmp_path: Path) -> None:
    contents, found = everything(made_up(written(tmp_path), lambda body: body["facts"].update(more=1)))
    assert (contents.facts["more"], found) == (1, FILES)


def test_a_newer_format_is_refused_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="The backup has format 2, this program reads format 1") as caught:
        everything(made_up(written(tmp_path), lambda body: body.update(format=2)))
    assert "newer" in caught.value.hint


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE])
def test_links_and_what_else_a_tar_may_hold_are_refused(tmp_path: Path, kind: bytes) -> None:
    data = written(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        at = tar.getmember("index/store.sqlite3").offset
    info = tarfile.TarInfo.frombuf(data[at : at + 512], "ascii", "strict")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(BackupError, match=r"index/store\.sqlite3"):
        everything(data[:at] + info.tobuf(tarfile.GNU_FORMAT) + data[at + 512 :])


@pytest.mark.parametrize("data", [b"", b"\0" * 2048, b"[" * 100_000, b"PK\x03\x04" + b"\0" * 600])
def test_what_is_no_backup_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BackupError, match="This is no backup"):
        everything(data)


def test_a_manifest_of_brackets_is_no_backup() -> None:
    brackets = b"[" * 200_000
    data = bundle._header(bundle.MANIFEST, len(brackets), "2026-01-01T00:00:00+00:00") + brackets
    with pytest.raises(BackupError, match="This is no backup"):
        everything(data + bytes(4096))


@pytest.mark.parametrize("after", [b"after!", b"short", b"longer than before"])
def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path, after: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    class Out(io.BytesIO):
        def write(self, data: Any) -> int:
            path.write_bytes(after)
            return super().write(data)

    with pytest.raises(BackupError, match="changed while it was copied"):
        bundle.write(Out(), "1", {}, {"index/file": path})
