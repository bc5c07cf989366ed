"""Documents that are zip archives: their entries are looked at before any is unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from ingest.errors import BrokenDocument, Encrypted, TooLarge

_MIB = 1024 * 1024
_MOST_ENTRIES = 10_000
_MOST_BYTES = 200 * _MIB  # unpacked
_HIGHEST_RATIO = 200  # unpacked to packed; text in XML packs to about a twentieth


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse what would unpack to more than a document can be, before anything is unpacked."""
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise TooLarge(f"holds {len(entries):,} parts, more than {_MOST_ENTRIES:,}")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Encrypted("needs a password")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _MOST_BYTES:
        raise TooLarge(f"unpacks to {unpacked // _MIB:,} MB, more than {_MOST_BYTES // _MIB} MB")
    for entry in entries:
        if entry.file_size > _MIB and entry.file_size > _HIGHEST_RATIO * entry.compress_size:
            times = f"{entry.file_size // max(1, entry.compress_size):,} times its size, more than {_HIGHEST_RATIO}"
            raise TooLarge(f"holds a part that unpacks to {times}: it may be a zip bomb")


@contextmanager
def opened(data: bytes, what: str) -> Iterator[zipfile.ZipFile]:
    """The archive of a `what` ("Word document"), checked; what goes wrong while it is open is said of that."""
    damaged = f"is a broken {what}: its archive is cut short or damaged"
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BrokenDocument(damaged) from error
    with archive:
        check_archive(archive)
        try:
            yield archive
        except KeyError as error:
            if "no item named" not in str(error):
                raise
            raise BrokenDocument(f"is a broken {what}: parts of it are missing") from error
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
            raise BrokenDocument(damaged) from error
