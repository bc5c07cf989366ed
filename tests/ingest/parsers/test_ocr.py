"""Scans and pictures: what OCR reads on them, with page and box; and what is said where it is not installed."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from ingest.errors import BrokenDocument, EmptyDocument, TooLarge, UnsupportedFormat
from ingest.pages import wanted_at
from ingest.parsers import find_places, ocr, parse
from ingest.parsers.pool import ParserPool
from ingest.types import PagePlaces
from tests.ingest.parsers.support import check, texts

needs_ocr = pytest.mark.skipif(not ocr.installed(), reason="needs the extra `ocr`")

PARKING = "The parking garage opens at six in the morning."
Placed = tuple[int, int, str]  # from the left, from the top, words


def drawn(*lines: Placed, size: tuple[int, int] = (900, 500)) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(26)
    for x, y, words in lines:
        pen.text((x, y), words, "black", font)
    return picture


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def scanned(*pages: Image.Image | str) -> bytes:
    """A PDF of pages that are pictures, or text."""
    stream = io.BytesIO()
    drawing = canvas.Canvas(stream, pagesize=(450, 250))
    for page in pages:
        if isinstance(page, str):
            drawing.drawString(40, 200, page)
        else:
            drawing.drawImage(ImageReader(page), 0, 0, 450, 250)
        drawing.showPage()
    drawing.save()
    return stream.getvalue()


def places_of(data: bytes, name: str, quote: str) -> list[PagePlaces]:
    parsed = parse(data, name)
    start = parsed.text.index(quote)
    return find_places(data, name, wanted_at(parsed.text, parsed.blocks, start, start + len(quote)))


def dark(picture: Image.Image, boxes: Sequence[tuple[float, float, float, float]], scale: float = 1.0) -> tuple[int, int]:
    """Dark pixels of the picture inside the boxes and outside of them all; a box counts in pixels divided by `scale`."""
    inside = outside = 0
    for index, grey in enumerate(picture.convert("L").tobytes()):
        if grey < 128:
            x, y = index % picture.width / scale, index // picture.width / scale
            held = any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)
            inside, outside = inside + held, outside + (not held)
    return inside, outside


@needs_ocr
def test_a_picture_is_read() -> None:
    document = check(parse(saved(drawn((60, 100, PARKING), (60, 140, "Visitors park in the street."))), "garage_sign.png"))
    assert " ".join(texts(document)) == f"{PARKING} Visitors park in the street."
    assert (document.title, document.media_type, document.blocks[0].page) == ("garage sign", "image/png", 1)


@needs_ocr
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_quote_on_a_picture_has_a_box_also_if_the_picture_lies_on_its_side(turns: int) -> None:
    picture = drawn((60, 100, "What stands above it."), (60, 180, PARKING), (60, 260, "What stands below it."))
    alone = drawn((60, 180, PARKING))
    place = places_of(saved(picture.rotate(90 * turns, expand=True)), "a.png", PARKING)[0]
    assert (place.width, place.height) == ((900, 500) if turns % 2 == 0 else (500, 900))
    inside, outside = dark(alone.rotate(90 * turns, expand=True), place.boxes)
    assert outside <= inside / 50, "all of the quote is in its boxes"
    inside, outside = dark(picture.rotate(90 * turns, expand=True), place.boxes)
    assert 0.5 * inside < outside < 2 * inside, "and the lines around it are not"


@needs_ocr
def test_words_of_a_line_have_boxes_of_their_own() -> None:
    [box] = places_of(saved(drawn((60, 180, PARKING))), "a.png", "six in the morning")[0].boxes
    [whole] = places_of(saved(drawn((60, 180, PARKING))), "a.png", PARKING)[0].boxes
    assert whole[0] + 200 < box[0] < box[2] <= whole[2] + 1


@needs_ocr
def test_two_columns_are_read_one_after_the_other_below_what_stands_over_both() -> None:
    left = [(40, 120 + 40 * row, f"left line number {row} is long") for row in range(5)]
    right = [(500, 120 + 40 * row, f"right line number {row} is long") for row in range(5)]
    picture = drawn((200, 30, "This title stands over both of the columns"), *left, *right)
    read = " ".join(texts(parse(saved(picture), "a.png")))
    places = [read.index(f"{side} line number {row}") for side in ("left", "right") for row in range(5)]
    assert read.startswith("This title") and places == sorted(places)


@needs_ocr
def test_rows_of_a_table_stay_together() -> None:
    rows = [("Region", "Days", "Note"), ("North", "25", "none"), ("South", "26", "islands"), ("East", "27", "forest")]
    cells = [(60 + 280 * x, 60 + 60 * y, words) for y, row in enumerate(rows) for x, words in enumerate(row)]
    document = parse(saved(drawn(*cells)), "a.png")
    assert texts(document) == [
        "| Region | Days | Note |\n| --- | --- | --- |\n| North | 25 | none |\n| South | 26 | islands |\n| East | 27 | forest |"
    ]


@needs_ocr
def test_the_pages_of_a_scan_are_read_and_those_with_text_are_not() -> None:
    picture = drawn((80, 200, PARKING))
    data = scanned("This page carries its text.", picture, Image.new("RGB", (90, 50), "navy"))
    document = check(parse(data, "a.pdf"))
    assert [(block.page, text) for block, text in zip(document.blocks, texts(document), strict=True)] == [
        (1, "This page carries its text."),
        (2, PARKING),
    ]
    assert document.notes == ("page 3 of 3 is a picture without text",)
    [place] = places_of(data, "a.pdf", PARKING)
    assert place.page == 2
    assert [place.width, place.height] == pytest.approx([450, 250], abs=1)
    inside, outside = dark(picture, place.boxes, scale=2)
    assert inside > 500 and outside <= inside / 50


@needs_ocr
def test_each_picture_of_a_file_is_a_page() -> None:
    pictures = [drawn((60, 100, words)) for words in ("The first page.", "The second page.")]
    document = parse(saved(pictures[0], "TIFF", save_all=True, append_images=pictures[1:]), "a.tiff")
    assert [(block.page, text) for block, text in zip(document.blocks, texts(document), strict=True)] == [
        (1, "The first page."),
        (2, "The second page."),
    ]


@needs_ocr
def test_it_works_in_the_closed_up_child() -> None:
    data = saved(drawn((60, 100, PARKING)), "JPEG")
    with ParserPool(120, 2048, size=1) as pool:
        assert texts(pool(None, "a.jpg", data)) == [PARKING]


@needs_ocr
def test_when_the_time_is_up_the_rest_is_told() -> None:
    with ocr.until(time.monotonic() - 1):
        document = parse(scanned("This page carries its text.", drawn((80, 200, PARKING))), "a.pdf")
    assert texts(document) == ["This page carries its text."]
    assert document.notes == ("page 2 of 2 is a picture without text: there was no time for all (RAG_BOT_PARSE_SECONDS)",)


@needs_ocr
def test_pictures_that_can_not_be_read() -> None:
    whole = saved(drawn((60, 100, PARKING)))
    for data in (whole[: len(whole) // 2], b"\x89PNG\r\n\x1a\nrubbish"):
        with pytest.raises(BrokenDocument, match="is a broken picture"):
            parse(data, "a.png")
    with pytest.raises(TooLarge, match="has 10,000 by 9,000 pixels"):
        parse(saved(Image.new("1", (10_000, 9_000))), "a.png")
    with pytest.raises(EmptyDocument, match="OCR read no words on it"):
        parse(saved(Image.new("RGB", (200, 200), "navy")), "a.png")


def test_without_ocr_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "installed", lambda: False)
    with pytest.raises(UnsupportedFormat, match=r"is a picture: install rag-bot\[ocr\] to read it"):
        parse(saved(drawn()), "a.png")
    with pytest.raises(EmptyDocument, match=r"page 1 of 1 is a picture without text: install rag-bot\[ocr\] to read it"):
        parse(scanned(drawn((80, 200, PARKING))), "a.pdf")
    notes = parse(scanned("Some text.", drawn(), "More.", drawn()), "a.pdf").notes
    assert notes == ("2 of 4 pages are pictures without text (2, 4): install rag-bot[ocr] to read it",)
