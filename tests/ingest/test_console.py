"""What reaches a terminal is harmless, whatever the documents are called."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.console import Watch, count, one_line, place, safe
from ingest.types import LedgerEntry


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain - Ünïcødé 漢字 🙂", "plain - Ünïcødé 漢字 🙂"),
        ("red \x1b[31mtext", r"red \x1b[31mtext"),
        ("two\nlines", r"two\nlines"),
        ("evil\u202efdp.exe", r"evil\u202efdp.exe"),
        ("bytes \udcff", r"bytes \udcff"),
        ("\x9b31m", r"\x9b31m"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.text(st.characters(codec=None)))
def test_nothing_that_steers_a_terminal_gets_through(text: str) -> None:
    assert not {unicodedata.category(character) for character in safe(text)} & {"Cc", "Cs", "Zl", "Zp"}


def test_line_breaks_stay_where_they_are_asked_for() -> None:
    assert safe("a\n\tb\x07", keep="\n\t") == "a\n\tb\\x07"


def test_a_passage_fits_on_one_line() -> None:
    assert one_line("  two\n  lines\tand\x1b more ") == r"two lines and\x1b more"


def test_a_place_names_the_title_once() -> None:
    assert place("Leave", ("Leave", "Parental leave"), 3) == "Leave › Parental leave, page 3"
    assert place("Notes", (), None) == "Notes"


def test_counts_read_well() -> None:
    assert [count(n, "file") for n in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]


def test_away_from_a_terminal_each_changed_file_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    from ingest.types import Progress

    entries = [
        LedgerEntry("a.md", "1", "added", None, 3),
        LedgerEntry("b.md", "2", "unchanged", None, 3),
        LedgerEntry("c\n.pdf", None, "failed", "It is no PDF."),
    ]
    with Watch() as watch:
        for done, entry in enumerate(entries, 1):
            watch(Progress(files_done=done, files_total=3, chunks_done=3, entry=entry, source=entry.source))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["added       a.md  3 chunks", r"failed      c\n.pdf  It is no PDF."]
