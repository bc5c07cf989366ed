"""A folder for what is half done: it goes away at the end, and with the next one if its process was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".lock"
_JUST_MADE = 60.0  # seconds in which a folder may have no lock yet


@contextmanager
def workspace(folder: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `folder` that only this user may enter. Raises OSError."""
    for left in abandoned(folder, prefix):
        shutil.rmtree(left, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    try:
        lock = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield place
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def abandoned(folder: Path, prefix: str) -> list[Path]:
    """The folders of this kind whose process has ended without taking them away."""
    return [path for path in sorted(folder.glob(f"{prefix}*")) if not path.is_symlink() and path.is_dir() and not _used(path)]


def _used(place: Path) -> bool:
    try:
        lock = os.open(place / _LOCK, os.O_RDWR)
    except FileNotFoundError:  # it comes first and nothing is there yet, or it was being taken away
        with suppress(FileNotFoundError):
            return not any(place.iterdir()) and time.time() - place.stat().st_mtime < _JUST_MADE
        return False
    except PermissionError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
