"""Excel workbooks of before 2007; the files are put together here, record by record."""

from __future__ import annotations

import struct

import pytest

from ingest.errors import BrokenDocument, Encrypted
from ingest.parsers import parse
from ingest.parsers.xls import MEDIA_TYPE
from tests.ingest.parsers.support import check, hidden, place_of, texts

_SECTOR = 512
_FREE, _END, _TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def container(stream: bytes, name: str = "Workbook") -> bytes:
    """Office's old container with one stream in it, of at least 4,096 bytes as smaller ones are kept elsewhere."""
    stream = stream.ljust(max(4096, -(-len(stream) // _SECTOR) * _SECTOR), b"\0")
    count = len(stream) // _SECTOR
    table = [_TABLE, _END, *range(3, 2 + count), _END]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<IIIIIIII", 1, 1, 0, 4096, _END, 0, _END, 0) + struct.pack("<I", 0) + struct.pack("<I", _FREE) * 108

    def entry(title: str, kind: int, child: int, start: int, size: int) -> bytes:
        named = title.encode("utf-16-le") + b"\0\0"
        links = struct.pack("<HBBIII", len(named), kind, 1, _FREE, _FREE, child)
        return named.ljust(64, b"\0") + links + bytes(36) + struct.pack("<IQ", start, size)

    directory = entry("Root Entry", 5, 1, _END, 0) + entry(name, 2, _FREE, 2, len(stream))
    return b"".join(
        [header, struct.pack(f"<{len(table)}I", *table).ljust(_SECTOR, b"\xff"), directory.ljust(_SECTOR, b"\0"), stream]
    )


def record(number: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", number, len(data)) + data


def text(words: str, width: str) -> bytes:
    return struct.pack(f"<{width}B", len(words), 0) + words.encode("latin-1")


def workbook(sheets: dict[str, tuple[int, bytes]]) -> bytes:
    """Sheets as name -> (how they are hidden, the records in them); style 16 shows numbers with two decimals, 17 nothing,
    18 is white and 19 tiny."""
    begin = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 1997, 0, 6))
    formats = record(0x41E, struct.pack("<H", 164) + text('0.00" kg"', "H")) + record(
        0x41E, struct.pack("<H", 165) + text(";;;", "H")
    )
    looks = [*((0, form) for form in [0] * 16 + [164, 165]), (1, 0), (2, 0)]
    styles = b"".join(record(0xE0, struct.pack("<HH", font, form) + bytes(16)) for font, form in looks)
    font = b"".join(
        record(0x31, struct.pack("<HHHHHBBBB", height, 0, ink, 400, 0, 0, 0, 0, 0) + text("Arial", "B"))
        for height, ink in ((200, 0x7FFF), (200, 9), (20, 0x7FFF))
    )
    bodies = [
        record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 1997, 0, 6)) + held + record(0xA) for _, held in sheets.values()
    ]
    head = begin + font + formats + styles
    at = len(head) + sum(4 + 6 + 2 + len(name) for name in sheets) + 4
    bounds = b""
    for (name, (state, _)), body in zip(sheets.items(), bodies, strict=True):
        bounds += record(0x85, struct.pack("<IBB", at, state, 0) + text(name, "B"))
        at += len(body)
    return head + bounds + record(0xA) + b"".join(bodies)


def number(row: int, column: int, value: float, style: int = 15) -> bytes:
    return record(0x203, struct.pack("<HHHd", row, column, style, value))


def words(row: int, column: int, said: str, style: int = 15) -> bytes:
    return record(0x204, struct.pack("<HHH", row, column, style) + text(said, "H"))


def test_cells_as_they_are_shown_and_what_is_hidden() -> None:
    gone_row = record(0x208, struct.pack("<HHHHHHI", 2, 0, 3, 255, 0, 0, 0x20))
    gone_column = record(0x7D, struct.pack("<HHHHHH", 2, 2, 2560, 15, 1, 0))
    cells = [words(0, 0, "Region"), words(0, 1, "Weight"), words(0, 2, "secret"), words(1, 0, "North"), number(1, 1, 1.5, 16)]
    cells += [
        number(1, 2, 9),
        words(2, 0, "East"),
        number(2, 1, 3),
        words(3, 0, "South"),
        number(3, 1, 2, 16),
        number(3, 2, 8, 15),
    ]
    cells += [words(5, 0, "Note"), number(5, 1, 7, 17)]
    data = container(workbook({"Q1": (0, gone_column + gone_row + b"".join(cells)), "Lists": (1, words(0, 0, "unseen"))}))
    parsed = check(parse(data, "old.xls"))
    assert texts(parsed) == ["Q1", "| Region | Weight |\n| --- | --- |\n| North | 1.50 kg |\n| South | 2.00 kg |", "Note"]
    assert place_of(parsed, "| South | 2.00 kg |") == "Sheet 'Q1', A4:B4"
    assert hidden(parsed) == [
        ("hidden row", "East 3"), ("not displayed", "7"), ("hidden column", "secret 9 8"), ("hidden sheet", "Lists unseen"),
    ]  # fmt: skip
    assert (parsed.title, parsed.media_type) == ("old", MEDIA_TYPE)


def test_encrypted_and_broken_workbooks() -> None:
    whole = workbook({"A": (0, words(0, 0, "x"))})
    locked = whole[:20] + record(0x2F, struct.pack("<HHH", 1, 1, 1) + bytes(48)) + whole[20:]
    with pytest.raises(Encrypted, match="needs a password"):
        parse(container(locked), "a.xls")
    with pytest.raises(BrokenDocument, match="Excel workbook"):
        parse(container(whole)[:1400], "a.xls")
    with pytest.raises(BrokenDocument, match="Excel workbook"):
        parse(container(b"nonsense" * 100), "a.xls")


def test_white_and_tiny_text() -> None:
    cells = words(0, 0, "Seen") + words(1, 0, "ghost", 18) + words(2, 0, "speck", 19)
    parsed = check(parse(container(workbook({"A": (0, cells)})), "a.xls"))
    assert texts(parsed) == ["A", "Seen", "ghost", "speck"]
    assert [(one.kind, one.sure) for one in parsed.hidden] == [("white", False), ("tiny", True)]
    assert hidden(parsed) == [("white", "ghost"), ("tiny", "speck")]
