"""Files that hold files, archives and messages with attachments: each member is found as a file of its own.

A member's source is that of the file that holds it, `!/`, and its name there: `/docs/all.zip!/leave/policy.pdf`. The name is
a label and never opened as a path. Members of members go on: `all.zip!/inner.tar!/notes.txt`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ingest.errors import DocumentError, TooLarge
from ingest.sources.files import Found, path_of
from ingest.types import Unpacked

MARK = "!/"
_MIB = 1024 * 1024
_ROUND_BYTES = 64 * _MIB  # of members that are taken in before more are unpacked
_ROUND_FILES = 256
# By name alone, so that no file is read to find out; a file without any is looked at.
_HOLDS = re.compile(r"\.(?:zip|tar|tgz|tbz2?|txz|gz|bz2|xz|eml|msg|mbox|mbx)$", re.IGNORECASE)
_BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"From ")


class Unpack(Protocol):
    """Some of the members of a file, from its entry `start` on; None where it holds none. Raises DocumentError."""

    def __call__(self, name: str, data: bytes, *, start: int = 0, files: int, size: int) -> Unpacked | None: ...


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What one file may hold, with all in the archives in it: files, bytes unpacked, and how deep they may be nested."""

    files: int = 10_000
    size: int = 1024 * _MIB
    depth: int = 3


@dataclass(slots=True)
class Opened:
    """What came of the files that hold others: `members` are all sources in them, `failed` those that were not read to
    their end (what is known of their members stays), `whole` the others."""

    members: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)

    def is_gone(self, source: str) -> bool:
        """Whether a source was a member of a file that is still there and holds it no more."""
        holders = {source[: match.start()] for match in re.finditer(MARK, source)}
        return source not in self.members and not holders & self.failed and bool(holders & self.whole)

    def gone_from(self, found: Sequence[Found], told: Collection[str] = ()) -> Callable[[str], bool]:
        """Says of a source in a folder, whose files were `found`, whether it is there no more; `told` are known to be."""
        seen = {file.source for file in found} | self.members | set(told)
        # What can't be read may be a folder or an archive: what is known of its content stays.
        failed = [*(file.source for file in found if file.error), *self.failed]
        unread = (*(one + os.sep for one in failed), *(one + MARK for one in failed))
        return lambda source: source not in seen and not source.startswith(unread)


def no_unpack(name: str, data: bytes, *, start: int = 0, files: int, size: int) -> None:
    """No file holds others."""


def may_hold(name: str, beginning: bytes = b"") -> bool:
    """Whether it is worth while to ask if a file holds others: by its name, or by its bytes where that tells nothing."""
    return bool(_HOLDS.search(name)) or ("." not in name[1:] and beginning.startswith(_BEGINNINGS))


def is_member(source: str, holder: str) -> bool:
    """Whether a source is a member of another, however deep."""
    return source.startswith(holder + MARK)


def file_of(source: str) -> Path:
    """The file on this machine that a source names, or that holds what it names."""
    path, at = path_of(source), -1
    while not os.path.lexists(path) and (at := source.find(MARK, at + 1)) >= 0:
        path = path_of(source[:at])
    return path


def rounds(found: Sequence[Found], unpack: Unpack, limits: ArchiveLimits, most: int, opened: Opened) -> Iterator[list[Found]]:
    """All files that were found, then what is in those that hold others, a few at a time; `opened` is filled meanwhile.

    Files of more than `most` bytes are not opened. An archive that holds nothing wrong is not among the files itself.
    """
    holders = [file for file in found if file.error is None and may_hold(file.name, _beginning(file))]
    apart = {file.source for file in holders}
    plain = [file for file in found if file.source not in apart]
    if plain:
        yield plain
    gathered: list[Found] = []
    size = 0
    for holder in holders:
        for file in _Holder(unpack, limits, most, opened).files(holder):
            gathered.append(file)
            size += len(file.data or b"")
            if size >= _ROUND_BYTES or len(gathered) >= _ROUND_FILES:
                yield gathered
                gathered, size = [], 0
    if gathered:
        yield gathered


class _Holder:
    """One file that may hold others, with what it may still unpack to."""

    def __init__(self, unpack: Unpack, limits: ArchiveLimits, most: int, opened: Opened) -> None:
        self._unpack, self._limits, self._most, self._opened = unpack, limits, most, opened
        self._files, self._size = limits.files, limits.size

    def files(self, file: Found) -> Iterator[Found]:
        """The file itself where it is a document or can't be opened, and what is in it."""
        data = file.data
        if data is None:
            try:
                data = file.path.read_bytes() if file.path.stat().st_size <= self._most else None
            except OSError:
                data = None
            if data is None:  # whoever reads it next says why
                self._opened.failed.add(file.source)
                yield file
                return
        yield from self._open(file, data, ())

    def _open(self, file: Found, data: bytes, above: tuple[str, ...]) -> Iterator[Found]:
        """What `data`, the bytes of a file, holds; `above` are the hashes of what it stands in."""
        own = hashlib.sha256(data).hexdigest()
        start: int | None = 0
        files, size = self._files, self._size
        is_document = any_member = False
        try:
            if own in above:
                raise DocumentError("holds itself")
            while start is not None:
                some = self._unpack(file.name, data, start=start, files=files, size=size)
                if some is None or (some.is_document and start == 0):
                    is_document = True
                    yield file
                if some is None:
                    return
                if len(above) >= self._limits.depth and (some.members or not is_document):
                    raise DocumentError(f"is nested more than {self._limits.depth} archives deep")
                for member in some.members:
                    any_member = True
                    yield from self._member(file, member.name, member.data, member.error, (*above, own))
                start = some.following
            if not (any_member or is_document):
                raise DocumentError("is an archive with no file in it")
        except DocumentError as error:
            self._opened.failed.add(file.source)
            # A message is read all the same: what fails is what is attached to it.
            source = f"{file.source}{MARK}attachments" if is_document else file.source
            self._opened.members.add(source)
            yield replace(file, source=source, error=str(error), data=None)
            return
        if not above:
            self._opened.whole.add(file.source)

    def _member(self, holder: Found, name: str, data: bytes | None, error: str, above: tuple[str, ...]) -> Iterator[Found]:
        source = self._source(holder.source, name)
        self._opened.members.add(source)
        member = Found(source, holder.path, error or None, data)
        self._files -= 1
        self._size -= len(data or b"")
        if self._files < 0 or self._size < 0:
            raise TooLarge("holds more, with the archives in it, than may be unpacked", "Unpack it and add the files.")
        if data is not None and may_hold(member.name, data[:8]):
            yield from self._open(member, data, above)
        else:
            yield member

    def _source(self, holder: str, name: str) -> str:
        """The member's source; names that come twice are counted."""
        source, count = f"{holder}{MARK}{name}", 1
        while source in self._opened.members:
            count += 1
            stem, dot, suffix = name.rpartition(".")
            numbered = f"{stem} ({count}).{suffix}" if stem and dot and "/" not in suffix else f"{name} ({count})"
            source = f"{holder}{MARK}{numbered}"
        return source


def _beginning(file: Found) -> bytes:
    if file.data is not None:
        return file.data[:8]
    if "." in file.name[1:]:
        return b""
    try:
        with file.path.open("rb") as opened:
            return opened.read(8)
    except OSError:
        return b""
