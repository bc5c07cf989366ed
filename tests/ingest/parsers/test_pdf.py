"""PDF."""

from __future__ import annotations

import io

import pytest
from reportlab.lib import colors
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen import canvas
from reportlab.platypus import ListFlowable, PageBreak, Paragraph, Table

from ingest.errors import BrokenDocument, EmptyDocument, Encrypted
from ingest.parsers import parse
from ingest.parsers.passwords import trying
from ingest.parsers.pdf import parse_pdf
from tests.ingest.parsers.support import Lines, check, draw_pdf, make_pdf, texts, view

STYLES = getSampleStyleSheet()
LEAVE = "Every full-time employee has twenty-five days of leave a year, and one day more for each full year of service. " * 4
SICK = (
    "Who falls ill calls the office before nine and brings a note from the third day on, weekends and holidays included. " * 3
)


def test_paragraphs_headings_and_pages() -> None:
    story = [
        Paragraph("Staff Handbook", STYLES["Title"]),
        Paragraph("Leave", STYLES["Heading2"]),
        Paragraph(LEAVE, STYLES["BodyText"]),
        Paragraph(SICK, STYLES["BodyText"]),
        ListFlowable([Paragraph(words, STYLES["BodyText"]) for words in ("Apply early.", LEAVE)], bulletType="bullet"),
        PageBreak(),
        Paragraph("Pay", STYLES["Heading2"]),
        Paragraph("Wages are paid on the 25th.", STYLES["BodyText"]),
    ]
    document = check(parse_pdf(make_pdf(story), "hand_book.pdf"))
    assert view(document) == [
        ("heading", "Staff Handbook"),
        ("heading", "Leave"),
        ("text", LEAVE.strip()),
        ("text", SICK.strip()),
        ("text", "Apply early."),
        ("text", LEAVE.strip()),
        ("heading", "Pay"),
        ("text", "Wages are paid on the 25th."),
    ]
    assert [block.page for block in document.blocks] == [1, 1, 1, 1, 1, 1, 2, 2]
    assert document.blocks[-1].heading == ("Staff Handbook", "Pay")
    assert (document.title, document.media_type) == ("Staff Handbook", "application/pdf")


def test_a_ruled_table_keeps_rows_with_wrapped_cells_whole() -> None:
    cell = Paragraph("Includes the islands, the harbour and all of the old town", STYLES["BodyText"])
    rows: list[list[object]] = [["Region", "Days", "Note"], ["North", "25", ""], ["South", "26", cell]]
    grid = Table(rows, colWidths=[80, 60, 120], style=[("GRID", (0, 0), (-1, -1), 0.5, colors.black)])
    story = [Paragraph("Before.", STYLES["BodyText"]), grid, Paragraph("After.", STYLES["BodyText"])]
    assert view(check(parse_pdf(make_pdf(story), "a.pdf"))) == [
        ("text", "Before."),
        (
            "table",
            "| Region | Days | Note |\n| --- | --- | --- |\n| North | 25 |  |\n"
            "| South | 26 | Includes the islands, the harbour and all of the old town |",
        ),
        ("text", "After."),
    ]


def test_lines_whose_words_stand_in_columns_are_a_table() -> None:
    rows = [["Region", "Days"], ["North", "25"], ["South West", "26"], ["East", ""]]
    document = parse_pdf(make_pdf([Table(rows, colWidths=[120, 60])]), "a.pdf")
    assert texts(document)[0] == "| Region | Days |\n| --- | --- |\n| North | 25 |\n| South West | 26 |"


def test_hyphens_at_line_ends() -> None:
    lines = [
        "The office is responsible for ser-",
        "vice, for twenty-",
        "five days a year for the well-",
        "being of all non-",
        "EU staff.",
    ]
    data = draw_pdf([[(72, 700 - 14 * row, line) for row, line in enumerate(lines)]])
    document = parse_pdf(data, "a.pdf")
    assert texts(document) == [
        "The office is responsible for service, for twenty-five days a year for the well-being of all non-EU staff."
    ]


