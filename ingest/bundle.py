"""The file of a backup: named members behind a manifest with the SHA-256 of each; a tar to others, read here without any trust.

It is written and read from front to back, so it may go through a pipe. Every byte is checked: those of a member by its hash,
all others by being just what they must be.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from ingest.errors import BackupError

FORMAT = 1
MANIFEST = "manifest.json"

_KIND = "rag-bot backup"
_BLOCK = tarfile.BLOCKSIZE
_AT_ONCE = 1 << 20  # bytes
_LARGEST_MANIFEST = 1 << 27  # some 800,000 files
_END = "its end"
# Below one folder or two, never upwards, and short enough for any tar.
_NAME = re.compile(r"(?:[A-Za-z0-9-]+/){0,3}\.?[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST_NAME = 100
_HASH = re.compile(r"[0-9a-f]{64}")
# What reading a manifest that somebody has made up can end in.
_FAULTY = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a backup: its name, its size in bytes, and the hash of its content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup says of itself: by which version of the program it was made and when (ISO 8601, UTC), what is known of
    each of its parts, and its files in their order."""

    program: str
    at: str
    facts: Mapping[str, Any]
    members: tuple[Member, ...]
    kind: str = _KIND
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Of all files in it."""
        return sum(member.size for member in self.members)


def write(file: BinaryIO, program: str, facts: Mapping[str, Any], members: Mapping[str, Path]) -> Contents:
    """Write a backup that holds these files, which nobody may change meanwhile, under these names.

    Raises OSError, or BackupError if one has changed all the same.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    contents = Contents(program, at, facts, tuple(_member(name, path) for name, path in members.items()))
    manifest = _encoded(contents)
    _put(file, MANIFEST, len(manifest), at, [manifest])
    for member in contents.members:
        digest = hashlib.sha256()
        with members[member.name].open("rb") as source:
            _put(file, member.name, member.size, at, _hashed(_pieces(source, member.size), digest))
        if digest.hexdigest() != member.sha256:
            raise BackupError(f"{members[member.name]} changed while it was copied.", "Make the backup again.")
    file.write(bytes(2 * _BLOCK))
    return contents


def read(
    file: BinaryIO,
    look: Callable[[Contents], None] | None = None,
    take: Callable[[Member, Iterable[bytes]], None] | None = None,
) -> Contents:
    """Read a backup to its end, and check all of it.

    `look` gets what the manifest says before anything else is read, and may raise. `take` gets each file and its bytes; none
    is to be trusted before this has returned. Raises OSError, or BackupError that names what is damaged.
    """
    contents = _read_manifest(file)
    if look:
        look(contents)
    for member in contents.members:
        _expect(file, _header(member.name, member.size, contents.at), member.name)
        digest = hashlib.sha256()
        pieces = _hashed(_pieces(file, member.size), digest)
        if take:
            take(member, pieces)
        for _ in pieces:  # what was not taken
            pass
        if digest.hexdigest() != member.sha256:
            raise _damaged(member.name)
        _expect(file, bytes(-member.size % _BLOCK), member.name)
    _expect(file, bytes(2 * _BLOCK), _END)
    if file.read(1):
        raise _damaged(_END)
    return contents


def _read_manifest(file: BinaryIO) -> Contents:
    header = file.read(_BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(header, "ascii", "strict").size
        data = file.read(size) if 0 < size <= _LARGEST_MANIFEST else b""
        body = json.loads(data)
        if body["kind"] != _KIND or not isinstance(body["format"], int):
            raise ValueError(body["kind"])
    except (tarfile.TarError, *_FAULTY) as error:
        raise BackupError("This is no backup, or its manifest is damaged.", "Take another copy of it.") from error
    if body["format"] > FORMAT:
        raise BackupError(
            f"The backup has format {body['format']}, this program reads format {FORMAT}.",
            "Use the version of rag-bot that made it, or a newer one.",
        )
    try:
        del body["checksum"]
        if not isinstance(body["program"], str) or not isinstance(body["facts"], dict):
            raise TypeError(body)
        contents = Contents(**(body | {"members": tuple(Member(**member) for member in body["members"])}))
        whole = (
            body["format"] == FORMAT
            and _sound(contents)
            and _encoded(contents) == data
            and _header(MANIFEST, size, contents.at) == header
        )
    except _FAULTY as error:
        raise _damaged(MANIFEST) from error
    if not whole:
        raise _damaged(MANIFEST)
    _expect(file, bytes(-size % _BLOCK), MANIFEST)
    return contents


def _encoded(contents: Contents) -> bytes:
    """The manifest as it stands in the file: JSON that holds a checksum of itself."""
    body = asdict(contents)
    body["checksum"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps(body, indent=1).encode() + b"\n"


def _sound(contents: Contents) -> bool:
    """Whether each name stands once and can be put below a folder, and sizes and hashes are some."""
    names = {member.name for member in contents.members}
    return len(names) == len(contents.members) and all(
        len(member.name) <= _LONGEST_NAME
        and _NAME.fullmatch(member.name) is not None
        and _HASH.fullmatch(member.sha256) is not None
        and type(member.size) is int
        and member.size >= 0
        for member in contents.members
    )


def _member(name: str, path: Path) -> Member:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError(f"no name for a file in a backup: {name!r}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Member(name, file.tell(), digest.hexdigest())


def _header(name: str, size: int, at: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(datetime.fromisoformat(at).timestamp())
    return info.tobuf(tarfile.GNU_FORMAT)  # sizes above 8 GiB have a place in it


def _put(file: BinaryIO, name: str, size: int, at: str, pieces: Iterable[bytes]) -> None:
    file.write(_header(name, size, at))
    for piece in pieces:
        file.write(piece)
    file.write(bytes(-size % _BLOCK))


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The next so many bytes of a file, or those that there are."""
    while size and (piece := file.read(min(size, _AT_ONCE))):
        size -= len(piece)
        yield piece


def _hashed(pieces: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _expect(file: BinaryIO, wanted: bytes, name: str) -> None:
    if file.read(len(wanted)) != wanted:
        raise _damaged(name)


def _damaged(name: str) -> BackupError:
    return BackupError(f"The backup is damaged: {name} is not as it was written.", "Take another copy of it.")
