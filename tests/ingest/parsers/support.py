"""What the parsers' tests share: a short view of a parsed document, and the promises that hold for every one."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from ingest.errors import DocumentError
from ingest.parsers import parse
from ingest.places import label, within
from ingest.types import Parsed

Lines = list[tuple[float, float, str]]  # (x, y, text)


def view(parsed: Parsed) -> list[tuple[str, str]]:
    """The blocks as (kind, text)."""
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def texts(parsed: Parsed) -> list[str]:
    """The blocks' texts."""
    return [text for _, text in view(parsed)]


def place_of(parsed: Parsed, words: str) -> str | None:
    """Where in its file some text stands, as a citation of it would say."""
    start = parsed.text.index(words)
    places = [place for block in parsed.blocks for place in block.places]
    return label(within(places, start, start + len(words)))


def hidden(parsed: Parsed) -> list[tuple[str, str]]:
    """What is noted as hidden: (in which way, what it says)."""
    return [(one.kind, one.beside or parsed.text[one.start : one.end]) for one in parsed.hidden]


def zip_of(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip archive with these entries, in this order."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def check(parsed: Parsed) -> Parsed:
    """Blocks stand in order inside the text, hold something, don't overlap, and leave out nothing but the space between."""
    reached = 0
    for block in parsed.blocks:
        assert reached <= block.start < block.end <= len(parsed.text)
        assert not parsed.text[reached : block.start].strip()
        assert parsed.text[block.start : block.end].strip()
        if block.header:
            assert block.kind == "table" and block.start == block.header[0] < block.header[1] <= block.end
        assert all(block.start <= place.start < block.end for place in block.places)
        assert list(block.places) == sorted(block.places, key=lambda place: place.start)
        reached = block.end
    assert not parsed.text[reached:].strip()
    parsed.text.encode()
    parsed.title.encode()
    assert parsed.title
    return parsed


def outcome(data: bytes, name: str) -> str:
    """What becomes of a file: the reason why it is refused, or `taken`, with the promises checked."""
    try:
        check(parse(data, name))
    except DocumentError as error:
        return str(error)
    return "taken"


def make_docx(fill: Callable[[Any], None]) -> bytes:
    """A Word document that `fill` writes into."""
    import docx

    document = docx.Document()
    fill(document)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def make_pdf(story: list[Any], **properties: Any) -> bytes:
    """A PDF laid out by reportlab."""
    from reportlab.platypus import SimpleDocTemplate

    stream = io.BytesIO()
    SimpleDocTemplate(stream, **properties).build(story)
    return stream.getvalue()


def draw_pdf(pages: list[Lines], font: str = "Helvetica", size: float = 11, **options: Any) -> bytes:
    """A PDF with lines of text exactly where they are put: (x, y, text)."""
    from reportlab.pdfgen import canvas

    stream = io.BytesIO()
    drawing = canvas.Canvas(stream, **options)
    for page in pages:
        drawing.setFont(font, size)
        for x, y, text in page:
            drawing.drawString(x, y, text)
        drawing.showPage()
    drawing.save()
    return stream.getvalue()
