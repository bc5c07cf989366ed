"""CSV and its relatives."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers.csv import parse_csv
from tests.ingest.parsers.support import check, outcome, place_of, texts


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(delimiter: str) -> None:
    rows = [["name", "price", "note"], ["Bolt", "0.10", "sold by ten"], ["Nut", "0.05", ""]]
    data = "\n".join(delimiter.join(row) for row in rows).encode()
    parsed = check(parse_csv(data, "prices.csv"))
    assert texts(parsed) == ["| name | price | note |\n| --- | --- | --- |\n| Bolt | 0.10 | sold by ten |\n| Nut | 0.05 |  |"]
    assert (parsed.title, parsed.media_type) == ("prices", "text/csv")


def test_a_comma_in_figures_does_not_beat_the_semicolon() -> None:
    parsed = parse_csv("Region;Umsatz\nNord;1,50\nSüd;2,75\n".encode("cp1252"), "a.csv")
    assert "| Süd | 2,75 |" in parsed.text


def test_the_delimiter_that_excel_names_is_taken() -> None:
    assert parse_csv(b"sep=;\na,b;c\n1;2\n", "a.csv").text.startswith("| a,b | c |\n")


def test_quoted_cells_may_hold_delimiters_and_lines() -> None:
    parsed = parse_csv(b'name,note\n"Bolt, long","first\nsecond ""x"""\n', "a.csv")
    assert parsed.text.endswith('| Bolt, long | first second "x" |')


def test_ragged_rows_are_filled_up() -> None:
    parsed = parse_csv(b"a,b,c\n1\n1,2,3,4\n", "a.csv")
    assert parsed.text == "| a | b | c |  |\n| --- | --- | --- | --- |\n| 1 |  |  |  |\n| 1 | 2 | 3 | 4 |"


@pytest.mark.parametrize(
    ("first", "named"),
    [("Name,Age", True), ("Region,2023,2024", True), ("Anna,31", False), ("2024-01-05,12.5", False), ("x,x", False)],
)
def test_a_header_is_one_only_if_it_looks_like_one(first: str, named: bool) -> None:
    parsed = parse_csv(f"{first}\nBob,44\n".encode(), "a.csv")
    assert parsed.text.startswith("| " + first.split(",")[0] + " |") is named
    assert first.split(",")[0] in parsed.text


def test_a_cell_may_be_longer_than_the_library_allows_by_itself() -> None:
    assert "x" * 300_000 in parse_csv(b"name,text\na," + b"x" * 300_000 + b"\n", "a.csv").text


# Without other delimiters: a file of `0,;` and `0,0,;` may be meant either way.
_CELLS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="|;\xad"), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(st.lists(_CELLS, min_size=2, max_size=5), min_size=1, max_size=6))
def test_no_cell_is_lost(rows: list[list[str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    parsed = check(parse_csv(stream.getvalue().encode(), "a.csv"))
    assert all(cell in parsed.text for row in rows for cell in row)


@settings(deadline=None)
@given(st.binary(min_size=1))
def test_any_bytes_give_blocks_in_order_or_a_reason(data: bytes) -> None:
    assert outcome(data, "a.csv")


def test_rows_are_counted_as_a_spreadsheet_does() -> None:
    document = check(parse_csv(b'name,note\nAnn,"two\nlines"\n\nBob,one\n', "a.csv"))
    assert place_of(document, "| Ann |") == "row 2"
    assert place_of(document, "| Bob |") == "row 4"
    assert place_of(document, "| name | note |\n| --- | --- |\n| Ann |") == "rows 1-2"


def test_a_cell_of_very_many_spaces_is_no_figure() -> None:
    assert texts(parse_csv(b"1" + b" " * 100_000 + b"x,b\n1,2\n", "a.csv")) == ["| 1 x | b |\n| --- | --- |\n| 1 | 2 |"]
