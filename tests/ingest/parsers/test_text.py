"""Plain text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers.text import parse_text
from tests.ingest.parsers.support import check, outcome, texts


def test_blank_lines_part_paragraphs_and_lines_stay() -> None:
    parsed = check(parse_text(b"One line\nand another.\r\n \t\r\n\r\n  Indented.\n", "leave_policy-2024.txt"))
    assert texts(parsed) == ["One line\nand another.", "  Indented."]
    assert parsed.title == "leave policy 2024"
    assert parsed.media_type == "text/plain"


def test_nothing_of_a_text_is_lost() -> None:
    words = [f"word{number}" for number in range(2000)]
    parsed = parse_text("\n\n".join(" ".join(words[start : start + 7]) for start in range(0, 2000, 7)).encode(), "a.txt")
    assert parsed.text.split() == words


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_gives_blocks_in_order(text: str) -> None:
    assert outcome(text.encode(), "a.txt")
