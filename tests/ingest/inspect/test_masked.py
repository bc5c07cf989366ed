"""Masking keeps every place and length, whatever findings overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.inspect import MASK, Finding, masked


def found(start: int, end: int) -> Finding:
    return Finding("personal", "email", start, end)


def test_every_character_but_white_space_is_masked() -> None:
    assert masked("to ada @x.org\nnow", [found(3, 13)]) == f"to {MASK * 3} {MASK * 6}\nnow"
    assert masked("nothing", []) == "nothing"


@given(st.text(), st.lists(st.tuples(st.integers(-5, 60), st.integers(-5, 60))))
def test_what_is_outside_stays_and_what_is_inside_goes(text: str, spans: list[tuple[int, int]]) -> None:
    result = masked(text, [found(*span) for span in spans])
    assert len(result) == len(text)
    inside = {at for start, end in spans for at in range(max(0, start), min(end, len(text)))}
    for at, (before, after) in enumerate(zip(text, result, strict=True)):
        assert after == (MASK if at in inside and not before.isspace() else before)
