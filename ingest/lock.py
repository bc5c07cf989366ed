"""One writer at a time: a lock on the index folder that the system releases when its process ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Self

from ingest.errors import IndexBusy, IndexReadOnly, StorageFull

# A process that was killed while it started another may be outlived for a moment by that one, which has the lock too until
# its program begins.
_PATIENCE = 0.5  # seconds


class WriteLock:
    """Held from making until `close`. Raises `IndexBusy` while another one, in any process, holds it."""

    def __init__(self, folder: Path) -> None:
        path = folder / "lock"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise StorageFull(f"The disk is full: {path} can't be made.", "Free some space and try again.") from error
            raise IndexReadOnly(
                f"The index {folder} can't be written to: {error.strerror}.", "Check the folder's permissions."
            ) from error
        try:
            _take(self._file)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            by = f" (process {holder})" if holder else ""
            raise IndexBusy(
                f"Another process{by} is writing to the index {folder}.", "Wait until it is done, or stop it; then try again."
            ) from error
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)
        except OSError:
            pass  # a full disk: the lock itself needs no space, the number is only for the message

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_held(folder: Path) -> bool:
    """Whether some process is writing to the index."""
    try:
        file = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        # For a moment only, and together with others who ask: a writer that begins just then is patient for longer.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _take(file: int) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
