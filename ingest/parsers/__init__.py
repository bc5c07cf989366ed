"""Bytes to text with places: picks the parser by what the file holds, then by its name."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Sequence

from ingest.errors import BrokenDocument, DocumentError, EmptyDocument, Encrypted, TooLarge, UnsupportedFormat
from ingest.parsers.names import suffix_of
from ingest.types import PagePlaces, Parsed, Wanted

MAX_BYTES = 100 * 1024 * 1024
_KINDS = {
    ".txt": "text",
    ".text": "text",
    ".log": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".csv": "csv",
    ".tsv": "csv",
    "": "text",
}
SUPPORTED = tuple(suffix for suffix in _KINDS if suffix)
_NAMES = {"pdf": "a PDF", "docx": "a Word document"}
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?"
    rb"(?:<!--(?:[^-]|-(?!->)){0,2000}-->\s*)*<(?:!doctype\s+html|html)[\s>]",
    re.IGNORECASE,
)
_FORMATS = (  # what begins like this is certainly none of ours
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"{\\rtf", "a rich text (RTF) file"),
    (b"\x7fELF", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "a SQLite database"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def parse(data: bytes, name: str, *, max_bytes: int = MAX_BYTES) -> Parsed:
    """The text and places of a file called `name`; raises DocumentError, whose message is the reason, and nothing else."""
    if not data:
        raise EmptyDocument("is empty")
    if len(data) > max_bytes:
        raise too_large(len(data), max_bytes)
    kind = _kind(data, name)
    try:
        parsed = _parser(kind)(data, name)
    except (DocumentError, MemoryError):
        raise
    except Exception as error:  # a library's own idea of a broken file: one bad document must not stop the rest
        what = _NAMES.get(kind, f"{kind} file")
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BrokenDocument(f"can't be read as {what} ({detail})") from error
    if not parsed.text:
        raise EmptyDocument("holds no text")
    return parsed


def find_places(data: bytes, wanted: Sequence[Wanted]) -> list[PagePlaces]:
    """Where parts of a file's text stand on its pages; nothing of a format without them. Raises DocumentError."""
    if b"%PDF-" not in data[:1024]:
        return []
    from ingest.parsers.pdf_places import find_places as find_in_pdf

    return find_in_pdf(data, wanted)


def too_large(size: int, limit: int) -> TooLarge:
    """The refusal of a file of `size` bytes."""
    mib = 1024 * 1024
    shown = f"{size:,} bytes, more than the {limit:,}"
    if limit >= mib:
        shown = f"{size / mib:,.1f} MB, more than the {limit / mib:,.1f} MB"
    return TooLarge(f"has {shown} that are allowed", hint="Raise RAG_BOT_MAX_FILE_BYTES, or split the file.")


def _kind(data: bytes, name: str) -> str:
    """What to read the file as, or the reason why it can't be read."""
    suffix = suffix_of(name)
    by_name = _KINDS.get(suffix)
    if data[:1024].lstrip().startswith(b"%PDF-") or (by_name == "pdf" and b"%PDF-" in data[:1024]):
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return _zip_kind(data, suffix)
    if data.startswith(_OLE):
        # What Word encrypts, it wraps in its old container.
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Encrypted("needs a password")
        raise UnsupportedFormat(
            "is in Office's old format (before 2007), which can't be read", hint="Save it as .docx or .pdf."
        )
    for magic, what in _FORMATS:
        if data.startswith(magic):
            raise UnsupportedFormat(f"is {what}, which can't be read")
    if _HTML.match(data[:4096]) or (data[:2] in (b"\xff\xfe", b"\xfe\xff") and _HTML.match(data[2:4096].replace(b"\0", b""))):
        return "html"
    if by_name in _NAMES:
        raise BrokenDocument(f"is not {_NAMES[by_name]} although its name ends in {suffix}")
    if by_name is None:
        raise UnsupportedFormat(f"ends in {suffix}, which can't be read; what can be: {', '.join(SUPPORTED)}")
    return by_name


def _zip_kind(data: bytes, suffix: str) -> str:
    from ingest.parsers.docx import is_docx

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if is_docx(archive):
                return "docx"
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        if suffix == ".docx":
            raise BrokenDocument("is a broken Word document: its archive is cut short or damaged") from error
        raise UnsupportedFormat("is a damaged zip archive, which can't be read") from error
    if suffix == ".docx":
        raise BrokenDocument("is not a Word document although its name ends in .docx")
    if "[Content_Types].xml" in names:
        raise UnsupportedFormat("is an Office file other than a Word document, which can't be read")
    raise UnsupportedFormat("is a zip archive, which can't be read", hint="Unpack it and add the files.")


def _parser(kind: str) -> Callable[[bytes, str], Parsed]:
    """The parser for `kind`; each module is loaded when its first file comes."""
    if kind == "pdf":
        from ingest.parsers.pdf import parse_pdf

        return parse_pdf
    if kind == "docx":
        from ingest.parsers.docx import parse_docx

        return parse_docx
    if kind == "html":
        from ingest.parsers.html import parse_html

        return parse_html
    if kind == "markdown":
        from ingest.parsers.markdown import parse_markdown

        return parse_markdown
    if kind == "csv":
        from ingest.parsers.csv import parse_csv

        return parse_csv
    from ingest.parsers.text import parse_text

    return parse_text
