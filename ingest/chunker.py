"""Text with places to chunks that end where sections and sentences end, sized in the embedder's own tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, pairwise, zip_longest

from ingest.places import Place, within
from ingest.sentences import split, units
from ingest.types import Block, Chunk, Document, Span

CountTokens = Callable[[Sequence[str]], list[int]]
_WORD = re.compile(r"\S+")
_LONGEST_WORD = 200  # characters; a longer "word" (base64, a URL) is cut, since one alone could fill the embedder's input
# Characters; some embedders take a "word" of any length for one token, so that tokens alone would bound no chunk.
_LONGEST_TOKEN = 20
_COUNTED_AT_ONCE = 4096  # texts; a tokenizer needs some 100 bytes for each token of what it is given


@dataclass(frozen=True, slots=True)
class Unit:
    """What a chunk is made of and never cuts: a sentence or a table's row, with its size in tokens."""

    start: int
    end: int
    tokens: float
    page: int | None


class Chunker:
    """Packs the sentences of a section into chunks of at most `limit` tokens, as even in size as they come.

    `count` counts tokens as the embedder does; `max_tokens` is what the embedder reads. A chunk is embedded with its
    context (title, headings, a table's header), which gets at most a third of that; a section's chunks leave room for
    its context, so that the embedder never cuts one.
    """

    def __init__(self, count: CountTokens, *, limit: int, max_tokens: int) -> None:
        self._count = count
        self._context_limit = max_tokens // 3
        # Tokens at a seam of two texts may split otherwise than alone: a small margin keeps the sum below the maximum.
        self._room = max_tokens - 8
        self._limit = limit
        # The chunks of a section, and often the sections of a document, stand below the same lines.
        self._cut_context = lru_cache(maxsize=64)(self._cut_to_share)

    def __call__(self, document: Document) -> list[Chunk]:
        return list(self.chunks(document))

    def chunks(self, document: Document) -> Iterator[Chunk]:
        """The chunks one after another, for who need not have all at once."""
        for _, passages in groupby(_passages(document), key=lambda passage: passage[0]):
            group = [block for _, block in passages]
            header = group[0].header
            _, context = self._context(document, group[0].heading, header)
            limit = max(1, min(self._limit, self._room - context))
            packs = _pack(list(self._units(document.text, group, limit)), limit)
            places = [place for block in group for place in block.places]
            for packed in packs:
                yield self._chunk(document.text, group[0], places, packed)

    def text_to_embed(self, document: Document, chunk: Chunk) -> str:
        """The chunk's text below its context: title, headings and the header of its table, cut to their share."""
        header = chunk.header if chunk.header and chunk.header[0] < chunk.start else None
        return "\n".join([*self._context(document, chunk.heading, header)[0], chunk.text])

    def spans_to_embed(self, text: str, chunk: Chunk) -> list[Span]:
        """Where in the text to embed the chunk's sentences stand."""
        shift = len(text) - len(chunk.text)
        return [(start + shift, end + shift) for start, end in units(chunk)]

    def _context(self, document: Document, heading: Sequence[str], header: Span | None) -> tuple[Sequence[str], int]:
        """The lines that stand above a chunk, and their tokens."""
        lines = [line for line in dict.fromkeys([document.title, *heading]) if line]
        if header:
            lines.append(document.text[header[0] : min(header[1], header[0] + self._context_limit * _LONGEST_TOKEN)])
        return self._cut_context(tuple(line.split("\n", 1)[0][: self._context_limit * _LONGEST_TOKEN] for line in lines))

    def _cut_to_share(self, given: tuple[str, ...]) -> tuple[Sequence[str], int]:
        lines = list(given)
        while lines and (tokens := sum(self._count(lines))) > self._context_limit:
            longest = max(range(len(lines)), key=lambda i: len(lines[i]))
            lines[longest] = lines[longest][: len(lines[longest]) * 3 // 4].strip()
            lines = [line for line in lines if line]
        return lines, tokens if lines else 0

    def _units(self, text: str, blocks: Sequence[Block], limit: int) -> Iterator[Unit]:
        spans = [(span, block.page) for block in blocks for span in _block_units(text, block)]
        sizes = self._sizes(text, [span for span, _ in spans])
        for ((start, end), page), tokens in zip(spans, sizes, strict=True):
            if tokens <= limit:
                yield Unit(start, end, tokens, page)
            else:
                yield from self._cut(text, Unit(start, end, tokens, page), limit)

    def _cut(self, text: str, unit: Unit, limit: int) -> Iterator[Unit]:
        """A sentence that is too large, in pieces that end at words, or inside a word that is too large itself."""
        spans = [
            (unit.start + left, unit.start + min(left + _LONGEST_WORD, match.end()))
            for match in _WORD.finditer(text[unit.start : unit.end])
            for left in range(match.start(), match.end(), _LONGEST_WORD)
        ]
        pieces: list[Unit] = []
        while spans:
            large: list[Span] = []
            for (start, end), tokens in zip(spans, self._sizes(text, spans), strict=True):
                if tokens <= limit or end - start == 1:
                    pieces.append(Unit(start, end, tokens, unit.page))
                else:
                    middle = (start + end) // 2
                    large += [(start, middle), (middle, end)]
            spans = large
        pieces.sort(key=lambda piece: piece.start)
        for packed in _pack(pieces, limit):
            yield Unit(packed[0].start, packed[-1].end, sum(piece.tokens for piece in packed), unit.page)

    def _sizes(self, text: str, spans: Sequence[Span]) -> Iterator[float]:
        """The tokens of each span; never fewer than its length allows."""
        for at in range(0, len(spans), _COUNTED_AT_ONCE):
            some = spans[at : at + _COUNTED_AT_ONCE]
            for (start, end), tokens in zip(some, self._count([text[start:end] for start, end in some]), strict=True):
                yield max(tokens, (end - start) / _LONGEST_TOKEN)

    @staticmethod
    def _chunk(text: str, first: Block, places: Sequence[Place], packed: Sequence[Unit]) -> Chunk:
        start, end = packed[0].start, packed[-1].end
        breaks = [
            (after.start, after.page)
            for before, after in pairwise(packed)
            if after.page is not None and after.page != before.page
        ]
        return Chunk(
            start=start,
            end=end,
            text=text[start:end],
            heading=first.heading,
            page=packed[0].page,
            pages=tuple(breaks),
            kind="table" if first.header else "text",
            header=first.header,
            places=within(places, start, end),
        )


def _passages(document: Document) -> Iterator[tuple[Hashable, Block]]:
    """What is chunked, each block with what it may share a chunk with: the rest of its section, or of its table.

    A heading comes along as context of what stands below it; one with nothing below is a passage itself. No chunk reaches over
    what is passed over.
    """
    section = 0
    kept = [block for block in document.blocks if block.kind != "boilerplate"]
    resumed = {after.start for before, after in pairwise(document.blocks) if before.kind == "boilerplate"}
    for block, following in zip_longest(kept, kept[1:]):
        section += block.start in resumed
        if block.kind == "heading":
            if following and following.heading == (*block.heading, document.text[block.start : block.end]):
                section += 1
                continue
            block = replace(block, kind="text")
        yield (section, block.heading, block.start if block.kind == "table" else None), block


def _block_units(text: str, block: Block) -> Iterator[Span]:
    """The sentences of a paragraph, or the rows of a table (its header and the line below it are one)."""
    if block.kind != "table" or block.header is None:
        for start, end in split(text[block.start : block.end]):
            yield block.start + start, block.start + end
        return
    yield block.header
    start = block.header[1] + 1
    while start < block.end:
        end = text.find("\n", start, block.end)
        end = block.end if end < 0 else end
        if end > start:
            yield start, end
        start = end + 1


def _pack(units: Sequence[Unit], limit: int) -> Iterator[list[Unit]]:
    """Runs of units of at most `limit` tokens, of about the same size, so that no crumb is left at the end."""
    left = sum(unit.tokens for unit in units)
    packed: list[Unit] = []
    size, target = 0.0, 0.0
    for unit in units:
        if packed and (size + unit.tokens > limit or size >= target):
            yield packed
            left -= size
            packed, size = [], 0.0
        if not packed:
            target = left / max(1, -(-left // limit))
        packed.append(unit)
        size += unit.tokens
    if packed:
        yield packed
