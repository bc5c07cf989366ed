"""A place in a passage to a citation: the exact span of the source, with its page and headings."""

from __future__ import annotations

from collections.abc import Callable

from ingest.types import Span
from rag_bot.types import Citation, Passage

TextAt = Callable[[str, int, int], str]
"""Document id, start, end -> those characters of the stored text."""


def cite(n: int, passage: Passage, span: Span, quote: str) -> Citation:
    """The citation of a span (offsets in the document) that holds `quote`."""
    document, chunk = passage.document, passage.chunk
    return Citation(
        n=n,
        document_id=document.document_id,
        source=document.source,
        title=document.title,
        page=chunk.page_at(span[0]),
        place=chunk.place_at(*span),
        heading=chunk.heading,
        start=span[0],
        end=span[1],
        quote=quote,
        also=passage.also,
    )


def cite_row(passage: Passage, span: Span, text_at: TextAt) -> tuple[str, tuple[Span, ...]]:
    """A table row's text under its table's header, and the spans that prove it: the header's and the row's, or one
    span where the row stands right below the header."""
    header = passage.chunk.header
    if header is None:
        raise ValueError("the passage is no table")
    document_id = passage.document.document_id
    if span[0] == header[1] + 1:
        whole = (header[0], span[1])
        return text_at(document_id, *whole), (whole,)
    return f"{text_at(document_id, *header)}\n{text_at(document_id, *span)}", (header, span)
