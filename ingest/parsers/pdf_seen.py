"""Which words on a PDF's page nobody sees: too small, off the page, or of no effect on how the page looks."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import sub
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

Box = tuple[float, float, float, float]  # left, bottom, right, top
RGB = tuple[int, int, int]
_TINY = 2.3  # points, of a character's box; that of a letter of 2 points is as high
_NEAR = 30  # of 255
_SEE_THROUGH = 13  # of 255
_CONTRAST = 16  # of 255: less than that between the page with and without a word, and nobody sees it
_SCAN = 0.5  # of the page: pictures that cover more are a scan, and invisible text over one what was read from it
_SCALE = 1.0  # pixels for a point
_MOST_PIXELS = 4_000_000
_INVISIBLE, _CLIPPING, _STROKED = 3, 7, (1, 2, 5, 6)  # PDF's numbers of how text is drawn


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """What a run of text is drawn with: how, the colour, how much of it is seen (to 255), and pdfium's own handle."""

    mode: int
    rgb: RGB
    alpha: int
    handle: Any


@dataclass(frozen=True, slots=True)
class Written:
    """A word's box and ink, in points from the lower left corner of the page."""

    box: Box
    length: int
    ink: Ink | None


class Inks:
    """The inks of a page's characters, each run of text asked once."""

    def __init__(self, textpage: PdfTextPage) -> None:
        self._textpage = textpage
        self._found: dict[int | None, Ink] = {}

    def at(self, index: int) -> Ink | None:
        """The ink of a character; None where pdfium made it up."""
        import pypdfium2.raw as pdfium

        handle = pdfium.FPDFText_GetTextObject(self._textpage, index)
        if not handle:
            return None
        key = ctypes.cast(handle, ctypes.c_void_p).value
        if key not in self._found:
            parts = [ctypes.c_uint() for _ in range(4)]
            pdfium.FPDFPageObj_GetFillColor(handle, *parts)
            red, green, blue, alpha = (part.value for part in parts)
            self._found[key] = Ink(pdfium.FPDFTextObj_GetTextRenderMode(handle), (red, green, blue), alpha, handle)
        return self._found[key]


