"""Where words of a PDF's text stand on its pages: the words that the parser read there, found again by their letters."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from ingest.errors import BrokenDocument
from ingest.parsers.pdf import open_pdf, scan_page
from ingest.parsers.pdf_page import Line, Table, Word, read_page
from ingest.parsers.pdf_paragraphs import spelled
from ingest.parsers.pdf_seen import Box, Eyes
from ingest.types import PagePlaces, Wanted

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

    from ingest.parsers.scan import Scan

_FINE = 100  # parts of a point, in which pdfium tells places on the page as it is shown
_WIDE_GAP = 2.0  # in heights of a word: words of a line that are farther apart get boxes of their own
_LONG_WORD = 24  # letters: scripts without spaces have whole lines that are one word
_MOST_STEPS = 64  # letters that a page's end may have in common with the page after it


@dataclass(slots=True)
class Letters:
    """The letters and digits of a page in the order of the text, each with the word that it belongs to."""

    words: list[Word] = field(default_factory=list)
    text: str = ""
    owners: list[int] = field(default_factory=list)
    reached: int = 0  # where the last block that was found ends

    def find(self, letters: str) -> int:
        """Where `letters` stand, looked for after what was found before and then from the beginning; -1 for nowhere."""
        at = self.text.find(letters, self.reached)
        return at if at >= 0 else self.text.find(letters)

    def boxes(self, start: int, end: int) -> list[Box]:
        """The boxes of the words that the letters from `start` to `end` belong to, one for each line or piece of it."""
        boxes: list[Box] = []
        for owner in dict.fromkeys(self.owners[start:end]):
            box = self._part(owner, start, end)
            if box[0] >= box[2] or box[1] >= box[3]:
                continue
            if boxes and _in_line(boxes[-1], box):
                last = boxes.pop()
                box = (min(last[0], box[0]), min(last[1], box[1]), max(last[2], box[2]), max(last[3], box[3]))
            boxes.append(box)
        return boxes

    def _part(self, owner: int, start: int, end: int) -> Box:
        """The word's box; of a very long level word only the part that is asked for, as if its letters were equally wide."""
        word = self.words[owner]
        first = self.owners.index(owner)
        count = self.owners.count(owner) if len(word.text) >= _LONG_WORD else 0
        if not count or word.right - word.left < word.top - word.bottom:
            return word.box
        share = (word.right - word.left) / count
        left, right = max(start, first) - first, min(end, first + count) - first
        return word.left + left * share, word.bottom, word.left + right * share, word.top


def find_places(data: bytes, wanted: Sequence[Wanted]) -> list[PagePlaces]:
    """Where the wanted parts of a PDF's blocks stand. Parts that are not found there are left out.

    Raises DocumentError where the file can't be opened.
    """
    import pypdfium2

    document = open_pdf(data)
    eyes = Eyes()
    pages: dict[int, Letters] = {}
    scans: dict[int, Scan] = {}

    def letters(number: int) -> Letters:
        if number not in pages:
            pages[number] = Letters()
            if 0 < number <= len(document):
                with closing(document[number - 1]) as page:
                    items = read_page(page, eyes)
                    if not items and (scan := scan_page(page)):
                        scans[number], items = scan, scan.items
                    pages[number] = letters_of(items)
        return pages[number]

    def shown(number: int, boxes: Sequence[Box]) -> PagePlaces:
        if number in scans:
            return scans[number].as_shown(number, boxes)
        with closing(document[number - 1]) as page:
            return _as_shown(page, number, boxes)

    try:
        return [shown(number, boxes) for number, boxes in sorted(find_letters(wanted, letters).items())]
    except pypdfium2.PdfiumError as error:
        raise BrokenDocument(f"is a broken PDF: {error}") from error
    finally:
        document.close()


def letters_of(items: Sequence[Line | Table]) -> Letters:
    """The letters of what stands on a page."""
    letters = Letters()
    parts: list[str] = []
    for word in _words(items):
        spelling = _letters(spelled(word))
        letters.owners += [len(letters.words)] * len(spelling)
        letters.words.append(word)
        parts.append(spelling)
    letters.text = "".join(parts)
    return letters


def find_letters(wanted: Sequence[Wanted], letters: Callable[[int], Letters]) -> dict[int, list[Box]]:
    """The boxes of the wanted parts, by page; `letters` reads a page."""
    found: dict[int, list[Box]] = {}
    for block in wanted:
        whole = _letters(block.text)
        start, end = len(_letters(block.text[: block.start])), len(_letters(block.text[: block.end]))
        for page, at, first, last in _located(block.page, whole, letters):
            # The part of the block that stands on this page is whole[first:last], and begins there at `at`.
            left, right = max(start, first), min(end, last)
            if left < right:
                boxes = letters(page).boxes(at + left - first, at + right - first)
                found.setdefault(page, []).extend(boxes)
    return {page: boxes for page, boxes in found.items() if boxes}


def _located(page: int, whole: str, letters: Callable[[int], Letters]) -> Iterator[tuple[int, int, int, int]]:
    """Where a block's letters stand: (page, at, first, last) for each page that holds some of them."""
    here = letters(page)
    at = here.find(whole)
    if at >= 0:
        here.reached = at + len(whole)
        yield page, at, 0, len(whole)
        return
    # The end of a sentence that runs over the page break was brought to the page where it begins.
    longest = _longest_prefix(whole, here)
    there = letters(page + 1)
    for cut in islice(range(longest, 0, -1), _MOST_STEPS):
        rest = there.text.find(whole[cut:])
        if rest >= 0:
            at = here.find(whole[:cut])
            here.reached = at + cut
            yield page, at, 0, cut
            yield page + 1, rest, cut, len(whole)
            return


def _longest_prefix(whole: str, letters: Letters) -> int:
    """How many of the first letters stand on the page together."""
    low, high = 0, len(whole)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if letters.find(whole[:middle]) >= 0 else (low, middle - 1)
    return low


def _words(items: Sequence[Line | Table]) -> Iterator[Word]:
    for item in items:
        if isinstance(item, Line):
            yield from item.words
        else:
            for row in item.rows:
                for cell in row:
                    yield from cell


def _letters(text: str) -> str:
    """What is the same in a file and in the text made of it: no spaces, hyphens or signs of a table."""
    return "".join(filter(str.isalnum, text))


def _in_line(last: Box, box: Box) -> bool:
    """Whether a word goes on in the line of the box before it."""
    height = min(last[3] - last[1], box[3] - box[1])
    overlap = min(last[3], box[3]) - max(last[1], box[1])
    gap = max(last[0], box[0]) - min(last[2], box[2])
    return overlap > 0.5 * height and gap < _WIDE_GAP * height


def _as_shown(page: PdfPage, number: int, boxes: Sequence[Box]) -> PagePlaces:
    """Boxes in points from the lower left corner as places on the page as it is shown."""
    import pypdfium2.raw as pdfium

    width, height = page.get_size()
    size = max(1, round(width * _FINE)), max(1, round(height * _FINE))

    def point(x: float, y: float) -> tuple[float, float]:
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, across, down)
        return across.value / _FINE, down.value / _FINE

    shown = []
    for left, bottom, right, top in boxes:
        (x0, y0), (x1, y1) = point(left, bottom), point(right, top)
        shown.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
    return PagePlaces(number, round(width, 2), round(height, 2), tuple(shown))
