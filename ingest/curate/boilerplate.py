"""What stands at the top or bottom of page after page: running headers, footers, page numbers, legal lines."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from ingest.types import Block

_MOST = 300  # characters of a block; a longer one is text that happens to be repeated
_EDGE = 3  # blocks at either end of a page, among which it is looked for
_PAGES = 3  # it stands on that many at least,
_SHARE = 0.3  # and on that share of the pages, unless a number in it counts them: left pages differ from right ones
_REST = 0.5  # of the characters: where more is repeated, it is the document
_LETTERS = 8  # beside a number that grows from page to page; with fewer it has to grow as the pages do
_NUMBER = re.compile(r"\d{1,5}")

Key = tuple[str, ...]


def find_boilerplate(text: str, blocks: Sequence[Block]) -> list[Block]:
    """The blocks that are repeated over pages, in their order; none in a document of fewer than three pages.

    A number in them may count the pages. Where hardly anything else would be left, nothing is taken for repeated.
    """
    pages = len({block.page for block in blocks if block.page is not None})
    if pages < _PAGES:
        return []
    same: defaultdict[Key, set[int]] = defaultdict(set)
    counted: defaultdict[Key, dict[int, int]] = defaultdict(dict)  # page -> number
    keys: defaultdict[int, list[Key]] = defaultdict(list)
    for page, side, at, block in _edges(blocks):
        words = " ".join(text[block.start : block.end].casefold().split())
        keys[at].append((side, words))
        same[side, words].add(page)
        if block.kind != "heading":  # `Chapter 2` on page 2 counts chapters
            for key, number in _around_numbers(words, page):
                keys[at].append((side, *key))
                counted[side, *key].setdefault(page, number)
    least = max(_PAGES, _SHARE * pages)
    repeated = {key for key, some in same.items() if len(some) >= least}
    repeated |= {key for key, some in counted.items() if len(some) >= _PAGES and _grows(some)}
    found = [block for at, block in enumerate(blocks) if not repeated.isdisjoint(keys.get(at, ()))]
    characters = sum(block.end - block.start for block in found)
    return found if characters <= _REST * sum(block.end - block.start for block in blocks) else []


def _edges(blocks: Sequence[Block]) -> Iterator[tuple[int, str, int, Block]]:
    """The short blocks at the top and the bottom of each page: page, side, place among all blocks, and block."""
    for page, group in groupby(enumerate(blocks), key=lambda pair: pair[1].page):
        if page is None:
            continue
        on_page = list(group)
        for place, (at, block) in enumerate(on_page):
            if block.kind == "table" or block.end - block.start > _MOST:
                continue
            if place < _EDGE:
                yield page, "top", at, block
            if place >= len(on_page) - _EDGE:
                yield page, "bottom", at, block


def _around_numbers(words: str, page: int) -> Iterator[tuple[Key, int]]:
    """What stands around each number, with the number; with how far it is from the page's where the rest says too little."""
    for match in _NUMBER.finditer(words):
        before, after = words[: match.start()], words[match.end() :]
        few = sum(map(str.isalpha, before + after)) < _LETTERS
        yield (before, after, str(page - int(match.group())) if few else ""), int(match.group())


def _grows(numbers: dict[int, int]) -> bool:
    """Whether the numbers grow from page to page."""
    return all(numbers[a] < numbers[b] for a, b in pairwise(sorted(numbers)))
