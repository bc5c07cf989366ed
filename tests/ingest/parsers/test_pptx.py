"""PowerPoint presentations."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from ingest.errors import BrokenDocument
from ingest.parsers import parse
from ingest.parsers.pptx import MEDIA_TYPE
from tests.ingest.parsers.support import check, hidden, place_of, texts, view, zip_of


def make_pptx(fill: Callable[[Any], None]) -> bytes:
    """A presentation that `fill` writes into."""
    import pptx

    presentation = pptx.Presentation()
    presentation.core_properties.title = ""
    fill(presentation)
    stream = io.BytesIO()
    presentation.save(stream)
    return stream.getvalue()


def add_slide(presentation: Any, title: str, body: str = "") -> Any:
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = title
    slide.placeholders[1].text = body
    return slide


def test_slides_are_pages_with_titles_tables_and_notes() -> None:
    def fill(presentation: Any) -> None:
        from pptx.util import Inches

        first = add_slide(presentation, "Leave", "25 days\nApply early")
        first.notes_slide.notes_text_frame.text = "Say it slowly."
        second = add_slide(presentation, "Pay")
        table = second.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
        for index, text in enumerate(["Region", "Rate", "North", "4"]):
            table.cell(index // 2, index % 2).text = text

    parsed = check(parse(make_pptx(fill), "a.pptx"))
    assert view(parsed) == [
        ("heading", "Leave"),
        ("text", "25 days"),
        ("text", "Apply early"),
        ("text", "Notes:\nSay it slowly."),
        ("heading", "Pay"),
        ("table", "| Region | Rate |\n| --- | --- |\n| North | 4 |"),
    ]
    assert [block.page for block in parsed.blocks] == [1, 1, 1, 1, 2, 2]
    assert place_of(parsed, "Say it slowly.") == "slide 1"
    assert place_of(parsed, "| North | 4 |") == "slide 2"
    assert (parsed.title, parsed.media_type) == ("Leave", MEDIA_TYPE)


def test_hidden_slides_shapes_white_text_and_descriptions() -> None:
    def fill(presentation: Any) -> None:
        from pptx.dml.color import RGBColor
        from pptx.util import Inches, Pt

        slide = add_slide(presentation, "Seen", "words")
        box = slide.shapes.add_textbox(Inches(1), Inches(5), Inches(2), Inches(1))
        run = box.text_frame.paragraphs[0].add_run()
        run.text, run.font.size = "small", Pt(1)
        gone = slide.shapes.add_textbox(Inches(1), Inches(6), Inches(2), Inches(1))
        gone.text_frame.text = "not there"
        gone._element.nvSpPr.cNvPr.set("hidden", "1")
        box._element.nvSpPr.cNvPr.set("descr", "A box")
        white = slide.shapes.add_textbox(Inches(1), Inches(7), Inches(2), Inches(1))
        white.fill.solid()
        white.fill.fore_color.rgb = RGBColor(255, 255, 255)
        run = white.text_frame.paragraphs[0].add_run()
        run.text, run.font.color.rgb = "pale", RGBColor(254, 254, 254)
        add_slide(presentation, "Backup", "out of sight")._element.set("show", "0")

    parsed = check(parse(make_pptx(fill), "a.pptx"))
    assert texts(parsed) == ["Seen", "words", "small", "pale"]
    assert hidden(parsed) == [
        ("tiny", "small"), ("not displayed", "not there"), ("white", "pale"), ("alternative text", "A box"),
        ("hidden slide", "Backup out of sight"),
    ]  # fmt: skip
    assert parsed.hidden[-1].page == 2


def test_groups_merged_cells_and_charts() -> None:
    def fill(presentation: Any) -> None:
        from pptx.chart.data import CategoryChartData
        from pptx.enum.chart import XL_CHART_TYPE
        from pptx.util import Inches

        slide = presentation.slides.add_slide(presentation.slide_layouts[6])
        group = slide.shapes.add_group_shape()
        inner = group.shapes.add_group_shape()
        inner.shapes.add_textbox(Inches(1), Inches(1), Inches(1), Inches(1)).text_frame.text = "inside"
        table = slide.shapes.add_table(3, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
        for index, text in enumerate(["Region", "Rate", "North", "4", "", "5"]):
            table.cell(index // 2, index % 2).text = text
        table.cell(1, 0).merge(table.cell(2, 0))
        data = CategoryChartData()
        data.categories = ["2023", "2024"]
        data.add_series("Ducks", (120, 130))
        slide.shapes.add_chart(XL_CHART_TYPE.LINE, Inches(1), Inches(4), Inches(3), Inches(2), data)

    data = make_pptx(fill)
    expected = [
        "inside",
        "| Region | Rate |\n| --- | --- |\n| North | 4 |\n| North | 5 |",
        "|  | Ducks |\n| --- | --- |\n| 2023 | 120 |\n| 2024 | 130 |",
    ]
    assert texts(check(parse(data, "a.pptx"))) == expected
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    (chart,) = (name for name in parts if name.startswith("ppt/charts/chart"))
    assert texts(check(parse(zip_of({**parts, chart: "<broken"}), "a.pptx"))) == expected[:2]


def test_a_broken_presentation() -> None:
    data = make_pptx(lambda presentation: add_slide(presentation, "x"))
    with pytest.raises(BrokenDocument, match="broken PowerPoint presentation"):
        parse(data[: len(data) // 2], "a.pptx")


def test_a_hidden_group_is_no_text() -> None:
    def fill(presentation: Any) -> None:
        slide = add_slide(presentation, "Pay", "Seen")
        for words, is_hidden in (("Grouped", False), ("Unseen", True)):
            group = slide.shapes.add_group_shape()
            group.shapes.add_textbox(0, 0, 100, 100).text_frame.text = words
            if is_hidden:
                group._element.nvGrpSpPr.cNvPr.set("hidden", "1")

    parsed = check(parse(make_pptx(fill), "a.pptx"))
    assert texts(parsed) == ["Pay", "Seen", "Grouped"]
    assert hidden(parsed) == [("not displayed", "Unseen")]
