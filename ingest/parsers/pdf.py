"""PDF: paragraphs and tables put together again from lines, headings by outline or font, each with its page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from ingest.errors import BrokenDocument, EmptyDocument, Encrypted
from ingest.parsers.builder import TextBuilder, clean, marked
from ingest.parsers.names import title_of
from ingest.parsers.pdf_page import HYPHEN, Line, Table, Word, read_page
from ingest.parsers.pdf_seen import Eyes
from ingest.types import Parsed

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_LIGATURES = str.maketrans({"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"})
_BULLETS = frozenset("•◦▪▫■□●○‣⁃∙·➢➤✓")
_RAISED = 0.8  # raised and lowered signs are smaller than this part of the text's size
_LEADERS = re.compile(r"(?:\.\s?){4,}\s*\w{0,6}$")  # the dots of a table of contents
_ITEM = re.compile(r"(?:[•◦▪▫■□●○‣⁃∙·–—*➢➤✓]|-|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)])$")
_SENTENCE_END = re.compile(r"[.!?:;。！？][\"'”’)\]]*$")
_FIRST_SENTENCE = re.compile(r"^.*?[.!?][\"'”’)\]]*(?=\s+[^a-z\s])", re.DOTALL)
# Words whose hyphen is their own: joining `twenty-` and `five` without it would make a word that nobody looks for.
_OWN_HYPHEN = re.compile(
    r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|self|non|well|part|full|half|cross|ex|all)$", re.IGNORECASE
)
_NO_TITLE = re.compile(
    r"untitled.*|title|\(?anonymous\)?|unknown|document\d*|(?:powerpoint )?presentation\d*|microsoft word.*"
    r"|.*\.[a-z]{2,5}|[\W\d_]*",
    re.IGNORECASE,
)
_MOST_OUTLINE_ENTRIES = 10_000
_MOST_ANNOTATIONS = 200  # of a page
_LONGEST_ANNOTATION = 100_000  # bytes


@dataclass(slots=True)
class _Paragraph:
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


@dataclass(frozen=True, slots=True)
class _Fonts:
    """Which font the running text is in, and the larger sizes, largest first."""

    body: float
    body_bold: bool
    larger: tuple[float, ...]

    def level(self, paragraph: _Paragraph) -> int:
        """The level of the heading that `paragraph` looks like, 0 where it looks like text."""
        text = paragraph.text
        if not paragraph.lines[0].upright or len(text) > 200 or len(paragraph.lines) > 3 or not re.search(r"[^\W\d_]{2}", text):
            return 0
        if _size(paragraph.lines[0]) in self.larger:
            return min(self.larger.index(_size(paragraph.lines[0])) + 1, 5)
        plain = self.body_bold or not paragraph.bold or paragraph.size < 0.95 * self.body
        is_item = text[0] > "9" and _ITEM.match(paragraph.lines[0].words[0].text)
        if plain or is_item or len(text) > 120 or text[-1] in ".,;:":
            return 0
        return min(len(self.larger), 5) + 1


def parse_pdf(data: bytes, name: str) -> Parsed:
    """A PDF that carries its text; a scan carries none."""
    import pypdfium2

    document = _open(data)
    try:
        if len(document) == 0:
            raise EmptyDocument("holds no pages")
        notes: list[tuple[int, str]] = []
        pages = list(_pages(document, notes))
        outline = _outline(document)
        title = _title(document)
    except pypdfium2.PdfiumError as error:
        raise BrokenDocument(f"is a broken PDF: {error}") from error
    finally:
        document.close()
    builder = TextBuilder()
    _write(builder, pages, outline)
    for builder.page, note in notes:
        builder.beside("annotation", note)
    if builder.empty:
        raise EmptyDocument("holds no text: it may be a scan, and OCR is not installed")
    return builder.build(title, "application/pdf", title_of(name))


def joined(words: Sequence[Word]) -> str:
    """Words as text: a space between them, a hyphen at a line's end undone where a lower-case letter follows."""
    parts: list[str] = []
    for word in words:
        text = clean(word.text.removesuffix(HYPHEN).translate(_LIGATURES))
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


def _open(data: bytes) -> PdfDocument:
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise Encrypted("needs a password") from error
        raise BrokenDocument("is a broken PDF: its structure can't be read") from error


