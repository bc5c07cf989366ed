"""Archives (ZIP; TAR, plain or packed by gzip, bzip2 or xz; one file packed alone): what is in them, checked before it is
unpacked and while it is. Nothing is ever written to a disk.

Names of members come from whoever made the archive. They are labels here, never paths; `clean_name` makes them look like
paths below the archive.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

from ingest.errors import BrokenDocument, Encrypted, TooLarge, UnsupportedFormat
from ingest.parsers import too_large
from ingest.types import Member, Parsed, Unpacked

_MIB = 1024 * 1024
_ANSWER = 32 * _MIB  # bytes of members in one answer, but for one member that is larger by itself
_MEMBERS = 256  # in one answer
_HIGHEST_RATIO = 200  # unpacked to packed, of more than a MiB; text packs to about a twentieth
_PIECE = 256 * 1024
_LOCAL_HEADER = 30  # bytes before the name of an entry
_CENTRAL_ENTRY = 46
_DAMAGED = "is damaged in the archive"
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, struct.error)
# What editors and operating systems leave behind, as in folders.
_DROPPINGS = re.compile(
    r"(?:^|/)(?:\.|~\$|[^/]*~(?:/|$)|#[^/]*#(?:/|$)|(?:thumbs\.db|desktop\.ini|__macosx|icon\\r)(?:/|$))", re.IGNORECASE
)
_UNPACKED_SUFFIX = {"gz": "", "bz2": "", "xz": "", "tgz": ".tar", "tbz2": ".tar", "txz": ".tar"}


def parse_archive(data: bytes, name: str) -> Parsed:
    """An archive has no text of its own. Raises UnsupportedFormat."""
    raise UnsupportedFormat("is an archive: what is in it is read file by file")


def unpack_zip(data: bytes, name: str, start: int, files: int, size: int, most: int) -> Unpacked:
    """What is in a ZIP archive from its entry `start` on."""
    try:
        _check_directory(data, files)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_zip(archive.infolist(), files, size)
            gathered = _Gathered()
            for at in range(start, len(entries)):
                label = clean_name(_zip_name(entries[at]))
                if _is_link(entries[at]) or _DROPPINGS.search(label):
                    continue
                if gathered.full(_zip_member(archive, entries[at], label, most)):
                    return Unpacked(tuple(gathered.members), at + 1 if at + 1 < len(entries) else None)
            return Unpacked(tuple(gathered.members))
    except _BROKEN as error:
        raise BrokenDocument("is a damaged zip archive") from error


def unpack_tar(data: bytes, name: str, start: int, files: int, size: int, most: int) -> Unpacked:
    """What is in a TAR archive from its entry `start` on, or the one file that is packed alone."""
    plain = _Counted(_unpacker(data), len(data), size)
    try:
        beginning = plain.peek(512)
        if not is_tar(beginning):
            if plain.packed:
                return _single(plain, name, most)
            raise BrokenDocument("is not a TAR archive although its name says so")
        gathered = _Gathered()
        total = 0
        with tarfile.open(fileobj=cast(BinaryIO, plain), mode="r|", encoding="utf-8") as archive:
            for at, entry in enumerate(archive):
                if at >= files:
                    raise too_many(files)
                total += entry.size if entry.isreg() and not entry.issparse() else 0
                if total > size:
                    raise too_big(total, size)
                label = clean_name(entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
                if at < start or not entry.isreg() or _DROPPINGS.search(label):
                    continue
                if gathered.full(_tar_member(archive, entry, label, most)):
                    return Unpacked(tuple(gathered.members), at + 1)
        return Unpacked(tuple(gathered.members))
    except _BROKEN as error:
        raise BrokenDocument("is a damaged archive, or one that was cut short") from error


def is_tar(beginning: bytes) -> bool:
    """Whether bytes are the first header of a TAR archive: its check sum is right."""
    if len(beginning) < 512 or not beginning[:1].strip(b"\0"):
        return False
    try:
        claimed = int(beginning[148:156].strip(b"\0 ") or b"x", 8)
    except ValueError:
        return False
    return claimed == sum(beginning[:148]) + 8 * 32 + sum(beginning[156:512])


def clean_name(name: str) -> str:
    """A member's name as the path below its archive: no drive, no root, no `..`, nothing that can't be shown."""
    parts = re.sub(r"^[A-Za-z]:", "", name).replace("\\", "/").split("/")
    kept = [part for part in parts if part not in ("", ".", "..")]
    shown = "/".join(kept) or "unnamed"
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in shown)


def too_many(limit: int) -> TooLarge:
    """The refusal of an archive with more entries than `limit`."""
    return TooLarge(
        f"holds more files than the {limit:,} that may be unpacked",
        hint="Unpack it and add the files, or raise RAG_BOT_ARCHIVE_FILES.",
    )


def too_big(size: int, limit: int) -> TooLarge:
    """The refusal of an archive that unpacks to `size` bytes or more."""
    return TooLarge(
        f"unpacks to {size / _MIB:,.0f} MB or more, and {limit / _MIB:,.0f} MB may be unpacked",
        hint="Unpack it and add the files, or raise RAG_BOT_ARCHIVE_BYTES.",
    )


def bomb(times: int) -> TooLarge:
    """The refusal of what unpacks to so many times its size."""
    return TooLarge(f"unpacks to {times:,} times its size, more than {_HIGHEST_RATIO}: it may be a bomb")


class _Gathered:
    """Members for one answer, until that is full."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._size = 0

    def full(self, member: Member) -> bool:
        """Take a member; whether there is room for no more."""
        self.members.append(member)
        self._size += len(member.data or b"")
        return self._size >= _ANSWER or len(self.members) >= _MEMBERS


