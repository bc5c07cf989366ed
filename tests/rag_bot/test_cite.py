"""From a place in a passage to a citation, and a table's row to its header and itself."""

from __future__ import annotations

import pytest

from rag_bot.cite import cite, cite_row
from rag_bot.types import Citation
from tests.rag_bot.support import Library, passage

TABLE = "👩‍👩‍👧 rates\n\n| city | rate |\n| --- | --- |\n| Oslo | 140 |\n| Rome | 150 |\n| Bonn | 160 |"
HEADER = (TABLE.index("| city"), TABLE.index("\n| Oslo"))


def row(text: str) -> tuple[int, int]:
    return TABLE.index(text), TABLE.index(text) + len(text)


def test_a_citation_names_document_heading_page_and_place() -> None:
    found = passage("Leave is paid. It ends.", start=100, heading=("Staff", "Leave"), page=3, pages=((115, 4),))
    first = cite(1, found, (100, 114), "Leave is paid.")
    assert first == Citation(1, "doc", "doc.md", "Doc", 3, ("Staff", "Leave"), 100, 114, "Leave is paid.")
    assert cite(2, found, (115, 123), "It ends.").page == 4


def test_a_row_right_below_its_header_is_one_span_with_it() -> None:
    whole = passage(TABLE[HEADER[0] :], start=HEADER[0], header=HEADER)
    text, spans = cite_row(whole, row("| Oslo | 140 |"), Library({"doc": TABLE}))
    assert text == "| city | rate |\n| --- | --- |\n| Oslo | 140 |"
    assert [TABLE[start:end] for start, end in spans] == [text]


@pytest.mark.parametrize("begin", [HEADER[0], row("| Rome | 150 |")[0]], ids=["header in passage", "header above passage"])
@pytest.mark.parametrize("cells", ["| Rome | 150 |", "| Bonn | 160 |"])
def test_another_row_is_proved_by_two_spans(begin: int, cells: str) -> None:
    part = passage(TABLE[begin:], start=begin, header=HEADER)
    text, spans = cite_row(part, row(cells), Library({"doc": TABLE}))
    assert text == f"| city | rate |\n| --- | --- |\n{cells}"
    assert [TABLE[start:end] for start, end in spans] == ["| city | rate |\n| --- | --- |", cells]


def test_what_is_no_table_has_no_row() -> None:
    with pytest.raises(ValueError, match="no table"):
        cite_row(passage("Leave is paid."), (0, 5), Library({}))
