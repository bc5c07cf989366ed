"""Excel workbooks."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from ingest.errors import BrokenDocument, TooLarge
from ingest.parsers import parse
from ingest.parsers.xlsx import MEDIA_TYPE, parse_xlsx
from tests.ingest.parsers.support import check, hidden, place_of, texts, view, zip_of


def make_xlsx(fill: Callable[[Any], None]) -> bytes:
    """A workbook that `fill` writes into."""
    import openpyxl

    book = openpyxl.Workbook()
    fill(book)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def in_sheet(xml: str, around: str = "") -> bytes:
    """A workbook whose one sheet holds these rows as they are."""
    names = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://x/relationships"'
    rels = "http://schemas.openxmlformats.org/package/2006/relationships"
    return zip_of(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": f'<Relationships xmlns="{rels}"><Relationship Id="r1" Type="x/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook {names}><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{rels}"><Relationship Id="r1" Type="x/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/worksheets/sheet1.xml": f"{around}<worksheet {names}><sheetData>{xml}</sheetData></worksheet>",
        }
    )


def test_sheets_tables_and_the_ranges_they_stand_at() -> None:
    def fill(book: Any) -> None:
        sheet = book.active
        sheet.title = "Q1"
        for row in (["Sales of the first quarter"], ["Region", "Units", "Share"], ["North", 1234.5, 0.25], ["South", 7, 0.755]):
            sheet.append(row)
        for number in (3, 4):
            sheet.cell(number, 2).number_format = '#,##0.00 "kg"'
            sheet.cell(number, 3).number_format = "0%"
        sheet["B8"] = "Checked by"
        sheet["C8"] = date(2024, 7, 1)
        sheet["C8"].number_format = "d mmm yyyy"
        book.create_sheet("Q2").append(["later"])

    parsed = check(parse(make_xlsx(fill), "sales.xlsx"))
    assert view(parsed) == [
        ("heading", "Q1"),
        ("text", "Sales of the first quarter"),
        ("table", "| Region | Units | Share |\n| --- | --- | --- |\n| North | 1,234.50 kg | 25% |\n| South | 7.00 kg | 76% |"),
        ("text", "Checked by | 1 Jul 2024"),
        ("heading", "Q2"),
        ("text", "later"),
    ]
    assert (parsed.title, parsed.media_type) == ("sales", MEDIA_TYPE)
    assert place_of(parsed, "Sales of") == "Sheet 'Q1', A1:C1"
    assert place_of(parsed, "| South | 7.00 kg | 76% |") == "Sheet 'Q1', A4:C4"
    assert place_of(parsed, "| North | 1,234.50 kg | 25% |\n| South") == "Sheet 'Q1', A3:C4"
    assert place_of(parsed, "Checked by") == "Sheet 'Q1', B8:C8"
    assert place_of(parsed, "later") == "Sheet 'Q2', A1"
    assert parsed.blocks[2].heading == ("Q1",)


def test_hidden_sheets_rows_columns_and_comments() -> None:
    def fill(book: Any) -> None:
        from openpyxl.comments import Comment

        sheet = book.active
        for row in (["Name", "Pay", "Secret"], ["Ann", 1, "x"], ["Bob", 2, "y"], ["Cy", 3, "z"]):
            sheet.append(row)
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["C"].hidden = True
        sheet["A2"].comment = Comment("ask her", "me")
        sheet["B4"].number_format = ";;;"
        other = book.create_sheet("Lists")
        other.append(["out of sight"])
        other.sheet_state = "hidden"

    parsed = check(parse(make_xlsx(fill), "a.xlsx"))
    assert texts(parsed) == ["Sheet", "| Name | Pay |\n| --- | --- |\n| Ann | 1 |\n| Cy |  |"]
    assert hidden(parsed) == [
        ("hidden row", "Bob 2 y"),
        ("not displayed", "3"),
        ("comment", "ask her"),
        ("hidden column", "Secret x z"),
        ("hidden sheet", "Lists out of sight"),
    ]
    assert place_of(parsed, "| Cy |") == "Sheet 'Sheet', A4:B4"


def test_white_and_tiny_text() -> None:
    def fill(book: Any) -> None:
        from openpyxl.styles import Font, PatternFill

        sheet = book.active
        for row in (["Seen", "Other"], ["a", "b"]):
            sheet.append(row)
        sheet["A2"].font = Font(color="FFFFFFFF")
        sheet["B2"].font = Font(sz=1)
        sheet["A1"].font = Font(color="FFFFFFFF")
        sheet["A1"].fill = PatternFill("solid", fgColor="FF000080")

    parsed = parse(make_xlsx(fill), "a.xlsx")
    assert hidden(parsed) == [("white", "a"), ("tiny", "b")]
    assert all(one.sure for one in parsed.hidden)


def test_merged_cells_and_a_header_of_two_lines() -> None:
    def fill(book: Any) -> None:
        sheet = book.active
        for row in (
            ["Region", "2023", None, "2024", None],
            [None, "Q1", "Q2", "Q1", "Q2"],
            ["North", 1, 2, 3, 4],
            [None, 5, 6, 7, 8],
        ):
            sheet.append(row)
        for area in ("A1:A2", "B1:C1", "D1:E1", "A3:A4"):
            sheet.merge_cells(area)

    parsed = check(parse(make_xlsx(fill), "a.xlsx"))
    assert texts(parsed)[1] == (
        "| Region | 2023 Q1 | 2023 Q2 | 2024 Q1 | 2024 Q2 |\n| --- | --- | --- | --- | --- |\n"
        "| North | 1 | 2 | 3 | 4 |\n| North | 5 | 6 | 7 | 8 |"
    )
    assert place_of(parsed, "| North | 5 |") == "Sheet 'Sheet', A4:E4"


def test_tables_beside_one_another_are_two_and_a_gap_is_no_reason() -> None:
    def fill(book: Any) -> None:
        sheet = book.active
        for row in (
            ["a", "b", None, "c", "d"],
            [1, 2, None, 3, 4],
            [5, 6, None, 7, 8],
            [],
            ["No.", None, "What"],
            ["1.1", None, "Voltage"],
        ):
            sheet.append(row)

    parsed = check(parse(make_xlsx(fill), "a.xlsx"))
    assert texts(parsed)[1:] == [
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 5 | 6 |",
        "| c | d |\n| --- | --- |\n| 3 | 4 |\n| 7 | 8 |",
        "| No. | What |\n| --- | --- |\n| 1.1 | Voltage |",
    ]
    assert place_of(parsed, "| 7 | 8 |") == "Sheet 'Sheet', D3:E3"
    assert place_of(parsed, "| 1.1 | Voltage |") == "Sheet 'Sheet', A6:C6"


def test_formulas_show_what_was_computed_or_else_themselves() -> None:
    data = in_sheet(
        '<row r="1"><c r="A1"><f>1+1</f><v>2</v></c><c r="B1" t="str"><f>"a"</f><v>a</v></c><c r="C1"><f>SUM(A1:A2)</f></c>'
        '<c r="D1" t="b"><v>1</v></c><c r="E1" t="e"><v>#DIV/0!</v></c>'
        '<c r="F1" t="inlineStr"><is><t>in_x000a_line</t></is></c></row>'
    )
    assert texts(check(parse_xlsx(data, "a.xlsx")))[1] == "2 | a | =SUM(A1:A2) | TRUE | #DIV/0! | in line"


def test_a_cell_whose_number_is_none_shows_what_it_holds() -> None:
    assert texts(parse_xlsx(in_sheet('<row r="1"><c r="A1"><v>1,5</v></c><c r="B1"><v>2</v></c></row>'), "a.xlsx"))[1:] == [
        "1,5 | 2"
    ]


def test_rows_and_cells_without_names_are_counted() -> None:
    parsed = check(parse_xlsx(in_sheet("<row><c><v>1</v></c></row><row><c/><c><v>2</v></c></row>"), "a.xlsx"))
    assert place_of(parsed, "2") == "Sheet 'A', A2:B2"


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="999999999"><c r="ZZZZ99999999"><v>1</v></c></row><row r="1"><c r="A1"><v>seen</v></c></row>',
        '<row r="x"><c r="A1"><v>1</v></c></row>',
        '<row r="1"><c r="A1" t="s"><v>99</v></c></row>',
        '<row r="1"><c r="A1" s="99"><v>nan</v></c></row>',
        '<row r="1"><c r="A1"><v>1e400</v></c></row>',
        "<row><row><row/></row>",
    ],
)
def test_odd_sheets_give_a_document_or_a_reason(rows: str) -> None:
    from tests.ingest.parsers.support import outcome

    assert outcome(in_sheet(rows), "a.xlsx")


def test_huge_merges_and_entities_are_harmless() -> None:
    rows = '<row r="1"><c r="A1" t="inlineStr"><is><t>x</t></is></c></row></sheetData><mergeCells>'
    rows += '<mergeCell ref="A1:XFD1048576"/>' * 50 + "</mergeCells><sheetData>"
    assert texts(check(parse_xlsx(in_sheet(rows), "a.xlsx"))) == ["A", "x"]
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    data = in_sheet('<row r="1"><c r="A1" t="inlineStr"><is><t>seen&b;&f;</t></is></c></row>', bomb)
    assert texts(parse(data, "a.xlsx"))[1] == "seen"


def test_a_bomb_and_a_broken_archive() -> None:
    data = make_xlsx(lambda book: book.active.append(["x"]))
    with pytest.raises(BrokenDocument, match="cut short or damaged"):
        parse(data[: len(data) // 2], "a.xlsx")
    with pytest.raises(TooLarge, match="times its size"):
        parse(in_sheet("<row/>" * 2_000_000), "a.xlsx")
    with pytest.raises(BrokenDocument, match="parts of it are missing"):
        parse(zip_of({"xl/workbook.xml.rels": "x", "xl/workbook.xml/x": "x"}), "a.xlsx")


def test_titles_of_charts_stand_below_the_cells() -> None:
    def fill(book: Any) -> None:
        from openpyxl.chart import LineChart, Reference

        sheet = book.active
        for row in (["Year", "Ducks"], [2023, 120], [2024, 130]):
            sheet.append(row)
        chart = LineChart()
        chart.title = "Ducks by year"
        chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
        sheet.add_chart(chart, "E5")

    parsed = check(parse(make_xlsx(fill), "a.xlsx"))
    assert texts(parsed)[1:] == [
        "| Year | Ducks |\n| --- | --- |\n| 2023 | 120 |\n| 2024 | 130 |",
        "Ducks by year",
    ]
    assert place_of(parsed, "Ducks by year") == "Sheet 'Sheet'"
