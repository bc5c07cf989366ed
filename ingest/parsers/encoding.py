"""Bytes to text: byte order mark, UTF-8, what the document declares, then what the bytes look like."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable

from ingest.errors import BrokenDocument

_SAMPLE = 256 * 1024
_MARKS = (  # the longer ones first: a UTF-32 mark begins like a UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What the common labels mean in practice is the larger relative of the encoding they name (the WHATWG's table).
_LARGER = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
# Only these may be asked for by a document: Python also knows codecs like `zip`, `punycode` and `unicode_escape`.
_DECLARABLE = re.compile(r"(ascii|utf-8|iso8859-\d+|iso2022_.*|cp\d+|koi8-.|mac-.*|shift_jis.*|euc_.*|gb.*|big5.*|hz|tis-620)$")
_SEVEN_BIT = re.compile(r"iso2022_.*|hz")
_GUESSED = "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 koi8_r cp932 euc_jp gb18030 big5 euc_kr tis_620".split()
_WESTERN = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜàáâãäåæçèéêëìíîïñòóôõöøùúûüßÿŒœ")
_WESTERN_MARKS = frozenset("\xa0€‚„…‘’“”•–—™¡£§©ª«®°±²³´·º»¼½¾¿×")
_CONTROLS = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
_C1_CONTROLS = re.compile("[\x80-\x84\x86-\x9f]")


def decode(data: bytes, declared: str = "") -> str:
    """The text of `data`, or BrokenDocument where it is not text. `declared` is the encoding that the document itself names."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _checked(data.decode(encoding, errors="replace").removeprefix("\ufeff"))
    if data.count(b"\0") * 1000 > len(data):
        return _checked(_two_bytes(data))
    name = _codec(declared)
    if _SEVEN_BIT.match(name):
        return _checked(data.decode(name, errors="replace"))
    for encoding in _candidates(data, name):
        try:
            return _checked(data.decode(encoding, errors="replace" if encoding == name else "strict"))
        except UnicodeDecodeError:
            continue
    raise _binary()


def _candidates(data: bytes, declared: str) -> Iterable[str]:
    """Encodings to try, the surest first; each is only asked for when the ones before it failed."""
    yield "utf-8"
    if declared and declared != "utf-8":
        yield declared
    sample = _sample(data)
    if _is_western(sample):
        yield "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(_GUESSED), steps=5, chunk_size=1024).best()
    if best is not None:
        yield best.encoding
    yield from ("cp1252", "latin-1")


def _sample(data: bytes) -> bytes:
    """Lines around the first bytes that are not ASCII, so that a guess has something to go by."""
    first = re.search(rb"[\x80-\xff]", data)
    start = max(0, (first.start() if first else 0) - 1024)
    return data[data.find(b"\n", start) + 1 if start else 0 : start + _SAMPLE]


def _is_western(sample: bytes) -> bool:
    """Whether `sample` is mostly ASCII with the letters and signs that western European texts have, where they have them."""
    text = sample.decode("cp1252", errors="replace")
    high = [char for char in text if char > "\x7f"]
    if len(high) > 0.3 * len(text) or not all(char in _WESTERN or char in _WESTERN_MARKS for char in high):
        return False
    return not re.search(r"[A-Za-z][¡£§©ª«®°±³´·¼½¾¿×]+[A-Za-z]", text)


def _two_bytes(data: bytes) -> str:
    """UTF-16 without a mark, told by where its NUL bytes stand; anything else with NUL bytes is no text."""
    sample = data[: _SAMPLE & ~1]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) <= 4 * min(even, odd):
        raise _binary()
    try:
        text = data[: len(data) & ~1].decode("utf-16-le" if odd > even else "utf-16-be")
    except UnicodeDecodeError as error:
        raise _binary() from error
    # Any bytes make some character in UTF-16, but noise makes many that nobody has given a meaning.
    beginning = text[:4096]
    if sum(unicodedata.category(char) in ("Cn", "Co") for char in beginning) * 50 > len(beginning):
        raise _binary()
    return text


def _codec(label: str) -> str:
    """The Python codec for an encoding's label, '' if there is none that may be used."""
    try:
        name = codecs.lookup(label).name if label else ""
    except (LookupError, ValueError):
        return ""
    # UTF-16 is not among them: who can read such a declaration as ASCII has the proof that it is wrong.
    name = _LARGER.get(name, name)
    return name if _DECLARABLE.match(name) else ""


def _checked(text: str) -> str:
    """`text`, unless its beginning is full of what no text holds."""
    sample = text[:_SAMPLE]
    strange = len(_CONTROLS.findall(sample)) + len(_C1_CONTROLS.findall(sample))
    if strange * 20 > len(sample):
        raise _binary()
    return text


def _binary() -> BrokenDocument:
    return BrokenDocument("looks like a binary file, not text")