def _check_directory(data: bytes, files: int) -> None:
    """Refuse a directory that is too long, before it is read: each of its entries takes ten times its size in memory."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if end < 0 or len(data) - end < 22:
        raise BrokenDocument("is a damaged zip archive, or one that was cut short")
    size = int(struct.unpack_from("<L", data, end + 12)[0])
    locator = end - 20
    if locator >= 0 and data[locator : locator + 4] == b"PK\x06\x07":
        at = int(struct.unpack_from("<Q", data, locator + 8)[0])
        if data[at : at + 4] == b"PK\x06\x06" and len(data) - at >= 56:
            size = int(struct.unpack_from("<Q", data, at + 40)[0])
    # Names, comments and extra fields stand in it, too: 1,000 bytes an entry are far more than honest archives have.
    if size > files * (_CENTRAL_ENTRY + 1000) or data.count(b"PK\x01\x02", max(0, end - size), end) > 2 * files:
        raise too_many(files)


def _check_zip(entries: list[zipfile.ZipInfo], files: int, size: int) -> None:
    """What the directory of an archive tells, before anything is unpacked."""
    if len(entries) > files:
        raise too_many(files)
    real = [entry for entry in entries if not entry.is_dir()]
    if not real:
        raise BrokenDocument("is an archive with no file in it")
    if all(entry.flag_bits & 1 for entry in real):
        raise Encrypted("needs a password")
    unpacked = sum(entry.file_size for entry in real)
    if unpacked > size:
        raise too_big(unpacked, size)
    # Entries that share their bytes make a small file unpack to any size, each with an innocent ratio.
    reached, before = 0, ""
    for entry in sorted(entries, key=lambda one: one.header_offset):
        if entry.header_offset < reached:
            raise BrokenDocument(f"has entries that overlap ({entry.filename!r:.80}, {before!r:.80}): it may be a bomb")
        reached = entry.header_offset + _LOCAL_HEADER + entry.compress_size
        before = entry.filename


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """The name in the encoding that it says, else UTF-8 where it is that; DOS's own is what is left."""
    if entry.flag_bits & 0x800:
        return entry.filename
    raw = entry.filename.encode("cp437", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return entry.filename


def _is_link(entry: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return kind not in (0, stat.S_IFREG)


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, label: str, most: int) -> Member:
    if entry.flag_bits & 1:
        return Member(label, None, "needs a password")
    if entry.file_size > most:
        return Member(label, None, str(too_large(entry.file_size, most)))
    if entry.file_size > _MIB and entry.file_size > _HIGHEST_RATIO * entry.compress_size:
        return Member(label, None, str(bomb(entry.file_size // max(1, entry.compress_size))))
    try:
        # No more than was declared comes out of this, and the check sum is looked at.
        with archive.open(entry) as file:
            return Member(label, file.read())
    except (NotImplementedError, RuntimeError):
        return Member(label, None, "is packed in a way that can't be read")
    except _BROKEN:
        return Member(label, None, _DAMAGED)


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo, label: str, most: int) -> Member:
    if entry.issparse():
        return Member(label, None, "is a sparse file, which can't be read")
    if entry.size > most:
        return Member(label, None, str(too_large(entry.size, most)))
    file = archive.extractfile(entry)
    data = file.read() if file else b""
    if len(data) < entry.size:
        return Member(label, None, _DAMAGED)
    return Member(label, data)


def _single(plain: _Counted, name: str, most: int) -> Unpacked:
    """One file that was packed alone: `notes.txt.gz`."""
    stem, _, suffix = name.rpartition(".")
    label = stem + _UNPACKED_SUFFIX[suffix.lower()] if stem and suffix.lower() in _UNPACKED_SUFFIX else name
    data = plain.read(most + 1)
    if len(data) > most:
        return Unpacked((Member(clean_name(label), None, str(too_large(len(data), most))),))
    return Unpacked((Member(clean_name(label), data),))


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def _unpacker(data: bytes) -> _Readable:
    openers: tuple[tuple[bytes, Callable[[BinaryIO], _Readable]], ...] = (
        (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
        (b"BZh", bz2.BZ2File),
        (b"\xfd7zXZ\0", lzma.LZMAFile),
    )
    for magic, opener in openers:
        if data.startswith(magic):
            return opener(io.BytesIO(data))
    return io.BytesIO(data)


class _Counted:
    """What comes out of an unpacker, counted: more than `limit` bytes, or far more than went in, is refused."""

    def __init__(self, source: _Readable, packed: int, limit: int) -> None:
        self.packed = not isinstance(source, io.BytesIO)
        self._source, self._size, self._limit = source, packed, limit
        self._count = 0
        self._peeked = b""

    def peek(self, count: int) -> bytes:
        """The first bytes, which are read again."""
        self._peeked = self._pull(count)
        return self._peeked

    def read(self, count: int = -1) -> bytes:
        """The next `count` bytes, fewer at the end."""
        parts, left = [self._peeked[:count]], count - len(self._peeked[:count])
        self._peeked = self._peeked[count:]
        while left > 0:
            part = self._pull(min(_PIECE, left))
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _pull(self, count: int) -> bytes:
        data = self._source.read(count)
        self._count += len(data)
        # Headers and padding are no part of what `limit` counts: a tenth more, and a MiB.
        if self._count > 1.1 * self._limit + _MIB:
            raise too_big(self._count, self._limit)
        if self._count > 10 * _MIB and self._count > _HIGHEST_RATIO * self._size:
            raise bomb(self._count // max(1, self._size))
        return data
