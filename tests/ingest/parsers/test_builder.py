"""The builder's promises: offsets, headings' paths, tables, titles."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers.builder import TextBuilder, clean
from tests.ingest.parsers.support import check, texts

_TEXT = st.text(max_size=40)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("heading"), st.integers(0, 6), _TEXT),
        st.tuples(st.just("text"), _TEXT),
        st.tuples(st.just("table"), st.lists(st.lists(_TEXT, max_size=4), max_size=4), st.booleans()),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(_STEPS)
def test_blocks_are_in_order_inside_the_text_and_apart(steps: list[tuple[object, ...]]) -> None:
    builder = TextBuilder()
    for name, *arguments in steps:
        if name == "table":
            builder.table(arguments[0], header=bool(arguments[1]))  # type: ignore[arg-type]
        else:
            getattr(builder, str(name))(*arguments)
    check(builder.build("title", "text/plain"))


@settings(deadline=None)
@given(st.text())
def test_clean_text_can_be_stored_and_is_clean_already(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert "\0" not in cleaned and "\r" not in cleaned
    assert clean(cleaned) == cleaned


def test_clean_makes_words_searchable() -> None:
    assert clean("10\xa0km of Ver\xadsiche\u200brung\r\nnext\u2028line") == "10 km of Versicherung\nnext\nline"


def test_a_heading_stands_below_those_of_higher_levels_only() -> None:
    builder = TextBuilder()
    for level, words in ((1, "Leave"), (2, "Annual"), (3, "Carry-over"), (2, "Sick"), (1, "Pay")):
        builder.heading(level, words)
        builder.text(f"About {words}.")
    parsed = builder.build("", "text/plain")
    assert [block.heading for block in parsed.blocks if block.kind == "text"] == [
        ("Leave",),
        ("Leave", "Annual"),
        ("Leave", "Annual", "Carry-over"),
        ("Leave", "Sick"),
        ("Pay",),
    ]
    assert [block.heading for block in parsed.blocks if block.kind == "heading"][3] == ("Leave",)


def test_a_paragraph_set_as_a_heading_is_a_paragraph() -> None:
    builder = TextBuilder()
    builder.heading(1, "word " * 100)
    builder.text("Next.")
    assert [block.kind for block in builder.build("t", "text/plain").blocks] == ["text", "text"]


def test_a_table_knows_its_header() -> None:
    builder = TextBuilder()
    builder.text("Rates:")
    builder.table([["Region", "Rate|net"], ["North", "4\n%"], ["South"]])
    parsed = check(builder.build("t", "text/plain"))
    header = parsed.blocks[1].header
    assert header is not None
    assert parsed.text[slice(*header)] == "| Region | Rate\\|net |\n| --- | --- |"
    assert texts(parsed)[1].endswith("\n| North | 4 % |\n| South |  |")


def test_one_long_row_does_not_blow_up_the_short_ones() -> None:
    builder = TextBuilder()
    builder.table([["x"] * 20_000, *[["y"]] * 20_000])
    assert len(builder.build("t", "text/csv").text) < 1_000_000


def test_the_title_falls_back_to_a_top_heading_then_to_the_name() -> None:
    builder = TextBuilder()
    builder.heading(2, "Section")
    assert builder.build("Given", "text/plain", "name").title == "Given"
    assert builder.build(" ", "text/plain", "name").title == "name"
    top = TextBuilder()
    top.heading(1, "Handbook")
    assert top.build("", "text/plain", "name").title == "Handbook"
