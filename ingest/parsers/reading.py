"""Reads a file of a folder that others may write to: whole, if it is a regular one and not too large."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ingest.errors import DocumentError
from ingest.parsers import too_large


def read_file(path: Path, limit: int) -> bytes:
    """The file's bytes; DocumentError where it can't be read or has more than `limit`."""
    try:
        # Without O_NONBLOCK, opening what has become a pipe since it was found would wait for ever.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DocumentError("is not a regular file")
            if status.st_size > limit:
                raise too_large(status.st_size, limit)
            return file.read(limit + 1)
    except OSError as error:
        raise DocumentError(f"can't be read: {error.strerror or error}") from error