class Eyes:
    """Looks at the pages of one document, and takes at most some `seconds` for drawing them."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._left = seconds

    def hidden(self, page: PdfPage, words: Sequence[Written], fills: Sequence[tuple[RGB, Box]]) -> dict[int, tuple[str, bool]]:
        """By their index, the words that nobody sees: the way in which they are hidden, and whether that is sure.

        `fills` are the filled boxes on the page.
        """
        edge = page.get_bbox()
        found: dict[int, tuple[str, bool]] = {}
        doubted: dict[int, str] = {}
        pictures: list[Box] | None = None
        alike: dict[RGB, list[Box]] = {}  # a text's colour -> the boxes of nearly the same
        for index, word in enumerate(words):
            if way := _at_once(word, edge):
                found[index] = way, True
            elif word.ink and word.ink.mode == _INVISIBLE:
                pictures = _scan(page, edge) if pictures is None else pictures
                if not any(_overlap(word.box, picture) for picture in pictures):
                    found[index] = "transparent", True
            elif ink := word.ink:
                if ink.rgb not in alike:
                    alike[ink.rgb] = [box for rgb, box in fills if _near(ink.rgb, rgb)]
                if way := _doubt(ink, word.box, alike[ink.rgb]):
                    doubted[index] = way
        if doubted:
            unseen = self._unseen(page, words, doubted)
            for index, way in doubted.items():
                if unseen is None or index in unseen:
                    found[index] = way, unseen is not None
        return found

    def _unseen(self, page: PdfPage, words: Sequence[Written], doubted: Iterable[int]) -> set[int] | None:
        """Those of the words without which the page looks the same; None where there was no time to draw it."""
        import pypdfium2.raw as pdfium

        began = time.monotonic()
        width, height = page.get_size()
        scale = min(_SCALE, (_MOST_PIXELS / max(1.0, width * height)) ** 0.5)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = _drawn(page, size, self._left)
        if picture is not None:
            for ink in {ink for index in doubted if (ink := words[index].ink)}:
                pdfium.FPDFTextObj_SetTextRenderMode(ink.handle, _INVISIBLE)
            without = _drawn(page, size, self._left - (time.monotonic() - began))
        self._left -= time.monotonic() - began
        if picture is None or without is None:
            return None
        return {index for index in doubted if not _differ(picture, without, _pixels(page, size, words[index].box))}


def _at_once(word: Written, edge: Box) -> str:
    """The way in which a word is hidden by its place and size alone."""
    left, bottom, right, top = word.box
    if right <= left and top <= bottom:
        return ""  # it has no box: nothing is known of it
    if right < edge[0] or left > edge[2] or top < edge[1] or bottom > edge[3]:
        return "off page"
    return "tiny" if top - bottom < _TINY or (word.length > 2 and right - left < _TINY) else ""


def _doubt(ink: Ink, box: Box, alike: Sequence[Box]) -> str:
    """The way in which a word may be hidden by its colour, with the boxes of nearly the same colour; the page must be drawn
    to know."""
    if ink.mode in _STROKED:
        return ""
    if ink.alpha < _SEE_THROUGH or ink.mode == _CLIPPING:
        return "transparent"
    if min(ink.rgb) >= 255 - _NEAR:
        return "white"
    return "white" if any(_overlap(box, fill) for fill in alike) else ""


def _near(one: RGB, other: RGB) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= _NEAR


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _scan(page: PdfPage, edge: Box) -> list[Box]:
    """The pictures on the page, if they cover so much of it that it must be a scan."""
    import pypdfium2.raw as pdfium

    pictures = [item.get_bounds() for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3)]
    covered = sum(max(0.0, right - left) * max(0.0, top - bottom) for left, bottom, right, top in pictures)
    return pictures if covered >= _SCAN * (edge[2] - edge[0]) * (edge[3] - edge[1]) else []


def _drawn(page: PdfPage, size: tuple[int, int], seconds: float) -> _Picture | None:
    """The page in grey, None where that takes longer."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    until = time.monotonic() + seconds
    if seconds <= 0:
        return None
    pause = pdfium.IFSDK_PAUSE(version=1)
    pause.NeedToPauseNow = type(pause.NeedToPauseNow)(lambda _: time.monotonic() > until)
    bitmap = pypdfium2.PdfBitmap.new_native(*size, format=pdfium.FPDFBitmap_Gray)
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, *size, 0xFFFFFFFF)
        state = pdfium.FPDF_RenderPageBitmap_Start(bitmap, page, 0, 0, *size, 0, pdfium.FPDF_GRAYSCALE, pause)
        pdfium.FPDF_RenderPage_Close(page)
        if state != pdfium.FPDF_RENDER_DONE:
            return None
        return _Picture(bytes(bitmap.buffer), bitmap.stride)
    finally:
        bitmap.close()


@dataclass(frozen=True, slots=True)
class _Picture:
    """A byte a pixel, in rows of `stride` bytes from the top."""

    pixels: bytes
    stride: int

    def rows(self, left: int, top: int, right: int, bottom: int) -> Iterator[bytes]:
        for row in range(top, bottom):
            yield self.pixels[row * self.stride + left : row * self.stride + right]


def _pixels(page: PdfPage, size: tuple[int, int], box: Box) -> tuple[int, int, int, int]:
    """Where a box of the page is in its picture: left, top, right, bottom."""
    import pypdfium2.raw as pdfium

    xs, ys = [], []
    for x, y in ((box[0], box[1]), (box[2], box[3])):
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, across, down)
        xs.append(min(max(across.value, 0), size[0]))
        ys.append(min(max(down.value, 0), size[1]))
    return min(xs), min(ys), min(max(xs) + 1, size[0]), min(max(ys) + 1, size[1])


def _differ(one: _Picture, other: _Picture, place: tuple[int, int, int, int]) -> bool:
    return any(
        a != b and max(map(abs, map(sub, a, b))) > _CONTRAST for a, b in zip(one.rows(*place), other.rows(*place), strict=True)
    )
