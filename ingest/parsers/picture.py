"""Pictures (PNG, JPEG, TIFF and others): what OCR reads on them, each picture of a file as a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

from ingest.errors import BrokenDocument, EmptyDocument, TooLarge, UnsupportedFormat
from ingest.parsers import ocr
from ingest.parsers.builder import TextBuilder
from ingest.parsers.names import title_of
from ingest.parsers.pdf import write_pages
from ingest.parsers.pdf_paragraphs import paragraphs
from ingest.parsers.pdf_places import Letters, find_letters, letters_of
from ingest.parsers.scan import Scan, read_scan
from ingest.types import PagePlaces, Parsed, Wanted

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
_MEDIA_TYPES = {"MPO": "image/jpeg"}  # a JPEG with a second picture, as some cameras make it
_MOST_PIXELS = 80_000_000
_MOST_PICTURES = 200  # of one file


def parse_picture(data: bytes, name: str) -> Parsed:
    """A picture with text on it. Raises UnsupportedFormat where OCR is not installed."""
    if not ocr.installed():
        raise UnsupportedFormat(f"is a picture: {ocr.INSTALL}")
    builder, unread = TextBuilder(), 0
    pages = []
    with _open(data) as picture:
        media_type = _MEDIA_TYPES.get(picture.format) or picture.get_format_mimetype()
        count = _count(picture)
        for number in range(1, count + 1):
            if number > _MOST_PICTURES or not ocr.is_time():
                unread = count - number + 1
                break
            pages.append(paragraphs(read_scan(_frame(picture, number)).items, number))
    write_pages(builder, pages, {})
    if builder.empty:
        raise EmptyDocument("holds no text: it is a picture, and OCR read no words on it")
    if unread:
        builder.note(f"the last {unread} of {count} pictures were not read (RAG_BOT_PARSE_SECONDS)")
    return builder.build("", media_type, title_of(name))


def find_places(data: bytes, wanted: Sequence[Wanted]) -> list[PagePlaces]:
    """Where the wanted parts of the text stand on the pictures, in pixels as they are shown."""
    if not ocr.installed():
        raise UnsupportedFormat(f"is a picture: {ocr.INSTALL}")
    scans: dict[int, Scan] = {}
    with _open(data) as picture:
        count = _count(picture)

        @cache
        def letters(number: int) -> Letters:
            if not 0 < number <= count:
                return Letters()
            scans[number] = read_scan(_frame(picture, number))
            return letters_of(scans[number].items)

        found = find_letters(wanted, letters)
    return [scans[number].as_shown(number, boxes) for number, boxes in sorted(found.items())]


def _open(data: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BrokenDocument("is a broken picture, or one of a kind that can't be read") from error
    if picture.width * picture.height > _MOST_PIXELS:
        picture.close()
        raise TooLarge(f"has {picture.width:,} by {picture.height:,} pixels, more than {_MOST_PIXELS:,} in all")
    return picture


def _count(picture: Any) -> int:
    """How many pages it has; the pictures of an animation are none."""
    return int(getattr(picture, "n_frames", 1)) if picture.format == "TIFF" else 1


def _frame(picture: Any, number: int) -> Any:
    """One picture of the file as an RGB array, turned as its camera says, on white where it is see-through."""
    import numpy as np
    from PIL import Image, ImageOps

    try:
        picture.seek(number - 1)
        frame = ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise BrokenDocument("is a broken picture: it is cut short or damaged") from error
    paper = Image.new("RGBA", frame.size, "white")
    return np.asarray(Image.alpha_composite(paper, frame).convert("RGB"))
