"""Lines of a PDF's page put together as paragraphs, and their words as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ingest.parsers.builder import clean, marked
from ingest.parsers.pdf_page import HYPHEN, Line, Table, Word

_LIGATURES = str.maketrans({"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"})
_BULLETS = frozenset("•◦▪▫■□●○‣⁃∙·➢➤✓")
_RAISED = 0.8  # raised and lowered signs are smaller than this part of the text's size
_LEADERS = re.compile(r"(?:\.\s?){4,}\s*\w{0,6}$")  # the dots of a table of contents
ITEM = re.compile(r"(?:[•◦▪▫■□●○‣⁃∙·–—*➢➤✓]|-|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)])$")
SENTENCE_END = re.compile(r"[.!?:;。！？][\"'”’)\]]*$")
# Words whose hyphen is their own: joining `twenty-` and `five` without it would make a word that nobody looks for.
_OWN_HYPHEN = re.compile(
    r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|self|non|well|part|full|half|cross|ex|all)$", re.IGNORECASE
)


@dataclass(slots=True)
class Paragraph:
    """Lines that belong together, on one page."""

    page: int
    lines: list[Line] = field(default_factory=list)

    @property
    def size(self) -> float:
        return max(line.size for line in self.lines)

    @property
    def bold(self) -> bool:
        return all(line.bold for line in self.lines)

    @property
    def text(self) -> str:
        words = [word for line in self.lines for word in line.words]
        return joined(words[1:] if words[0].text in _BULLETS and len(words) > 1 else words)

    @property
    def last(self) -> Line:
        """The last line that is no raised or lowered sign."""
        size = self.size
        return next(line for line in reversed(self.lines) if line.size > _RAISED * size)


def joined(words: Sequence[Word]) -> str:
    """Words as text: a space between them, a hyphen at a line's end undone where a lower-case letter follows."""
    parts: list[str] = []
    for word in words:
        text = spelled(word)
        if word.hidden[0]:
            text = marked(text, word.hidden[0], sure=word.hidden[1])
        if word.text.endswith(HYPHEN):
            text += HYPHEN
        if parts and parts[-1].endswith(HYPHEN):
            before = parts[-1][:-1]
            stem = re.split(r"\W", before)[-1]
            undone = text[:1].islower() and stem[-1:].isalpha() and not _OWN_HYPHEN.match(stem)
            parts[-1] = before + ("" if undone else "-") + text
        elif text:
            parts.append(text)
    return " ".join(parts).replace(HYPHEN, "-")


def spelled(word: Word) -> str:
    """The word as it stands in the text."""
    return clean(word.text.removesuffix(HYPHEN).translate(_LIGATURES))


def paragraphs(items: list[Line | Table], page: int) -> list[Paragraph | Table]:
    """Lines put together as paragraphs; tables stay as they are."""
    lines = [item for item in items if isinstance(item, Line)]
    pitch = _pitch(lines)
    edges = iter(_right_edges(lines))
    result: list[Paragraph | Table] = []
    for item in items:
        if isinstance(item, Table):
            result.append(item)
            continue
        edge = next(edges)
        last = result[-1] if result else None
        if isinstance(last, Paragraph) and _continues(last, item, pitch, edge):
            last.lines.append(item)
        else:
            result.append(Paragraph(page, [item]))
    return result


def _pitch(lines: list[Line]) -> float:
    """The usual distance between lines of one paragraph, in font sizes."""
    distances = sorted(
        (before.bottom - line.bottom) / line.size
        for before, line in pairwise(lines)
        if before.size == line.size and 0.5 < (before.bottom - line.bottom) / line.size < 2.2
    )
    return distances[len(distances) // 4] if distances else 1.3


def _right_edges(lines: list[Line]) -> list[float]:
    """For each line, how far right the column that it stands in reaches."""
    edges: list[float] = []
    run: list[Line] = []
    for line in [*lines, None]:
        below = line is not None and run and _is_below(line, run[-1])
        if run and not below:
            edges += [max(other.right for other in run)] * len(run)
            run = []
        if line is not None:
            run.append(line)
    return edges


def _is_below(line: Line, above: Line) -> bool:
    return line.bottom < above.bottom and line.left < above.right and above.left < line.right


def _continues(paragraph: Paragraph, line: Line, pitch: float, edge: float) -> bool:
    """Whether `line` goes on with `paragraph`."""
    last, size = paragraph.last, line.size
    drop = last.bottom - line.bottom
    is_raised = abs(drop) < max(size, last.size) and _is_raised(paragraph, line)
    if is_raised or paragraph.lines[-1].words[-1].text.endswith(HYPHEN):
        return True
    if abs(last.size - size) > 0.08 * size or last.bold != line.bold:
        return False
    if abs(drop) < 0.3 * size:
        return line.left >= last.right - size
    far = drop > max(1.25 * pitch, pitch + 0.2) * size
    if far or ITEM.match(line.words[0].text) or _ends_with_leaders(last):
        return False
    return _runs_on(last, line) or (drop > 0 and _is_flush(paragraph, line, edge))


def _is_flush(paragraph: Paragraph, line: Line, edge: float) -> bool:
    """Whether `line` begins where a paragraph's next line would, and its first word had no room in the line before."""
    last, word, size = paragraph.last, line.words[0], line.size
    first = paragraph.lines[0] is last
    indent = line.left - last.left
    if indent > 0.8 * size and not (first and ITEM.match(last.words[0].text)):
        return False
    if indent < -0.8 * size and not first:
        return False
    return last.right + 0.3 * size + (word.right - word.left) >= edge - 0.5 * size


def _is_raised(paragraph: Paragraph, line: Line) -> bool:
    """Whether one of the two is a raised or lowered sign that belongs to the other."""
    if line.size <= _RAISED * paragraph.size:
        return len(line.words) <= 3
    return paragraph.size <= _RAISED * line.size and sum(len(other.words) for other in paragraph.lines) <= 1


def _ends_with_leaders(line: Line) -> bool:
    return bool(_LEADERS.search(" ".join(word.text for word in line.words[-12:])))


def _runs_on(before: Line, line: Line) -> bool:
    """Whether the sentence at the end of one line goes on in the next, going by the words alone."""
    return line.words[0].text[:1].islower() and not SENTENCE_END.search(before.words[-1].text)
