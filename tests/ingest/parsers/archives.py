"""What the tests of archives share: archives made in memory, honest and hostile."""

from __future__ import annotations

import io
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence

Files = Sequence[tuple[str, bytes]]


def make_zip(files: Files | Mapping[str, bytes]) -> bytes:
    """A ZIP archive; a name may come twice."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name, data in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def make_tar(files: Files, packing: str = "gz", links: Mapping[str, str] | None = None) -> bytes:
    """A TAR archive, with symbolic links (name -> target) after the files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{packing}") as archive:  # type: ignore[call-overload]
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return stream.getvalue()


def overlapping_zip(count: int = 50, size: int = 1_000_000) -> bytes:
    """A bomb of entries that all unpack the same bytes, which stand in the file once."""
    packed = zlib.compress(bytes(size), 9)[2:-4]
    check = zlib.crc32(bytes(size))
    name = b"a"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, check, len(packed), size, len(name), 0) + name + packed
    central = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, check, len(packed), size, 1, 0, 0, 0, 0, 0, 0) + name
        for _ in range(count)
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(central), len(local), 0)
    return local + central + end


def encrypted(data: bytes) -> bytes:
    """The archive with the bit set that says of each entry that it needs a password."""
    changed = bytearray(data)
    for magic, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            changed[at + flags] |= 1
    return bytes(changed)
