"""Which blocks of a document's pages must be found there again, so that a span of its text can be shown on its pages."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.types import Block, Wanted


def wanted_at(text: str, blocks: Sequence[Block], start: int, end: int) -> list[Wanted]:
    """All blocks on the pages that `text[start:end]` begins on, in their order; nothing where there are no pages."""
    held = [block for block in blocks if block.start < end and start < block.end and block.page is not None]
    pages = {block.page for block in held}
    return [
        Wanted(
            block.page,
            text[block.start : block.end],
            max(0, min(start, block.end) - block.start),
            max(0, min(end, block.end) - block.start),
        )
        for block in blocks
        if block.page is not None and block.page in pages
    ]
