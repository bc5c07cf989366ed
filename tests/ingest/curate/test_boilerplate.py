"""Headers, footers and page numbers are found; what is only repeated is not."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ingest.curate.boilerplate import find_boilerplate
from ingest.types import Block, BlockKind

BODY = [
    "Leave is asked for in writing, at least two weeks before it begins.",
    "Dogs may come to the office on Fridays, if nobody there is afraid of them.",
    "Receipts are handed in by the end of the following month, in one envelope.",
    "The gym is open from early in the morning, and everybody may go there.",
]


def paged(pages: Sequence[Sequence[str]], kind: BlockKind = "text") -> tuple[str, list[Block]]:
    """Pages of paragraphs as a document's text and blocks."""
    text, blocks = "", []
    for number, page in enumerate(pages, 1):
        for paragraph in page:
            blocks.append(Block(kind, len(text), len(text) + len(paragraph), number))
            text += paragraph + "\n\n"
    return text, blocks


def found(pages: Sequence[Sequence[str]], kind: BlockKind = "text") -> list[str]:
    text, blocks = paged(pages, kind)
    return [text[block.start : block.end] for block in find_boilerplate(text, blocks)]


def test_headers_footers_and_page_numbers() -> None:
    pages = [["Acme Ltd, confidential", body, f"Page {n} of 4"] for n, body in enumerate(BODY, 1)]
    expected = [one for n in range(1, 5) for one in ("Acme Ltd, confidential", f"Page {n} of 4")]
    assert found(pages) == expected


def test_page_numbers_may_begin_anywhere() -> None:
    assert found([[body, f"- {n} -"] for n, body in enumerate(BODY, 11)]) == ["- 11 -", "- 12 -", "- 13 -", "- 14 -"]


def test_left_and_right_pages_have_headers_of_their_own() -> None:
    pages = [["Handbook" if n % 2 else "Chapter on leave", body] for n, body in enumerate(BODY * 2)]
    assert sorted(set(found(pages))) == ["Chapter on leave", "Handbook"]


def test_the_number_may_skip_pages() -> None:
    pages = [[body, f"{n} The rules of the house"] for n, body in zip((4, 10, 11, 30), BODY, strict=True)]
    assert found(pages) == [page[1] for page in pages]
    assert found([[body, f"{n} of the rules apply"] for n, body in zip((4, 10, 7, 30), BODY, strict=True)]) == []


def test_what_is_not_repeated_stays() -> None:
    assert found([["Acme Ltd", BODY[0]], ["Acme Ltd", BODY[1]]]) == []  # two pages are too few to tell
    assert found([[f"Chapter {n}", body] for n, body in enumerate(BODY, 1)], "heading") == []
    assert found([[body, f"{price} euros"] for body, price in zip(BODY, (40, 15, 93, 7), strict=True)]) == []
    assert found([[x, "Same.", y, z, w, "Same in the middle.", w, z, y, x, x] for x, y, z, w in [BODY] * 2]) == []


def test_a_document_that_repeats_itself_is_kept() -> None:
    assert found([["The same."] for _ in range(10)]) == []
    assert (
        found(
            [
                ["The same clause stands on every page of the contract, and is longer than all the rest of it.", body]
                for body in BODY
            ]
        )
        == []
    )


def test_long_paragraphs_and_tables_are_text() -> None:
    assert found([["x" * 301, body] for body in BODY]) == []
    assert found([["| a | b |", body] for body in BODY], "table") == []


def test_odd_documents() -> None:
    assert find_boilerplate("", []) == []
    assert find_boilerplate("a", [Block("text", 0, 1)]) == []
    text, blocks = paged([[] for _ in range(5)])
    assert find_boilerplate(text, blocks) == []


def test_twenty_thousand_identical_lines_take_seconds_at_most() -> None:
    text, blocks = paged([["7 7 7 7 7"] * 10 for _ in range(2_000)])
    began = time.process_time()
    find_boilerplate(text, blocks)
    assert time.process_time() - began < 30
