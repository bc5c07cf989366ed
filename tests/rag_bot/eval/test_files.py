"""Question sets as lines and as a table, and back."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from rag_bot.errors import BadDataset
from rag_bot.eval.files import from_csv, read, to_csv, write
from rag_bot.eval.types import Case, Wanted
from rag_bot.types import Turn

CASES = [
    Case("a", "How long is leave?", True, ("26 days", "26"), (Wanted("leave.md", "26 days"), Wanted("more.md")), kind="fact"),
    Case("b", 'Who, "in short", pays?\nAnd when?', False, hidden=(Wanted("pay.md", "the firm"),), turns=(Turn("Hi", "Hello"),)),
    Case("c", "=HYPERLINK(1)", None),
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "set.jsonl", CASES)
    assert read(tmp_path / "set.jsonl") == CASES


def test_short_forms(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    file.write_text(
        '{"question": "A?", "answer": "yes", "documents": ["a.md"], "earlier": ["Before?"]}\n\n'
        '{"question": "B?", "document": null, "quote": null}\n{"query": "C?", "_id": 7}\n'
        '{"question": "D?", "wanted": "a.md"}\n',
        encoding="utf-8",
    )
    a, b, c, d = read(file)
    assert (a.id, a.answerable, a.answers, a.wanted) == ("1", True, ("yes",), (Wanted("a.md"),))
    assert a.turns == (Turn("Before?", ""),)
    assert (b.answerable, b.wanted) == (False, ())
    assert (c.id, c.question, c.answerable) == ("7", "C?", None)
    assert d.wanted == (Wanted("a.md"),)


def test_the_same_id_twice_stays_two_questions(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    file.write_text('{"id": "x", "question": "A?"}\n{"id": "x", "question": "B?"}\n', encoding="utf-8")
    assert [case.id for case in read(file)] == ["x", "x#2"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "Line 2 .* is no JSON"),
        ("[]", "Line 2 .* no JSON object"),
        ("{}", "Line 2 .* no question"),
        ('{"question": " "}', "no question"),
        ('{"question": "A?", "wanted": [{"grade": "high"}]}', "can't be understood"),
        ('{"question": "A?", "turns": [3]}', "can't be understood"),
        ("[" * 100_000, "is no JSON"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "set.jsonl"
    file.write_bytes(b'{"question": "Fine?"}\n' + line.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(BadDataset, match=says):
        read(file)


def test_the_round_trip_through_a_table_changes_nothing() -> None:
    assert from_csv(to_csv(CASES), CASES) == CASES


def test_no_cell_is_a_formula() -> None:
    rows = list(csv.reader(io.StringIO(to_csv(CASES))))
    assert rows[3][2] == "'=HYPERLINK(1)"
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_a_person_drops_edits_and_keeps_in_a_table() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(CASES))))
    rows[0] |= {"question": "How long is paid leave?", "answers": "27 days"}
    rows[1]["review"] = "drop"
    rows[2]["review"] = "keep"
    out = io.StringIO()
    table = csv.DictWriter(out, rows[0], delimiter=";")  # as a spreadsheet in half of Europe writes it
    table.writeheader()
    table.writerows(rows)
    changed, kept = from_csv("\ufeff" + out.getvalue(), CASES)
    assert (changed.question, changed.answers, changed.review) == ("How long is paid leave?", ("27 days",), "edited")
    assert changed.wanted == CASES[0].wanted
    assert (kept.id, kept.review) == ("c", "kept")


@pytest.mark.parametrize(
    ("table", "says"),
    [("a,b\n1,2\n", "no column id and question"), ("id,question\nzz,A?\n", "does not have"), ("", "no column")],
)
def test_a_table_that_is_none(table: str, says: str) -> None:
    with pytest.raises(BadDataset, match=says):
        from_csv(table, CASES)


def test_a_cell_of_a_megabyte_is_no_crash() -> None:
    with pytest.raises(BadDataset):
        from_csv("id,question\nzz," + "x" * 1_000_000 + "\n", CASES)
