"""Words read from a picture (OCR) by RapidOCR, whose models are part of its package: nothing is fetched."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from ingest.parsers.pdf_seen import Box

INSTALL = "install rag-bot[ocr] to read it"
_UNTIL: ContextVar[float] = ContextVar("until", default=float("inf"))
_SURE = 0.85  # mean score of what is read from a page that stands upright; upside down it is far below
_LONGEST_SIDE = 3000  # pixels: more show no more letters of a page, and cost memory


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands on a picture, line by line: words with their boxes as left, top, right, bottom in pixels.

    The picture of `width` and `height` that these count on is the one given, turned to the left by `turns` quarters, so that
    its text stands upright.
    """

    lines: tuple[tuple[tuple[str, Box], ...], ...]
    turns: int
    width: float
    height: float
    score: float = 0.0

    def in_picture(self, box: Box) -> Box:
        """A box in the picture as it was given."""
        left, top, right, bottom = box
        if self.turns == 1:
            return self.height - bottom, left, self.height - top, right
        if self.turns == 2:
            return self.width - right, self.height - bottom, self.width - left, self.height - top
        if self.turns == 3:
            return top, self.width - right, bottom, self.width - left
        return box


def installed() -> bool:
    """Whether pictures can be read: the extra `ocr`."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


@contextmanager
def until(moment: float) -> Iterator[None]:
    """Within the block, no picture is begun after `moment` (of `time.monotonic`): the rest of the file needs time, too."""
    token = _UNTIL.set(moment)
    try:
        yield
    finally:
        _UNTIL.reset(token)


def is_time() -> bool:
    """Whether another picture may be begun."""
    return time.monotonic() < _UNTIL.get()


def read_picture(picture: Any) -> Reading:
    """Read a picture (an RGB array); one that lies on its side or upside down is turned."""
    import numpy as np

    step = max(picture.shape[:2]) / _LONGEST_SIDE
    if step > 1:
        import cv2

        picture = cv2.resize(picture, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    best = _read(picture, 0)
    if best.score < _SURE or _lies(best):
        for turns in (1, 3) if _lies(best) else (2,):
            turned = _read(np.ascontiguousarray(np.rot90(picture, turns)), turns)
            if _weight(turned) > _weight(best) or (_lies(best) and not _lies(turned)):
                best = turned
    return _larger(best, step) if step > 1 else best


def _read(picture: Any, turns: int) -> Reading:
    height, width = picture.shape[:2]
    found = _engine()(picture[:, :, ::-1], return_word_box=True)  # it expects blue first
    if found.txts is None or found.boxes is None:
        return Reading((), turns, width, height)
    words = found.word_results or [()] * len(found.txts)
    lines = [_words(text, _around(box), parts) for text, box, parts in zip(found.txts, found.boxes, words, strict=True)]
    letters = sum(map(len, found.txts)) or 1
    score = sum(score * len(text) for text, score in zip(found.txts, found.scores or (), strict=True)) / letters
    return Reading(tuple(line for line in lines if line), turns, width, height, score)


@cache
def _engine() -> Any:
    """The models, loaded once. They share the processor with the pool's other children, so they get a thread each."""
    from rapidocr import RapidOCR

    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
    return RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False, **threads})


def _words(text: str, line: Box, parts: Sequence[Any]) -> tuple[tuple[str, Box], ...]:
    """The line's words, each with the boxes of the pieces it was read from; by its share of the line where they don't fit."""
    words = text.split()
    pieces = [(str(piece), _around(box)) for piece, _, box in parts]
    if "".join(piece for piece, _ in pieces).replace(" ", "") != "".join(words):
        return tuple(_shared(text, line, words))
    result, at = [], 0
    for word in words:
        boxes, length = [], 0
        while length < len(word) and at < len(pieces):
            length += len(pieces[at][0].replace(" ", ""))
            boxes.append(pieces[at][1])
            at += 1
        if length != len(word):
            return tuple(_shared(text, line, words))
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        result.append((word, (min(lefts), min(*tops, line[1]), max(rights), max(*bottoms, line[3]))))
    return tuple(result)


def _shared(text: str, line: Box, words: Sequence[str]) -> Iterator[tuple[str, Box]]:
    left, top, right, bottom = line
    step, at = (right - left) / max(1, len(text)), 0
    for word in words:
        at = text.index(word, at)
        yield word, (left + at * step, top, left + (at + len(word)) * step, bottom)
        at += len(word)


def _around(corners: Any) -> Box:
    """The box around four corners."""
    xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _lies(reading: Reading) -> bool:
    """Whether most of the text lies on its side."""
    letters = [0, 0]
    for word, (left, top, right, bottom) in (word for line in reading.lines for word in line):
        if len(word) > 2:
            letters[bottom - top > right - left] += len(word)
    return letters[1] > letters[0]


def _weight(reading: Reading) -> float:
    return reading.score * sum(len(word) for line in reading.lines for word, _ in line)


def _larger(reading: Reading, step: float) -> Reading:
    """The same in pixels of the picture before it was made smaller."""
    lines = tuple(
        tuple((word, (left * step, top * step, right * step, bottom * step)) for word, (left, top, right, bottom) in line)
        for line in reading.lines
    )
    return Reading(lines, reading.turns, reading.width * step, reading.height * step, reading.score)
