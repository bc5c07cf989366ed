"""A parsed document to what is chunked of it, and to the facts that are kept beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ingest.curate import Facts
from ingest.curate.boilerplate import find_boilerplate
from ingest.curate.dating import family_keys, find_version
from ingest.curate.language import find_language
from ingest.curate.quality import quality
from ingest.curate.sign import sign
from ingest.types import Block, Chunk, Document, Span

_MOST_PAGES = 100_000  # of which the empty ones are counted: a page's number is what a file says it is


class Curator:
    """Finds all facts about one document at a time; what it shares with others is found in the store."""

    def body(self, document: Document) -> Document:
        """The document with the blocks marked that are repeated over its pages; its text, and so every offset, stays."""
        boilerplate = set(_spans(find_boilerplate(document.text, document.blocks)))
        if not boilerplate:
            return document
        return replace(
            document,
            blocks=tuple(replace(b, kind="boilerplate") if (b.start, b.end) in boilerplate else b for b in document.blocks),
        )

    def facts(self, document: Document, chunks: Iterable[Chunk]) -> Facts:
        """What there is to know of a document (with all its blocks) and its chunks."""
        text, blocks = document.text, document.blocks
        boilerplate = _spans(find_boilerplate(text, blocks))
        known = set(boilerplate)
        prose = "\n".join(text[b.start : b.end] for b in blocks if b.kind != "table" and (b.start, b.end) not in known)
        score, flaws = quality(text, prose)
        version, dated = find_version(document.source, document.title, text)
        name_key, title_key = family_keys(document.source, document.title)
        pages = {block.page for block in blocks if block.page is not None}
        last = max(pages, default=0)
        signatures, whole = sign([compared(chunk, text) for chunk in chunks])
        return Facts(
            language=find_language(prose or text),
            quality=score,
            flaws=flaws,
            version=version,
            dated=dated,
            name_key=name_key,
            title_key=title_key,
            boilerplate=boilerplate,
            pages=last,
            empty_pages=tuple(page for page in range(1, min(last, _MOST_PAGES)) if page not in pages),
            signature=whole,
            chunks=tuple(signatures),
        )


def compared(chunk: Chunk, text: str) -> str:
    """What a chunk is compared by: what it says, below the nearest heading and the header of its table, without which a few
    words or rows mean nothing."""
    header = text[chunk.header[0] : chunk.header[1]] if chunk.header and chunk.header[0] < chunk.start else ""
    return "\n".join([*chunk.heading[-1:], header, chunk.text])


def _spans(blocks: Sequence[Block]) -> tuple[Span, ...]:
    return tuple((block.start, block.end) for block in blocks)
