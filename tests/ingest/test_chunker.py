"""Chunks: exact places, ends where sentences end, sizes that the embedder reads whole, and not a word left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunker import Chunker, CountTokens
from ingest.embedder import HashEmbedder
from ingest.parsers.builder import TextBuilder
from ingest.sentences import split, units
from ingest.types import Chunk, Document

WORD = re.compile(r"\w+")


def words(texts: Sequence[str]) -> list[int]:
    """Counts tokens as the hash embedder does: words."""
    return [len(WORD.findall(text)) for text in texts]


def characters(texts: Sequence[str]) -> list[int]:
    """A hard way to count: each character is a token, as in scripts without spaces."""
    return [len("".join(text.split())) for text in texts]


def document(builder: TextBuilder, title: str = "Handbook") -> Document:
    parsed = builder.build(title, "text/plain")
    return Document("id", "/handbook", parsed.title, parsed.media_type, "0" * 64, parsed.text, parsed.blocks)


def text_document(text: str) -> Document:
    builder = TextBuilder()
    builder.text(text)
    return document(builder)


def chunks_of(made: Document, limit: int = 200) -> list[Chunk]:
    return Chunker(words, limit=limit, max_tokens=512)(made)


# --- the promises, for any document

SENTENCES = (
    "Leave is thirty days. Ask Dr. Smith (i.e. her). Really?! 休暇は三十日です。有給です！ "
    "\U0001f98a\u200d\U0001f525 e\u0301té."
)
TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(SENTENCES.split(" ")), max_size=60).map(" ".join),
    st.integers(1, 700).map(lambda n: "x" * n),
    st.integers(1, 300).map(lambda n: "休" * n),
    st.integers(1, 60).map(lambda n: "One line.\n" * n),
    st.sampled_from(["...", "\U0001f98a" * 50, "a" + " " * 500 + "b", "-" * 300, "1. Open\n2. Close\n\n\n3. Leave"]),
)
STEPS = st.one_of(
    st.tuples(st.just("heading"), st.integers(0, 6), TEXTS),
    st.tuples(st.just("text"), TEXTS),
    st.tuples(st.just("table"), st.lists(st.lists(TEXTS, min_size=1, max_size=4), max_size=6), st.booleans()),
    st.tuples(st.just("page")),
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    builder = TextBuilder()
    for step in draw(st.lists(STEPS, max_size=12)):
        match step:
            case ("heading", int(level), str(text)):
                builder.heading(level, text)
            case ("text", str(text)):
                builder.text(text)
            case ("table", list(rows), bool(header)):
                builder.table(rows, header=header)
            case _:
                builder.page = (builder.page or 0) + 1
    return document(builder, draw(TEXTS))


@settings(deadline=None, max_examples=150)
@given(documents(), st.sampled_from([words, characters]), st.sampled_from([(16, 64), (200, 254), (100, 120)]))
def test_the_promises_hold_for_any_document(made: Document, count: CountTokens, sizes: tuple[int, int]) -> None:
    limit, max_tokens = sizes
    chunker = Chunker(count, limit=limit, max_tokens=max_tokens)
    chunks = chunker(made)
    reached = 0
    covered = bytearray(len(made.text))
    for chunk in chunks:
        # Its place is exact, it begins and ends with a word or sign, and it overlaps no other.
        assert made.text[chunk.start : chunk.end] == chunk.text
        assert chunk.text == chunk.text.strip() != ""
        assert reached <= chunk.start
        reached = chunk.end
        # It stands in one section, and the embedder reads all of it, context included.
        inside = [b for b in made.blocks if b.start < chunk.end and chunk.start < b.end]
        assert {b.heading for b in inside} == {chunk.heading}
        assert len(inside) == 1 or "table" not in {b.kind for b in inside}
        assert count([chunk.text])[0] <= limit
        text = chunker.text_to_embed(made, chunk)
        assert count([text])[0] <= max_tokens
        assert text.endswith(chunk.text)
        assert [text[a:b] for a, b in chunker.spans_to_embed(text, chunk)] == [chunk.text[a:b] for a, b in units(chunk)]
        covered[chunk.start : chunk.end] = b"\1" * len(chunk.text)
    # A word that is in no chunk's text is in a heading that chunks carry.
    for block in made.blocks:
        missed = "".join(c for at, c in enumerate(made.text[block.start : block.end], block.start) if not covered[at])
        if missed.strip():
            assert block.kind == "heading"
            assert any((*block.heading, missed) == chunk.heading[: len(block.heading) + 1] for chunk in chunks)


# --- where chunks end


def test_chunks_end_where_sentences_end() -> None:
    made = text_document(" ".join(f"Rule {n} says that nobody may feed animal number {n}." for n in range(60)))
    chunks = chunks_of(made, limit=50)
    ends = {end for _, end in split(made.text)}
    assert len(chunks) > 10
    assert all(chunk.end in ends for chunk in chunks)
    assert all(words([chunk.text])[0] <= 50 for chunk in chunks)


def test_chunks_are_of_about_the_same_size() -> None:
    made = text_document("Three short words. " * 70)  # 210 words: two of 105, not 200 and a crumb
    assert [words([chunk.text])[0] for chunk in chunks_of(made)] == [105, 105]


def test_a_section_never_shares_a_chunk_with_another() -> None:
    builder = TextBuilder()
    builder.heading(1, "Leave")
    builder.text("Everyone has thirty days.")
    builder.text("They are paid.")
    builder.heading(2, "Contractors")
    builder.text("They have none.")
    made = document(builder)
    assert [(chunk.heading, chunk.text) for chunk in chunks_of(made)] == [
        (("Leave",), "Everyone has thirty days.\n\nThey are paid."),
        (("Leave", "Contractors"), "They have none."),
    ]


def test_sections_of_the_same_name_stay_apart() -> None:
    builder = TextBuilder()
    for n in (1, 2):
        builder.heading(1, "Example")
        builder.text(f"This is number {n}.")
    assert [(chunk.heading, chunk.text) for chunk in chunks_of(document(builder))] == [
        (("Example",), "This is number 1."),
        (("Example",), "This is number 2."),
    ]


def test_a_heading_with_nothing_below_it_is_a_passage_itself() -> None:
    builder = TextBuilder()
    builder.heading(1, "Handbook")
    builder.heading(2, "Version 3")
    builder.heading(2, "Leave")
    builder.text("Everyone has thirty days.")
    builder.heading(1, "The end")
    assert [(chunk.heading, chunk.text) for chunk in chunks_of(document(builder))] == [
        (("Handbook",), "Version 3"),
        (("Handbook", "Leave"), "Everyone has thirty days."),
        ((), "The end"),
    ]


def test_a_sentence_that_is_too_long_is_cut_between_words() -> None:
    made = text_document(" ".join(f"word{n}" for n in range(500)) + ".")
    chunks = chunks_of(made, limit=40)
    assert all(words([chunk.text])[0] <= 40 for chunk in chunks)
    assert " ".join(chunk.text for chunk in chunks) == made.text


@pytest.mark.parametrize("word", ["x" * 100_000, "休" * 5_000, "https://example.org/" + "a/b?c=" * 2_000])
def test_a_word_that_is_too_long_is_cut_inside(word: str) -> None:
    made = text_document(f"Look: {word} is all.")
    chunks = Chunker(characters, limit=150, max_tokens=254)(made)
    assert max(len(chunk.text) for chunk in chunks) <= 200
    assert "".join("".join(chunk.text for chunk in chunks).split()) == "".join(made.text.split())


def test_no_chunk_is_endless_where_the_embedder_sees_no_words() -> None:
    made = text_document("!?" * 100_000)  # not one word
    assert max(len(chunk.text) for chunk in chunks_of(made)) <= 200 * 20


# --- tables


def table(rows: int, cell: str = "cell") -> Document:
    builder = TextBuilder()
    builder.table([["City", "Night rate"], *([f"City {n}", f"{n} {cell}"] for n in range(rows))])
    return document(builder, title="Rates")


def test_a_table_is_cut_between_rows_and_each_part_is_embedded_with_its_header() -> None:
    made = table(60, "euros")
    chunker = Chunker(words, limit=50, max_tokens=512)
    first, second, *_ = chunker(made)
    assert first.kind == second.kind == "table"
    assert first.header == second.header
    assert first.text.startswith("| City | Night rate |\n| --- | --- |\n| City 0 | 0 euros |")
    assert second.text.startswith("| City ") and second.text.endswith(" euros |")
    assert chunker.text_to_embed(made, first) == f"Rates\n{first.text}"
    assert chunker.text_to_embed(made, second) == f"Rates\n| City | Night rate |\n{second.text}"


def test_the_text_around_a_table_is_no_part_of_it() -> None:
    builder = TextBuilder()
    builder.text("The rates:")
    builder.table([["City", "Rate"], ["Oslo", "140"]])
    builder.table([["City", "Rate"], ["Rome", "95"]])
    builder.text("Breakfast is included.")
    assert [(chunk.kind, chunk.text.count("\n")) for chunk in chunks_of(document(builder))] == [
        ("text", 0), ("table", 2), ("table", 2), ("text", 0)
    ]  # fmt: skip


# --- what is embedded


def test_title_and_headings_are_embedded_but_no_part_of_the_chunk() -> None:
    builder = TextBuilder()
    builder.heading(1, "Handbook")
    builder.heading(2, "Leave")
    builder.text("Thirty days.")
    made = document(builder, title="Handbook")
    chunker = Chunker(words, limit=200, max_tokens=512)
    (chunk,) = chunker(made)
    assert chunk.text == "Thirty days."
    assert chunker.text_to_embed(made, chunk) == "Handbook\nLeave\nThirty days."


def test_long_context_is_cut_to_a_third() -> None:
    builder = TextBuilder()
    builder.heading(1, "very " * 50 + "long")
    builder.text("Thirty days.")
    made = document(builder, title="endless " * 100_000)
    chunker = Chunker(words, limit=200, max_tokens=90)
    (chunk,) = chunker(made)
    context, text = chunker.text_to_embed(made, chunk).rsplit("\n", 1)
    assert text == "Thirty days."
    assert 15 <= words([context])[0] <= 30
    assert "endless" in context and "very" in context


# --- pages


def test_a_chunk_knows_the_page_of_each_of_its_places() -> None:
    builder = TextBuilder()
    for page in (1, 2, 2, 4):
        builder.page = page
        builder.text(f"A paragraph on page {page}.")
    made = document(builder)
    (chunk,) = chunks_of(made)
    assert chunk.page == 1
    assert [made.text[offset:].split(".")[0][-1] for offset, _ in chunk.pages] == ["2", "4"]
    assert [number for _, number in chunk.pages] == [2, 4]
    for block in made.blocks:
        assert chunk.page_at(block.start) == chunk.page_at(block.end - 1) == block.page


# --- size


def test_five_megabytes_are_chunked() -> None:
    made = text_document("\n\n".join(f"Paragraph {n} has a sentence. It has another one; e.g. this." for n in range(85_000)))
    assert len(made.text) > 5_000_000
    chunks = Chunker(HashEmbedder().count_tokens, limit=200, max_tokens=512)(made)
    assert 5_000 < len(chunks) < 10_000
    for before, after in pairwise(chunks):
        assert made.text[before.end : after.start].isspace()
    assert all(made.text[chunk.start : chunk.end] == chunk.text for chunk in chunks)


def test_a_table_with_a_header_as_long_as_a_book_is_chunked() -> None:
    builder = TextBuilder()
    builder.table([[f"column {n}" for n in range(20_000)], [f"value {n}" for n in range(20_000)]])
    made = document(builder)
    chunker = Chunker(words, limit=200, max_tokens=512)
    chunks = chunker(made)
    assert len(chunks) > 300
    assert max(len(chunker.text_to_embed(made, chunk)) for chunk in chunks) < 10_000
