"""Where a quote stands on a PDF's pages: held against the ink of the drawn page, not against the parser's own numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pypdfium2
import pytest
from reportlab.lib import colors
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, Table

from ingest.errors import BrokenDocument, Encrypted
from ingest.pages import wanted_at
from ingest.parsers import find_places, parse
from ingest.parsers.passwords import trying
from ingest.parsers.pool import ParserPool
from ingest.types import PagePlaces
from tests.ingest.parsers.support import Lines, draw_pdf, make_pdf

BODY = getSampleStyleSheet()["BodyText"]
SCALE = 4  # pixels for a point


def places_of(data: bytes, quote: str, nth: int = 0) -> list[PagePlaces]:
    """The places of the quote where it stands for the `nth` time."""
    parsed = parse(data, "a.pdf")
    start = -1
    for _ in range(nth + 1):
        start = parsed.text.index(quote, start + 1)
    return find_places(data, "a.pdf", wanted_at(parsed.text, parsed.blocks, start, start + len(quote)))


def ink(data: bytes, page: int, boxes: Sequence[tuple[float, float, float, float]]) -> tuple[int, int]:
    """How many dark pixels the page as it is shown has inside the boxes, and outside of them all."""
    with pypdfium2.PdfDocument(data) as document:
        picture = document[page - 1].render(scale=SCALE, grayscale=True).to_pil()
    dark = {(i % picture.width, i // picture.width) for i, grey in enumerate(picture.tobytes()) if grey < 128}
    inside = {
        (x, y)
        for x, y in dark
        if any(left <= x / SCALE <= right and top <= y / SCALE <= bottom for left, top, right, bottom in boxes)
    }
    return len(inside), len(dark - inside)


def only(places: list[PagePlaces]) -> PagePlaces:
    assert len(places) == 1
    return places[0]


def test_the_boxes_hold_all_the_ink_of_the_quote_and_none_other() -> None:
    alone = draw_pdf([[(72, 600, "Wages are paid on the 25th.")]])
    among: Lines = [(72, 630, "What stands above."), (72, 600, "Wages are paid on the 25th."), (72, 570, "What stands below.")]
    whole, none = ink(alone, 1, only(places_of(alone, "Wages are paid on the 25th.")).boxes)
    assert whole > 500 and none == 0
    place = only(places_of(draw_pdf([among]), "Wages are paid on the 25th."))
    assert (place.page, len(place.boxes)) == (1, 1)
    assert (place.width, place.height) == pytest.approx((595.28, 841.89), abs=0.02)
    assert ink(draw_pdf([among]), 1, place.boxes)[0] == whole


def test_words_within_a_line() -> None:
    box = only(places_of(draw_pdf([[(72, 600, "Wages are paid on the 25th.")]]), "paid on")).boxes[0]
    alone = only(places_of(draw_pdf([[(72, 600, "Wages are")]]), "Wages are")).boxes[0]
    assert box[0] > alone[2]
    assert box[2] - box[0] == pytest.approx(36, abs=4)


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_a_page_that_is_turned_or_cropped(turned: int) -> None:
    stream = io.BytesIO()
    with pypdfium2.PdfDocument(draw_pdf([[(72, 600, "Only this line is on the page."), (72, 720, "Cut off.")]])) as document:
        document[0].set_cropbox(50, 100, 450, 700)
        document[0].set_rotation(turned)
        document.save(stream)
    data = stream.getvalue()
    place = only(places_of(data, "Only this line is on the page."))
    assert (place.width, place.height) == ((400, 600) if turned in (0, 180) else (600, 400))
    inside, outside = ink(data, 1, place.boxes)
    assert inside > 500 and outside < 10  # pixels on the boxes' edges


def test_a_quote_over_lines_has_a_box_for_each() -> None:
    text = "Every full-time employee has twenty-five days of leave a year, and one day more for each full year of service. " * 2
    place = only(places_of(make_pdf([Paragraph(text, BODY)]), text.strip()))
    assert len(place.boxes) == 3
    assert [box[1] for box in place.boxes] == sorted(box[1] for box in place.boxes)


def test_a_quote_in_the_second_of_two_columns() -> None:
    left: Lines = [(72, 700 - 14 * row, f"left line {row} of a column that is") for row in range(5)]
    right: Lines = [(320, 700 - 14 * row, f"right line {row} of a column that is") for row in range(5)]
    place = only(places_of(draw_pdf([left + right]), "right line 1 of a column that is right line 2 of a column that is"))
    assert len(place.boxes) == 2
    assert all(315 < box[0] < 325 for box in place.boxes)


def test_a_row_of_a_table() -> None:
    rows = [["Region", "Days"], ["North", "25"], ["South", "25"]]
    data = make_pdf([Table(rows, colWidths=[80, 60], style=[("GRID", (0, 0), (-1, -1), 0.5, colors.black)])])
    north, south = (only(places_of(data, f"| {name} | 25 |")) for name in ("North", "South"))
    assert len(north.boxes) == len(south.boxes) == 2
    assert north.boxes[0][3] <= south.boxes[0][1] + 3
    assert [box[0] for box in north.boxes] == pytest.approx([box[0] for box in south.boxes], abs=3)


def test_the_same_words_twice() -> None:
    data = draw_pdf([[(72, 700, "Ask the office first."), (72, 500, "In between."), (72, 300, "Ask the office first.")]])
    first, second = (only(places_of(data, "Ask the office first.", nth)).boxes[0][1] for nth in (0, 1))
    assert first == pytest.approx(841.89 - 711, abs=3)
    assert second == pytest.approx(841.89 - 311, abs=3)


def test_a_sentence_over_the_page_break_has_boxes_on_both_pages() -> None:
    first: Lines = [(72, 700, "Leave is granted by the head of the office, and in August only where"), (300, 40, "Page 1")]
    second: Lines = [(72, 650, "two others are pre-"), (72, 636, "sent. What is not taken lapses."), (300, 40, "Page 2")]
    quote = "Leave is granted by the head of the office, and in August only where two others are present."
    places = places_of(draw_pdf([first, second, [(72, 700, "The end."), (300, 40, "Page 3")]]), quote)
    assert [(place.page, len(place.boxes)) for place in places] == [(1, 1), (2, 2)]
    assert places[1].boxes[1][2] < 72 + 40, "the next sentence is not marked"


def test_what_is_not_there_has_no_place() -> None:
    data = draw_pdf([[(72, 700, "Some text.")]])
    other = parse(draw_pdf([[(72, 700, "Quite other words.")], [(72, 700, "And more.")]]), "a.pdf")
    assert find_places(data, "a.pdf", wanted_at(other.text, other.blocks, 0, len(other.text))) == []
    note = parse(b"Plain text has no pages.", "a.txt")
    assert wanted_at(note.text, note.blocks, 0, 5) == []
    assert find_places(b"Plain text.", "a.txt", wanted_at(other.text, other.blocks, 0, 5)) == []


def test_passwords_and_broken_files() -> None:
    locked = draw_pdf([[(72, 700, "Secret.")]], encrypt=StandardEncryption("sesame", canPrint=0))
    wanted = wanted_at("Secret.", parse(draw_pdf([[(72, 700, "Secret.")]]), "a.pdf").blocks, 0, 7)
    with pytest.raises(Encrypted, match="needs a password"):
        find_places(locked, "a.pdf", wanted)
    with trying(["sesame"]):
        assert len(find_places(locked, "a.pdf", wanted)) == 1
    with pytest.raises(BrokenDocument, match="broken PDF"):
        find_places(b"%PDF-1.7\nrubbish", "a.pdf", wanted)


def test_the_pool_finds_them_in_its_child(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(draw_pdf([[(72, 700, "Some text.")]], encrypt=StandardEncryption("sesame", canPrint=0)))
    with ParserPool(60, 1024, passwords=["sesame"]) as pool:
        parsed = pool(path, path.name)
        found = pool.places(path, path.name, wanted_at(parsed.text, parsed.blocks, 0, len(parsed.text)))
    with trying(["sesame"]):
        assert found == find_places(path.read_bytes(), path.name, wanted_at(parsed.text, parsed.blocks, 0, len(parsed.text)))
    assert len(found) == 1
