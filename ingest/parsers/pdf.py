"""PDF: paragraphs and tables put together again from lines, headings by outline or font, each with its page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.errors import BrokenDocument, EmptyDocument
from ingest.parsers import ocr
from ingest.parsers.builder import TextBuilder, clean
from ingest.parsers.names import title_of
from ingest.parsers.passwords import locked, tried
from ingest.parsers.pdf_page import Line, Table, read_page
from ingest.parsers.pdf_paragraphs import ITEM, SENTENCE_END, Paragraph, joined, paragraphs
from ingest.parsers.pdf_seen import Eyes
from ingest.types import Parsed

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

    from ingest.parsers.scan import Scan

_FIRST_SENTENCE = re.compile(r"^.*?[.!?][\"'”’)\]]*(?=\s+[^a-z\s])", re.DOTALL)
_NO_TITLE = re.compile(
    r"untitled.*|title|\(?anonymous\)?|unknown|document\d*|(?:powerpoint )?presentation\d*|microsoft word.*"
    r"|.*\.[a-z]{2,5}|[\W\d_]*",
    re.IGNORECASE,
)
_MOST_OUTLINE_ENTRIES = 10_000
_SCAN_DPI = 150  # of pages that OCR reads: small print is some 15 pixels high then, which is enough
_MOST_SCAN_SIDE = 3000  # pixels
_MOST_NAMED = 10  # pages without text
_MOST_ANNOTATIONS = 200  # of a page
_LONGEST_ANNOTATION = 100_000  # bytes


@dataclass(frozen=True, slots=True)
class _Fonts:
    """Which font the running text is in, and the larger sizes, largest first."""

    body: float
    body_bold: bool
    larger: tuple[float, ...]

    def level(self, paragraph: Paragraph) -> int:
        """The level of the heading that `paragraph` looks like, 0 where it looks like text."""
        text = paragraph.text
        if not paragraph.lines[0].upright or len(text) > 200 or len(paragraph.lines) > 3 or not re.search(r"[^\W\d_]{2}", text):
            return 0
        if _size(paragraph.lines[0]) in self.larger:
            return min(self.larger.index(_size(paragraph.lines[0])) + 1, 5)
        plain = self.body_bold or not paragraph.bold or paragraph.size < 0.95 * self.body
        is_item = text[0] > "9" and ITEM.match(paragraph.lines[0].words[0].text)
        if plain or is_item or len(text) > 120 or text[-1] in ".,;:":
            return 0
        return min(len(self.larger), 5) + 1


def parse_pdf(data: bytes, name: str) -> Parsed:
    """A PDF; on pages that carry no text, as those of a scan, what OCR reads where it is installed."""
    import pypdfium2

    document = open_pdf(data)
    try:
        if len(document) == 0:
            raise EmptyDocument("holds no pages")
        notes: list[tuple[int, str]] = []
        pictures: list[int] = []
        pages = list(_pages(document, notes, pictures))
        outline = _outline(document)
        title = _title(document)
    except pypdfium2.PdfiumError as error:
        raise BrokenDocument(f"is a broken PDF: {error}") from error
    finally:
        document.close()
    builder = TextBuilder()
    write_pages(builder, pages, outline)
    for builder.page, note in notes:
        builder.beside("annotation", note)
    if builder.empty:
        raise EmptyDocument(f"holds no text: {_pictures(pictures, len(pages)) or 'nothing stands on its pages'}")
    if pictures:
        builder.note(_pictures(pictures, len(pages)))
    return builder.build(title, "application/pdf", title_of(name))


def open_pdf(data: bytes) -> PdfDocument:
    """The document, opened with the first of the passwords that fits where it needs one."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    for password in (None, *tried()):
        try:
            return pypdfium2.PdfDocument(data, password)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) != pdfium.FPDF_ERR_PASSWORD and "password" not in str(error).lower():
                raise BrokenDocument("is a broken PDF: its structure can't be read") from error
    raise locked()


def _pictures(pages: list[int], count: int) -> str:
    """What to say of pages that show something and hold no text; nothing where there are none."""
    if not pages:
        return ""
    named = ", ".join(map(str, pages[:_MOST_NAMED])) + (", …" if len(pages) > _MOST_NAMED else "")
    if len(pages) == 1:
        which = f"page {named} of {count} is a picture without text"
    else:
        which = f"{len(pages)} of {count} pages are pictures without text ({named})"
    if not ocr.installed():
        return f"{which}: {ocr.INSTALL}"
    return which if ocr.is_time() else f"{which}: there was no time for all (RAG_BOT_PARSE_SECONDS)"


def _pages(document: PdfDocument, notes: list[tuple[int, str]], pictures: list[int]) -> Iterator[list[Paragraph | Table]]:
    """What stands on each page. The notes that hang on them, with their pages, are added to `notes`, the numbers of pages that
    show something and hold no text to `pictures`."""
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
            items = read_page(page, eyes)
            if not items and any(page.get_objects(max_depth=2)):
                items = scan.items if (scan := scan_page(page)) else []
                if not items:
                    pictures.append(index + 1)
            yield paragraphs(items, index + 1)
        finally:
            page.close()


def scan_page(page: PdfPage) -> Scan | None:
    """What OCR reads on a page; None where it is not installed, or the time is up."""
    if not ocr.installed() or not ocr.is_time():
        return None
    from ingest.parsers.scan import read_scan

    width, height = page.get_size()
    scale = min(_SCAN_DPI / 72, _MOST_SCAN_SIDE / max(width, height, 1.0))
    return read_scan(page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3], 1 / scale)


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


def _size(line: Line) -> float:
    return round(line.size * 2) / 2


def _fonts(pages: list[list[Paragraph | Table]]) -> _Fonts:
    sizes: Counter[tuple[float, bool]] = Counter()
    for page in pages:
        for item in page:
            for line in item.lines if isinstance(item, Paragraph) else ():
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


def write_pages(builder: TextBuilder, pages: list[list[Paragraph | Table]], outline: dict[tuple[int, str], int]) -> None:
    """Write what stands on the pages; the outline (page and key of a title -> level) tells headings, or else the font."""
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


def _pieces(pages: list[list[Paragraph | Table]], outline: dict[tuple[int, str], int]) -> list[_Piece]:
    """What the pages hold, with headings told by the outline first, by their font where it does not name them."""
    fonts = _fonts(pages)
    texts = {id(item): item.text for page in pages for item in page if isinstance(item, Paragraph)}
    found = {(item.page, _key(texts[id(item)])) for page in pages for item in page if isinstance(item, Paragraph)}
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
        and not SENTENCE_END.search(last.text)
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