def test_a_sentence_that_runs_over_the_page_break_is_whole() -> None:
    first: Lines = [(72, 700, "Leave is granted by the head of the office, and in August only where"), (300, 40, "Page 1")]
    second: Lines = [(72, 700, "two others are present. What is not taken lapses in March."), (300, 40, "Page 2")]
    third: Lines = [(72, 700, "The end."), (300, 40, "Page 3")]
    document = check(parse_pdf(draw_pdf([first, second, third]), "a.pdf"))
    assert [(block.page, text) for block, text in zip(document.blocks, texts(document), strict=True)] == [
        (1, "Leave is granted by the head of the office, and in August only where two others are present."),
        (1, "Page 1"),
        (2, "What is not taken lapses in March."),
        (2, "Page 2"),
        (3, "The end."),
        (3, "Page 3"),
    ]


def test_the_outline_tells_headings_and_their_levels() -> None:
    stream = io.BytesIO()
    drawing = canvas.Canvas(stream)
    for level, title, text in ((0, "Part one", "Some text."), (1, "Leave", "More text."), (0, "Part two", "The rest.")):
        drawing.bookmarkPage(title)
        drawing.addOutlineEntry(title, title, level)
        drawing.drawString(72, 700, title)
        drawing.drawString(72, 600, text)
        drawing.showPage()
    drawing.save()
    document = parse_pdf(stream.getvalue(), "a.pdf")
    assert [block.heading for block in document.blocks if block.kind == "text"] == [
        ("Part one",),
        ("Part one", "Leave"),
        ("Part two",),
    ]


@pytest.mark.parametrize(("title", "kept"), [("Leave policy", True), ("untitled", False), ("Microsoft Word - x.doc", False)])
def test_a_title_in_the_properties_counts_if_a_person_gave_it(title: str, kept: bool) -> None:
    data = make_pdf([Paragraph("Text.", STYLES["BodyText"])], title=title)
    assert parse_pdf(data, "the_name.pdf").title == (title if kept else "the name")


def test_two_columns_are_read_one_after_the_other() -> None:
    left = [f"left {words} of a column that is" for words in ("one", "two", "three", "four")]
    right = [f"right {words} of a column that is" for words in ("one", "two", "three", "four")]
    lines: Lines = [(72, 700 - 14 * row, line) for row, line in enumerate(left)]
    lines += [(320, 700 - 14 * row, line) for row, line in enumerate(right)]
    assert " ".join(texts(parse_pdf(draw_pdf([lines]), "a.pdf"))) == " ".join(left + right)


def test_an_empty_page_is_no_picture() -> None:
    assert parse_pdf(draw_pdf([[(72, 700, "Some text.")], []]), "a.pdf").notes == ()
    with pytest.raises(EmptyDocument, match="holds no text: nothing stands on its pages"):
        parse_pdf(draw_pdf([[]]), "a.pdf")


def test_passwords_are_tried_in_turn() -> None:
    locked = draw_pdf([[(72, 700, "Secret.")]], encrypt=StandardEncryption("open sesame", canPrint=0))
    with pytest.raises(Encrypted, match="needs a password: RAG_BOT_PASSWORDS names none"):
        parse_pdf(locked, "a.pdf")
    with trying(["wrong", "open sesame"]):
        assert texts(parse_pdf(locked, "a.pdf")) == ["Secret."]
    with trying(["wrong", "sesame"]), pytest.raises(Encrypted) as refused:
        parse_pdf(locked, "a.pdf")
    assert str(refused.value) == "needs a password, and none in RAG_BOT_PASSWORDS opens it"


def test_a_broken_pdf() -> None:
    with pytest.raises(BrokenDocument, match="broken PDF"):
        parse(b"%PDF-1.7\n" + b"rubbish " * 100, "a.pdf")
