"""Which files hold other files, and what is in them: archives, and messages with attachments."""

from __future__ import annotations

from importlib import import_module

from ingest.errors import BrokenDocument, DocumentError
from ingest.types import Unpacked


def unpack(data: bytes, name: str, start: int, files: int, size: int, most: int) -> Unpacked | None:
    """The members of a file from its entry `start` on, as many as go into one answer; None where it is none that holds any.

    At most `files` entries and `size` bytes unpacked are allowed in all of it, `most` bytes in one. Raises DocumentError.
    """
    from ingest.parsers.formats import format_of

    form = format_of(data, name)
    if not form.holds:
        return None
    module, _, function = form.holds.partition(":")
    try:
        found: Unpacked = getattr(import_module(f"ingest.parsers.{module}"), function)(data, name, start, files, size, most)
    except (DocumentError, MemoryError):
        raise
    except Exception as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BrokenDocument(f"can't be read as {form.name} ({detail})") from error
    return found