def _pages(document: PdfDocument, notes: list[tuple[int, str]]) -> Iterator[list[_Paragraph | Table]]:
    """What stands on each page; the notes that hang on them, with their pages, are added to `notes`."""
    import pypdfium2

    broken, eyes = 0, Eyes()
    for index in range(len(document)):
        try:
            page = document[index]
        except pypdfium2.PdfiumError as error:
            broken += 1
            if broken == len(document):
                raise BrokenDocument("is a broken PDF: none of its pages can be read") from error
            yield []
            continue
        try:
            notes += ((index + 1, note) for note in _annotations(page))
            yield _paragraphs(read_page(page, eyes), index + 1)
        finally:
            page.close()


def _annotations(page: PdfPage) -> Iterator[str]:
    """What the notes on a page say, which opens at a click at most."""
    import pypdfium2.raw as pdfium

    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MOST_ANNOTATIONS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if annotation:
            try:
                size = pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", None, 0)
                if 2 < size <= _LONGEST_ANNOTATION:
                    text = (pdfium.FPDF_WCHAR * (size // 2))()
                    pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", text, size)
                    yield bytes(text).decode("utf-16-le", "replace")
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)


def _paragraphs(items: list[Line | Table], page: int) -> list[_Paragraph | Table]:
    """Lines put together as paragraphs; tables stay as they are."""
    lines = [item for item in items if isinstance(item, Line)]
    pitch = _pitch(lines)
    edges = iter(_right_edges(lines))
    result: list[_Paragraph | Table] = []
    for item in items:
        if isinstance(item, Table):
            result.append(item)
            continue
        edge = next(edges)
        last = result[-1] if result else None
        if isinstance(last, _Paragraph) and _continues(last, item, pitch, edge):
            last.lines.append(item)
        else:
            result.append(_Paragraph(page, [item]))
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


def _continues(paragraph: _Paragraph, line: Line, pitch: float, edge: float) -> bool:
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
    if far or _ITEM.match(line.words[0].text) or _ends_with_leaders(last):
        return False
    return _runs_on(last, line) or (drop > 0 and _is_flush(paragraph, line, edge))


def _is_flush(paragraph: _Paragraph, line: Line, edge: float) -> bool:
    """Whether `line` begins where a paragraph's next line would, and its first word had no room in the line before."""
    last, word, size = paragraph.last, line.words[0], line.size
    first = paragraph.lines[0] is last
    indent = line.left - last.left
    if indent > 0.8 * size and not (first and _ITEM.match(last.words[0].text)):
        return False
    if indent < -0.8 * size and not first:
        return False
    return last.right + 0.3 * size + (word.right - word.left) >= edge - 0.5 * size


def _is_raised(paragraph: _Paragraph, line: Line) -> bool:
    """Whether one of the two is a raised or lowered sign that belongs to the other."""
    if line.size <= _RAISED * paragraph.size:
        return len(line.words) <= 3
    return paragraph.size <= _RAISED * line.size and sum(len(other.words) for other in paragraph.lines) <= 1


def _ends_with_leaders(line: Line) -> bool:
    return bool(_LEADERS.search(" ".join(word.text for word in line.words[-12:])))


def _runs_on(before: Line, line: Line) -> bool:
    """Whether the sentence at the end of one line goes on in the next, going by the words alone."""
    return line.words[0].text[:1].islower() and not _SENTENCE_END.search(before.words[-1].text)


def _size(line: Line) -> float:
    return round(line.size * 2) / 2


def _fonts(pages: list[list[_Paragraph | Table]]) -> _Fonts:
    sizes: Counter[tuple[float, bool]] = Counter()
    for page in pages:
        for item in page:
            for line in item.lines if isinstance(item, _Paragraph) else ():
                sizes[_size(line), line.bold] += sum(len(word.text) for word in line.words)
    (body, bold), _ = sizes.most_common(1)[0] if sizes else ((10.0, False), 0)
    return _Fonts(body, bold, tuple(sorted({size for size, _ in sizes if size >= 1.15 * body}, reverse=True)))


@dataclass(slots=True)
class _Piece:
    """A paragraph or heading with its text settled, or a table."""

    page: int
    size: float
    level: int | None  # of a heading; 0 may be one, so text has None
    text: str
    table: Table | None = None


def _write(builder: TextBuilder, pages: list[list[_Paragraph | Table]], outline: dict[tuple[int, str], int]) -> None:
    pieces = _pieces(pages, outline)
    _join_over_page_breaks(pieces)
    for piece in pieces:
        builder.page = piece.page
        if piece.table:
            builder.table([[joined(cell) for cell in row] for row in piece.table.rows])
        elif piece.level is None:
            builder.text(piece.text)
        else:
            builder.heading(piece.level, piece.text)


def _pieces(pages: list[list[_Paragraph | Table]], outline: dict[tuple[int, str], int]) -> list[_Piece]:
    """What the pages hold, with headings told by the outline first, by their font where it does not name them."""
    fonts = _fonts(pages)
    texts = {id(item): item.text for page in pages for item in page if isinstance(item, _Paragraph)}
    found = {(item.page, _key(texts[id(item)])) for page in pages for item in page if isinstance(item, _Paragraph)}
    levels = outline if 2 * len(outline.keys() & found) >= len(outline) else {}
    depth = max(levels.values(), default=0)
    pieces = []
    outlined = False
    for number, page in enumerate(pages, 1):
        for item in page:
            if isinstance(item, Table):
                pieces.append(_Piece(number, 0, None, "", item))
                continue
            text = texts[id(item)]
            level: int | None = levels.get((number, _key(text)))
            outlined = outlined or level is not None
            if level is None and (by_font := fonts.level(item)):
                is_title = levels and number == 1 and not outlined
                level = 0 if is_title else depth + by_font
            pieces.append(_Piece(number, item.size, level, text))
    return pieces


def _join_over_page_breaks(pieces: list[_Piece]) -> None:
    """Where a sentence runs over a page break, bring its end to the page where it begins, so that it can be quoted whole."""
    repeated = Counter(key for page, key in {(piece.page, _margin_key(piece)) for piece in pieces} if key)
    last: _Piece | None = None  # the last piece of the page before that is no footer
    page = 0
    for piece in pieces:
        key = _margin_key(piece)
        if key and (repeated[key] > 2 or not key.strip("#")):
            continue
        if last and piece.page > page and _is_cut(last, piece):
            match = _FIRST_SENTENCE.match(piece.text)
            end = match.end() if match else len(piece.text)
            cut = last.text.endswith("-") and last.text[-2:-1].isalpha()
            last.text = (last.text[:-1] if cut else last.text + " ") + piece.text[:end]
            piece.text = piece.text[end:].lstrip()
        last, page = piece, piece.page


def _margin_key(piece: _Piece) -> str:
    """What a header or footer has in common from page to page."""
    return re.sub(r"\d+", "#", piece.text) if len(piece.text) <= 100 and not piece.table else ""


def _is_cut(last: _Piece, piece: _Piece) -> bool:
    return (
        piece.page == last.page + 1
        and not (piece.table or last.table)
        and piece.level is last.level is None
        and abs(piece.size - last.size) <= 0.08 * piece.size
        and piece.text[:1].islower()
        and bool(last.text)
        and not _SENTENCE_END.search(last.text)
    )


def _outline(document: PdfDocument) -> dict[tuple[int, str], int]:
    """The bookmarks: (page, title) -> level from 1."""
    entries: dict[tuple[int, str], int] = {}
    for count, bookmark in enumerate(document.get_toc(max_depth=8)):
        if count >= _MOST_OUTLINE_ENTRIES:
            break
        destination = bookmark.get_dest()
        index = destination.get_index() if destination else None
        key = _key(bookmark.get_title())
        if index is not None and key:
            entries.setdefault((index + 1, key), bookmark.level + 1)
    return entries


def _key(title: str) -> str:
    """A heading's words without its number, so that the outline's and the page's spelling meet."""
    return " ".join(re.findall(r"\w+", re.sub(r"^[\W\d]+", "", title[:400]).casefold()))


def _title(document: PdfDocument) -> str:
    """The title in the file's properties, if a person put it there."""
    title = " ".join(clean(document.get_metadata_value("Title")).split())
    return "" if _NO_TITLE.fullmatch(title) else title
