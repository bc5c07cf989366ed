"""OpenDocument texts, sheets and presentations."""

from __future__ import annotations

import pytest

from ingest.errors import BrokenDocument, Encrypted
from ingest.parsers import parse
from tests.ingest.parsers.support import check, hidden, outcome, place_of, texts, view, zip_of

_TYPE = "application/vnd.oasis.opendocument."
_NAMES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for short, name in {
        "office": "office", "text": "text", "table": "table", "style": "style", "draw": "drawing",
        "presentation": "presentation",
        "fo": "xsl-fo-compatible", "svg": "svg-compatible",
    }.items()
)  # fmt: skip


def make_odf(kind: str, body: str, styles: str = "", **parts: str) -> bytes:
    """A document of the kind `text`, `spreadsheet` or `presentation`."""
    content = (
        f"<office:document-content {_NAMES}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    return zip_of({"mimetype": _TYPE + kind, "content.xml": content, **parts})


def test_a_text_with_headings_lists_tables_and_notes() -> None:
    body = """
      <text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion></text:changed-region>
      </text:tracked-changes>
      <text:p text:style-name="T1">Handbook</text:p>
      <text:h text:outline-level="1">Leave</text:h>
      <text:p>Everyone  has<text:s text:c="2"/><text:span text:style-name="B">25 days</text:span>.<text:note>
      <text:note-citation>1</text:note-citation>
      <text:note-body><text:p>Full time.</text:p></text:note-body></text:note></text:p>
      <text:list><text:list-item><text:p>apply<text:tab/>early</text:p></text:list-item></text:list>
      <text:p/>
      <table:table>
      <table:table-row><table:table-cell><text:p>Region</text:p></table:table-cell>
      <table:table-cell><text:p>Days</text:p></table:table-cell></table:table-row>
      <table:table-row><table:table-cell table:number-rows-spanned="2"><text:p>North</text:p></table:table-cell>
      <table:table-cell><text:p>25</text:p></table:table-cell></table:table-row><table:table-row>
      <table:covered-table-cell/><table:table-cell><text:p>26</text:p></table:table-cell></table:table-row></table:table>
      <text:p><office:annotation><text:p>really?</text:p></office:annotation>Pale:
      <text:span text:style-name="W">ghost</text:span></text:p>
    """
    styles = (
        '<style:style style:name="T1" style:family="paragraph" style:parent-style-name="Title"/>'
        '<style:style style:name="W" style:family="text">'
        '<style:text-properties fo:color="#ffffff" fo:background-color="#FEFEFE"/></style:style>'
    )
    parsed = check(parse(make_odf("text", body, styles), "a.odt"))
    assert view(parsed) == [
        ("heading", "Handbook"),
        ("heading", "Leave"),
        ("text", "Everyone has  25 days."),
        ("text", "Full time."),
        ("text", "apply\tearly"),
        ("table", "| Region | Days |\n| --- | --- |\n| North | 25 |\n| North | 26 |"),
        ("text", "Pale: ghost"),
    ]
    assert hidden(parsed) == [("deleted", "gone"), ("white", "ghost"), ("comment", "really?")]
    assert parsed.blocks[2].heading == ("Handbook", "Leave")


def test_a_sheet_with_repeated_hidden_and_merged_cells() -> None:
    def row(*cells: str, more: str = "") -> str:
        return f"<table:table-row {more}>" + "".join(
            f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" if cell else "<table:table-cell/>" for cell in cells
        ) + "</table:table-row>"  # fmt: skip

    body = (
        '<table:table table:name="Q1"><table:table-column/>'
        '<table:table-column table:visibility="collapse"/><table:table-column/>'
        + row("Region", "secret", "Days")
        + row("North", "x", "25 d")
        + row("East", "y", "24 d", more='table:visibility="collapse"')
        + row("South", "z", "26 d")
        + '<table:table-row table:number-rows-repeated="1048570"><table:table-cell table:number-columns-repeated="16384"/>'
        "</table:table-row></table:table>"
        '<table:table table:name="Lists" table:style-name="H"><table:table-row><table:table-cell><text:p>unseen</text:p>'
        "</table:table-cell></table:table-row></table:table>"
    )
    styles = '<style:style style:name="H" style:family="table"><style:table-properties table:display="false"/></style:style>'
    parsed = check(parse(make_odf("spreadsheet", body, styles), "sales.ods"))
    assert texts(parsed) == ["Q1", "| Region | Days |\n| --- | --- |\n| North | 25 d |\n| South | 26 d |"]
    assert place_of(parsed, "| South | 26 d |") == "Sheet 'Q1', A4:C4"
    assert hidden(parsed) == [
        ("hidden row", "East 24 d"),
        ("hidden column", "secret x z"),
        ("hidden sheet", "Lists unseen"),
    ] or hidden(parsed) == [("hidden row", "East y 24 d"), ("hidden column", "secret x z"), ("hidden sheet", "Lists unseen")]
    assert parsed.title == "sales"


def test_slides_notes_and_hidden_slides() -> None:
    def page(title: str, text: str, more: str = "") -> str:
        return (
            f'<draw:page {more}><draw:frame presentation:class="title">'
            f"<draw:text-box><text:p>{title}</text:p></draw:text-box>"
            f"</draw:frame><draw:frame><draw:text-box><text:p>{text}</text:p></draw:text-box><svg:desc>A box</svg:desc>"
            "</draw:frame><presentation:notes><draw:frame><draw:text-box><text:p>Say it.</text:p></draw:text-box></draw:frame>"
            "</presentation:notes></draw:page>"
        )

    styles = (
        '<style:style style:name="H" style:family="drawing-page">'
        '<style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
    )
    body = page("Leave", "25 days") + page("Backup", "unseen", 'draw:style-name="H"') + page("Pay", "monthly")
    parsed = check(parse(make_odf("presentation", body, styles), "a.odp"))
    assert texts(parsed) == ["Leave", "25 days", "Notes:\nSay it.", "Pay", "monthly", "Notes:\nSay it."]
    assert [block.page for block in parsed.blocks] == [1, 1, 1, 3, 3, 3]
    assert place_of(parsed, "monthly") == "slide 3"
    assert ("hidden slide", "Backup unseen A box Say it.") in hidden(parsed)
    assert parsed.title == "Leave"


def test_encrypted_broken_and_hostile_files() -> None:
    data = make_odf("text", "<text:p>x</text:p>", **{"META-INF/manifest.xml": "<m><encryption-data/></m>"})
    with pytest.raises(Encrypted, match="needs a password"):
        parse(data, "a.odt")
    with pytest.raises(BrokenDocument, match="broken OpenDocument file: parts of it are missing"):
        parse(zip_of({"mimetype": _TYPE + "text"}), "a.odt")
    assert outcome(make_odf("text", "<text:section>" * 400), "a.odt")
    deep = "<text:span>" * 150 + "x" + "</text:span>" * 150
    assert outcome(make_odf("text", f"<text:p>{deep}</text:p>"), "a.odt")
    looped = "".join(
        f'<style:style style:name="{a}" style:family="text" style:parent-style-name="{b}"/>'
        for a, b in (("A", "B"), ("B", "A"))
    )
    assert texts(parse(make_odf("text", '<text:p><text:span text:style-name="A">x</text:span></text:p>', looped), "a.odt")) == [
        "x"
    ]


def test_comments_in_cells_are_no_text_and_fields_are() -> None:
    body = """<text:p>Dear <text:user-field-get>Ann</text:user-field-get>,
      <text:variable-set text:display="none">9</text:variable-set>see
      <text:bibliography-mark>[1]</text:bibliography-mark>.</text:p><table:table>
      <table:table-row><table:table-cell table:number-columns-repeated="2"><text:p>Days</text:p></table:table-cell>
      <table:table-cell><text:p>Note</text:p></table:table-cell></table:table-row>
      <table:table-row><table:table-cell><text:p>25</text:p></table:table-cell><table:table-cell table:style-name="C">
      <text:p>26</text:p></table:table-cell><table:table-cell><text:p>Full<office:annotation><text:p>ignore this</text:p>
      </office:annotation> time</text:p></table:table-cell></table:table-row></table:table>"""
    styles = (
        '<style:style style:name="C" style:family="table-cell"><style:text-properties fo:color="#ffffff"/>'
        '<style:table-cell-properties fo:background-color="#FFFFFF"/></style:style>'
    )
    parsed = check(parse(make_odf("text", body, styles), "a.odt"))
    assert texts(parsed) == [
        "Dear Ann, see [1].",
        "| Days | Days | Note |\n| --- | --- | --- |\n| 25 | 26 | Full time |",
    ]
    assert hidden(parsed) == [("comment", "ignore this"), ("white", "26")]


def test_what_white_cells_of_a_sheet_hold_and_comments_on_slides_are_noted() -> None:
    cell = '<table:table-cell table:style-name="C"><text:p>ghost</text:p></table:table-cell>'
    style = '<style:style style:name="C" style:family="table-cell"><style:text-properties fo:color="#ffffff"/>{}</style:style>'
    body = f'<table:table table:name="A"><table:table-row>{cell}</table:table-row></table:table>'
    assert hidden(parse(make_odf("spreadsheet", body, style.format("")), "a.ods")) == [("white", "ghost")]
    assert hidden(parse(make_odf("spreadsheet", body, style.format("<style:map/>")), "a.ods")) == []
    slide = (
        "<draw:page><office:annotation><text:p>why?</text:p></office:annotation><draw:frame><draw:text-box><text:p>Words</text:p>"
        "</draw:text-box></draw:frame></draw:page>"
    )
    parsed = check(parse(make_odf("presentation", slide), "a.odp"))
    assert (texts(parsed), hidden(parsed)) == (["Words"], [("comment", "why?")])
