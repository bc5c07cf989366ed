"""Markdown."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers.markdown import parse_markdown
from ingest.types import Parsed
from tests.ingest.parsers.support import check, texts, view


def parsed(text: str) -> Parsed:
    return check(parse_markdown(text.encode(), "hand_book.md"))


def test_headings_of_both_kinds() -> None:
    document = parsed("Handbook\n========\n\nLeave\n-----\n\n### Carry-over ###\n\nFive days.\n")
    assert document.title == "Handbook"
    assert document.blocks[-1].heading == ("Handbook", "Leave", "Carry-over")


def test_inline_marks_become_plain_text() -> None:
    document = parsed(
        "Ask **Ms _Lee_** ([mail](mailto:lee@x.org)), `code`, ![a map](map.png), ~~old~~ &amp; 5 \\* 3<b>!</b>\nnext"
    )
    assert texts(document) == ["Ask Ms Lee (mail), code, a map, old & 5 * 3!\nnext"]


def test_code_is_text_as_it_stands() -> None:
    document = parsed("```sh\n# no heading\n\nrun **it**\n```\n\n    indented\n")
    assert view(document) == [("text", "# no heading\n\nrun **it**"), ("text", "indented")]


def test_every_list_item_is_a_block_with_the_nested_ones_after_it() -> None:
    document = parsed("3. First\n   - nested\n   - second\n4. Next\n\n   more\n\n* bullet\n")
    assert texts(document) == ["3. First", "nested", "second", "4. Next", "more", "bullet"]


def test_a_table() -> None:
    document = parsed("Rates:\n\n| Region | Rate |\n|---|---:|\n| **North** | 4 % |\n| South |\n")
    assert view(document)[1] == ("table", "| Region | Rate |\n| --- | --- |\n| North | 4 % |\n| South |  |")


def test_front_matter_gives_the_title_and_is_no_text() -> None:
    document = parsed('---\ntitle: "Leave: the rules"\ntags: [a]\n---\n# Another\n\nText.\n')
    assert document.title == "Leave: the rules"
    assert texts(document) == ["Another", "Text."]
    assert parsed("+++\ntitle = 'T'\n+++\nText.\n").title == "T"


def test_prose_between_two_rules_is_no_front_matter() -> None:
    document = parsed("---\nThis sentence counts.\n---\nAnd this.\n")
    assert document.text == "This sentence counts.\n\nAnd this."


def test_raw_html_loses_its_tags_only() -> None:
    document = parsed("<div align=center>\n<b>Bold</b> claim<br>here\n</div>\n<script>evil()</script>\n\nText.\n")
    assert texts(document) == ["Bold claim\nhere", "Text."]


def test_quotes_are_text() -> None:
    assert texts(parsed("> said\n> so\n>\n> > deeper\n")) == ["said\nso", "deeper"]


def test_without_a_top_heading_the_name_is_the_title() -> None:
    assert parsed("## Section\n\nText.\n").title == "hand book"


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["# ", "- ", "1. ", "> ", "|a|b|\n|-|-|\n", "```\n", "**", "[x](y)", "<p>", "word ", "\n", "\n\n", "    "]
        )
    )
)
def test_any_markup_gives_blocks_in_order(pieces: list[str]) -> None:
    parsed("".join(pieces))


_WORDS = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=5).map(" ".join)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "# ", "## ", "- ", "> "]), _WORDS), min_size=1, max_size=8))
def test_no_word_is_lost(lines: list[tuple[str, str]]) -> None:
    document = parsed("\n\n".join(mark + words for mark, words in lines))
    assert document.text.split() == " ".join(words for _, words in lines).split()
