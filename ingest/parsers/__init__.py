"""Bytes to text with places: picks the parser by what the file holds, then by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

from ingest.errors import BrokenDocument, DocumentError, EmptyDocument, TooLarge
from ingest.parsers.formats import SUPPORTED, Format, format_of
from ingest.types import PagePlaces, Parsed, Wanted

__all__ = ["MAX_BYTES", "SUPPORTED", "find_places", "look", "parse", "too_large"]

MAX_BYTES = 100 * 1024 * 1024


def parse(data: bytes, name: str, *, max_bytes: int = MAX_BYTES) -> Parsed:
    """The text and places of a file called `name`; raises DocumentError, whose message is the reason, and nothing else."""
    if not data:
        raise EmptyDocument("is empty")
    if len(data) > max_bytes:
        raise too_large(len(data), max_bytes)
    form = format_of(data, name)
    try:
        parsed = _parser(form)(data, name)
    except (DocumentError, MemoryError):
        raise
    except Exception as error:  # a library's own idea of a broken file: one bad document must not stop the rest
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BrokenDocument(f"can't be read as {form.name} ({detail})") from error
    if not parsed.text:
        raise EmptyDocument("holds no text")
    return parsed


def look(data: bytes, name: str, *, max_bytes: int = MAX_BYTES) -> None:
    """Raises DocumentError where it can be told without parsing that a file called `name` can't be read."""
    if not data:
        raise EmptyDocument("is empty")
    if len(data) > max_bytes:
        raise too_large(len(data), max_bytes)
    format_of(data, name)


def find_places(data: bytes, name: str, wanted: Sequence[Wanted]) -> list[PagePlaces]:
    """Where parts of a file's text stand on its pages; nothing of a format without them. Raises DocumentError."""
    kind = format_of(data, name).kind
    if kind == "pdf":
        from ingest.parsers.pdf_places import find_places as find_in_pdf

        return find_in_pdf(data, wanted)
    if kind == "picture":
        from ingest.parsers.picture import find_places as find_in_picture

        return find_in_picture(data, wanted)
    return []


def too_large(size: int, limit: int) -> TooLarge:
    """The refusal of a file of `size` bytes."""
    mib = 1024 * 1024
    shown = f"{size:,} bytes, more than the {limit:,}"
    if limit >= mib:
        shown = f"{size / mib:,.1f} MB, more than the {limit / mib:,.1f} MB"
    return TooLarge(f"has {shown} that are allowed", hint="Raise RAG_BOT_MAX_FILE_BYTES, or split the file.")


def _parser(form: Format) -> Callable[[bytes, str], Parsed]:
    """The parser of a format; each module is loaded when its first file comes."""
    module, _, function = form.parser.partition(":")
    return cast(Callable[[bytes, str], Parsed], getattr(import_module(f"ingest.parsers.{module}"), function))
