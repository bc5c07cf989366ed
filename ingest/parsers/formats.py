"""The table of formats that can be read, one line each, and how the bytes of a file tell which it is."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass

from ingest.errors import BrokenDocument, Encrypted, UnsupportedFormat
from ingest.parsers.code import LANGUAGES
from ingest.parsers.names import suffix_of


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its kind, what it is called, its parser as `module:function`, and the suffixes of its files.

    Where the bytes `prove` the format, a file with its suffix and other bytes is refused. `part` is, for a format that is a
    zip archive, what the name of one of its entries begins with; `mimetype` what its entry of that name holds. `holds` is,
    for a file that holds other files, the function that takes them out.
    """

    kind: str
    name: str
    parser: str
    suffixes: tuple[str, ...]
    proves: bool = False
    part: str = ""
    mimetype: bytes = b""
    holds: str = ""


PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
_ODF = b"application/vnd.oasis.opendocument."
FORMATS = (
    Format("text", "a text file", "text:parse_text", ("", ".txt", ".text", ".log")),
    Format("markdown", "a Markdown file", "markdown:parse_markdown", (".md", ".markdown")),
    Format("html", "a web page", "html:parse_html", (".html", ".htm", ".xhtml")),
    Format("csv", "a CSV file", "csv:parse_csv", (".csv", ".tsv")),
    Format("rst", "a reStructuredText file", "rst:parse_rst", (".rst", ".rest")),
    Format("asciidoc", "an AsciiDoc file", "asciidoc:parse_asciidoc", (".adoc", ".asciidoc", ".asc")),
    Format("latex", "a LaTeX file", "latex:parse_latex", (".tex", ".latex", ".ltx")),
    Format("code", "source code", "code:parse_code", tuple(LANGUAGES)),
    Format("json", "a JSON file", "data:parse_json", (".json", ".geojson")),
    Format("jsonl", "a file of JSON lines", "data:parse_jsonl", (".jsonl", ".ndjson")),
    Format("yaml", "a YAML file", "data:parse_yaml", (".yaml", ".yml")),
    Format("xml", "an XML file", "markup:parse_xml", (".xml", ".rss", ".atom")),
    Format("notebook", "a Jupyter notebook", "notebook:parse_notebook", (".ipynb",)),
    Format("subtitles", "a file of subtitles", "subtitles:parse_subtitles", (".vtt", ".srt")),
    Format("pdf", "a PDF", "pdf:parse_pdf", (".pdf",), proves=True),
    Format("picture", "a picture", "picture:parse_picture", PICTURES),
    Format("rtf", "a rich text (RTF) file", "rtf:parse_rtf", (".rtf",), proves=True),
    Format("xls", "an Excel workbook of before 2007", "xls:parse_xls", (".xls",), proves=True),
    Format("docx", "a Word document", "docx:parse_docx", (".docx",), proves=True, part="word/document"),
    Format("xlsx", "an Excel workbook", "xlsx:parse_xlsx", (".xlsx", ".xlsm"), proves=True, part="xl/workbook.xml"),
    Format(
        "pptx",
        "a PowerPoint presentation",
        "pptx:parse_pptx",
        (".pptx", ".pptm", ".ppsx"),
        proves=True,
        part="ppt/presentation",
    ),
    Format("odt", "an OpenDocument text", "odf:parse_odf", (".odt",), proves=True, mimetype=_ODF + b"text"),
    Format("ods", "an OpenDocument sheet", "odf:parse_odf", (".ods",), proves=True, mimetype=_ODF + b"spreadsheet"),
    Format("odp", "an OpenDocument presentation", "odf:parse_odf", (".odp",), proves=True, mimetype=_ODF + b"presentation"),
    Format("eml", "an e-mail message", "eml:parse_eml", (".eml",), holds="eml:unpack_eml"),
    Format("mbox", "a mailbox", "eml:parse_mbox", (".mbox", ".mbx"), holds="eml:unpack_mbox"),
    Format("msg", "an Outlook message", "msg:parse_msg", (".msg",), proves=True, holds="msg:unpack_msg"),
    Format("zip", "a zip archive", "archive:parse_archive", (".zip",), proves=True, holds="archive:unpack_zip"),
    Format(
        "tar",
        "an archive",
        "archive:parse_archive",
        (".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"),
        proves=True,
        holds="archive:unpack_tar",
    ),
    Format("epub", "an e-book (EPUB)", "epub:parse_epub", (".epub",), proves=True, mimetype=b"application/epub+zip"),
)
BY_KIND = {one.kind: one for one in FORMATS}
BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes}
SUPPORTED = tuple(suffix for suffix in BY_SUFFIX if suffix)

