"""HTML."""

from __future__ import annotations

import pytest

from ingest.parsers.builder import TextBuilder
from ingest.parsers.html import add_page, parse_html
from ingest.types import Parsed
from tests.ingest.parsers.support import check, texts, view


def parsed(html: str, encoding: str = "utf-8") -> Parsed:
    return check(parse_html(html.encode(encoding), "start_page.html"))


def test_title_headings_and_paragraphs() -> None:
    document = parsed("<title> Leave  policy </title><body><h1>Leave</h1><h3>Sick</h3><p>Call <b>Ms&nbsp;Lee</b>\n by 9.</p>")
    assert document.title == "Leave policy"
    assert view(document) == [("heading", "Leave"), ("heading", "Sick"), ("text", "Call Ms Lee by 9.")]
    assert document.blocks[2].heading == ("Leave", "Sick")


def test_text_that_stands_directly_in_a_div_is_kept_in_its_place() -> None:
    document = parsed("before<div>in front <i>of</i><p>the paragraph</p>behind</div>after<span>!</span>")
    assert texts(document) == ["before", "in front of", "the paragraph", "behind", "after!"]


def test_what_is_not_seen_is_dropped() -> None:
    document = parsed(
        "<head><style>p{}</style></head><nav>Menu</nav><script>evil()</script><noscript>no</noscript><template><p>t</p></template>"
        "<p hidden>no</p><div style='DISPLAY : none'>no<p>no</p></div><div role=navigation>no</div><svg><title>no</title></svg>"
        "<!-- no --><p>Seen.</p><p hidden=until-found>Found.</p>"
    )
    assert texts(document) == ["Seen.", "Found."]


def test_lists_preformatted_text_and_definitions() -> None:
    document = parsed(
        "<ul><li>one<ul><li>nested</li></ul>rest</li></ul><ol start=4><li>four<li><p>five</p></ol>"
        "<pre>  a\n    b</pre><dl><dt>Term<dd>Meaning<dt>Other<dd>Else</dl><blockquote>Said<br>so</blockquote>"
    )
    assert texts(document) == [
        "one",
        "nested",
        "rest",
        "4. four",
        "5. five",
        "  a\n    b",
        "Term\nMeaning",
        "Other\nElse",
        "Said\nso",
    ]


def test_a_table_with_spans() -> None:
    document = parsed(
        "<table><caption>Rates</caption><thead><tr><th>Region<th>Year<th>Rate</thead>"
        "<tr><td rowspan=2>North<td>2023<td>4 %<tr><td>2024<td><p>5</p><p>%</p><tr><td colspan=2>All<td>6 %</table>"
    )
    assert view(document) == [
        ("text", "Rates"),
        (
            "table",
            "| Region | Year | Rate |\n| --- | --- | --- |\n| North | 2023 | 4 % |\n| North | 2024 | 5 % |\n| All |  | 6 % |",
        ),
    ]


def test_names_in_the_first_column_are_no_header_row() -> None:
    document = parsed("<table><tr><th>Name<td>Anna<tr><th>Age<td>31</table>")
    assert texts(document) == ["|  |  |\n| --- | --- |\n| Name | Anna |\n| Age | 31 |"]


def test_a_table_for_the_layout_is_read_as_blocks() -> None:
    document = parsed("<table><tr><td><h2>Leave</h2><p>Text.</p><td><table><tr><th>A<th>B<tr><td>1<td>2</table></table>")
    assert view(document) == [("heading", "Leave"), ("text", "Text."), ("table", "| A | B |\n| --- | --- |\n| 1 | 2 |")]


def test_the_encoding_that_the_page_declares() -> None:
    assert texts(parsed("<meta charset='windows-1251'><p>Привет", "cp1251")) == ["Привет"]
    assert texts(parsed("<meta http-equiv=Content-Type content='text/html; charset=Shift_JIS'><p>日本", "shift_jis")) == [
        "日本"
    ]
    assert texts(parsed("<meta charset=iso-8859-1><p>Größe", "utf-8")) == ["Größe"]


def test_spans_that_no_table_has_are_not_believed() -> None:
    row = "<tr>" + "<td colspan=999999 rowspan=65000>x" * 20
    assert len(parsed("<table>" + row * 200 + "</table>").text) < 1_000_000


def test_deep_nesting_is_no_recursion() -> None:
    assert texts(parsed("<div>" * 3000 + "deep<p>deeper")) == ["deep", "deeper"]


_STORY = "<p>Everyone has twenty-five days of leave a year, and may take them when they like.</p>" * 3
_MENU = "".join(f'<li><a href="/{n}">Part {n}</a></li>' for n in range(8))


@pytest.mark.parametrize(
    "page",
    [
        f"<header><a>Acme</a> <ul>{_MENU}</ul></header><main><h1>Leave</h1>{_STORY}</main><footer>Imprint</footer>",
        f"<div>Acme</div><div><h1>Leave</h1><main>{_STORY}</main></div><div>Imprint</div>",
        f"<h1>Leave</h1><ul>{_MENU}</ul><article>{_STORY}</article><aside>Ask us now</aside>",
        f'<h1>Leave</h1>{_STORY}<div class="site-footer nav"><a>Imprint</a></div><div id="cookie-consent">Cookies!</div>',
        f'<header><h1>Leave</h1></header>{_STORY}<div role="complementary">Ask us now</div>',
    ],
)
def test_only_the_content_of_a_page_is_read(page: str) -> None:
    document = parsed(f"<html><body>{page}</body></html>")
    assert (
        texts(document) == ["Leave"] + ["Everyone has twenty-five days of leave a year, and may take them when they like."] * 3
    )
    assert document.hidden == ()


@pytest.mark.parametrize(
    "page",
    [
        "<footer>Only this.</footer>",
        f"<ul>{_MENU}</ul>",
        f"<main>Short.</main>{_STORY}",
        f"{_STORY}<article><aside>A note on leave.</aside></article>",
        f'{_STORY}<div class="related">Leave and pay belong together, says <a>the law</a>.</div>',
        f"{_STORY}<ul>{''.join(f'<li><a>A long name of a chapter, number {n}, in words</a></li>' for n in range(8))}</ul>",
    ],
)
def test_what_may_be_content_is_kept(page: str) -> None:
    whole = TextBuilder()
    add_page(whole, page.encode())
    assert parse_html(page.encode(), "a.html").text == whole.build("", "").text