_MAGIC = (  # what begins like this is certainly a format of ours
    (b"%PDF-", "pdf"),
    (b"{\\rtf", "rtf"),
    (b"\x89PNG", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"GIF8", "picture"),
    (b"II*\0", "picture"),
    (b"MM\0*", "picture"),
)
_FOREIGN = (  # what begins like this is certainly none of ours
    (b"\x7fELF", "a program"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "a SQLite database"),
)
_OUTLOOK = "__properties_version1.0".encode("utf-16-le")
_EMPTY_ZIP, _BZIP2 = b"PK\x05\x06", re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_ARCHIVE_SUFFIXES = (".zip", "")
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = ("Workbook", "Book", "WordDocument", "PowerPoint Document")
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?"
    rb"(?:<!--(?:[^-]|-(?!->)){0,2000}-->\s*)*<(?:!doctype\s+html|html)[\s>]",
    re.IGNORECASE,
)
_LONGEST_MIMETYPE = 100  # bytes


def format_of(data: bytes, name: str) -> Format:
    """What to read the file as, or the reason why it can't be read. What the bytes prove comes before the name."""
    suffix = suffix_of(name)
    by_name = BY_SUFFIX.get(suffix)
    beginning = data[:1024].lstrip()
    for magic, kind in _MAGIC:
        if beginning.startswith(magic) or (by_name is BY_KIND[kind] and magic in data[:1024]):
            return BY_KIND[kind]
    if data.startswith(_ZIP):
        return _zipped(data, suffix)
    if data.startswith(_EMPTY_ZIP) and suffix in _ARCHIVE_SUFFIXES:
        return BY_KIND["zip"]
    if data.startswith((b"\x1f\x8b", b"\xfd7zXZ\0")) or _BZIP2.match(data) or data[257:262] == b"ustar":
        return BY_KIND["tar"]
    if data.startswith(_OLE):
        return _ole(data, suffix)
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            raise UnsupportedFormat(f"is {what}, which can't be read")
    if _HTML.match(data[:4096]) or (data[:2] in (b"\xff\xfe", b"\xfe\xff") and _HTML.match(data[2:4096].replace(b"\0", b""))):
        return BY_KIND["html"]
    if by_name is None:
        raise UnsupportedFormat(f"ends in {suffix}, which can't be read", hint="docs/formats.md has what can be read.")
    if by_name.proves:
        raise BrokenDocument(f"is not {by_name.name} although its name ends in {suffix}")
    return by_name


def _zipped(data: bytes, suffix: str) -> Format:
    """Which of the formats that are zip archives it is."""
    by_name = BY_SUFFIX.get(suffix)
    claimed = by_name if by_name and (by_name.part or by_name.mimetype) else None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            mimetype = b""
            if "mimetype" in names and archive.getinfo("mimetype").file_size <= _LONGEST_MIMETYPE:
                mimetype = archive.read("mimetype").strip()
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        if claimed:
            raise BrokenDocument(f"is a broken {claimed.name.split(' ', 1)[1]}: its archive is cut short or damaged") from error
        raise UnsupportedFormat("is a damaged zip archive, which can't be read") from error
    for one in FORMATS:
        if one.mimetype and one.mimetype == mimetype:
            return one
        # A folder in an archive may be called like a part of an Office file.
        is_office = suffix in one.suffixes or "[Content_Types].xml" in names
        if one.part and is_office and any(entry.startswith(one.part) for entry in names):
            return one
    if claimed:
        raise BrokenDocument(f"is not {claimed.name} although its name ends in {suffix}")
    if "[Content_Types].xml" in names:
        raise UnsupportedFormat("is an Office file of a kind that can't be read")
    if suffix in _ARCHIVE_SUFFIXES:
        return BY_KIND["zip"]
    if by_name and by_name.proves:
        raise BrokenDocument(f"is not {by_name.name} although its name ends in {suffix}")
    raise UnsupportedFormat(f"is a zip archive although its name ends in {suffix}", hint="If it is one, rename it to .zip.")


def _ole(data: bytes, suffix: str) -> Format:
    """Which of the formats in Office's old container it is."""
    # A message may hold a workbook or an encrypted file, a workbook a message, a document a workbook.
    if _OUTLOOK in data and suffix != ".xls":
        return BY_KIND["msg"]
    # What Office encrypts, it wraps in its old container.
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise Encrypted("needs a password")
    if suffix == ".msg":
        return BY_KIND["msg"]
    streams = {name for name in _OLE_STREAMS if name.encode("utf-16-le") + b"\0\0" in data}
    if streams and streams <= {"Workbook", "Book"}:
        return BY_KIND["xls"]
    raise UnsupportedFormat(
        "is in Office's old format (before 2007), which can't be read", hint="Save it as .docx, .pptx or .pdf."
    )
