"""Archives: what is taken out of them under which name, and which are refused before or while they are unpacked."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from ingest.errors import BrokenDocument, DocumentError, Encrypted, TooLarge, UnsupportedFormat
from ingest.parsers import parse
from ingest.parsers.archive import clean_name, is_tar
from ingest.parsers.containers import unpack
from ingest.types import Member
from tests.ingest.parsers.archives import encrypted, make_tar, make_zip, overlapping_zip

MIB = 1024 * 1024
BOMB = "may be a bomb"


def members(
    data: bytes, name: str = "a.zip", *, files: int = 1000, size: int = 100 * MIB, most: int = 10 * MIB
) -> list[Member]:
    """All members, whichever number of answers they take."""
    found: list[Member] = []
    start: int | None = 0
    while start is not None:
        some = unpack(data, name, start, files, size, most)
        assert some is not None and not some.is_document
        found += some.members
        start = some.following
    return found


def test_members_of_a_zip_archive() -> None:
    data = make_zip([("a/one.txt", b"One."), ("two.txt", b"Two."), ("two.txt", b"Another two.")])
    assert members(data) == [Member("a/one.txt", b"One."), Member("two.txt", b"Two."), Member("two.txt", b"Another two.")]


@pytest.mark.parametrize(("packing", "name"), [("", "a.tar"), ("gz", "a.tgz"), ("bz2", "a.tar.bz2"), ("xz", "a.tar.xz")])
def test_members_of_a_tar_archive(packing: str, name: str) -> None:
    data = make_tar([("a/one.txt", b"One."), ("zwölf.txt", b"12")], packing, {"link.txt": "/etc/passwd"})
    assert members(data, name) == [Member("a/one.txt", b"One."), Member("zwölf.txt", b"12")]
    assert members(data, "no name that says so") == members(data, name)


def test_a_file_that_is_packed_alone() -> None:
    assert members(gzip.compress(b"One."), "notes.txt.gz") == [Member("notes.txt", b"One.")]
    (bomb,) = members(gzip.compress(bytes(80 * MIB)), "notes.txt.gz")
    assert bomb.data is None and "more than the 10.0 MB that are allowed" in bomb.error
    with pytest.raises(TooLarge, match=BOMB):
        members(gzip.compress(bytes(80 * MIB)), "notes.txt.gz", most=90 * MIB)


def test_many_members_come_in_several_answers() -> None:
    files = [(f"{number:04}.txt", b"x") for number in range(700)]
    for data, name in ((make_zip(files), "a.zip"), (make_tar(files), "a.tgz")):
        assert [member.name for member in members(data, name)] == [name for name, _ in files]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\x.txt", "Users/me/x.txt"),
        ("a/./b//c.txt", "a/b/c.txt"),
        ("a\nb\x1b[31m.txt", "a\\nb\\x1b[31m.txt"),
        ("..", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_names_are_labels_below_the_archive(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


def test_names_in_encodings() -> None:
    stored = make_zip({"grün.txt": b"a"})
    assert [member.name for member in members(stored)] == ["grün.txt"]
    flags = bytearray(stored)
    for magic, at in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
        flags[stored.find(magic) + at] = 0  # without the bit that says UTF-8, which many programs leave out
    assert [member.name for member in members(bytes(flags))] == ["grün.txt"]


def test_links_and_what_systems_leave_behind_are_passed_over() -> None:
    data = make_zip(
        [("a.txt", b"A."), ("__MACOSX/a.txt", b"x"), (".hidden/a.txt", b"x"), ("~$a.docx", b"x"), ("d/Thumbs.db", b"x")]
    )
    assert [member.name for member in members(data)] == ["a.txt"]
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert [member.name for member in members(stream.getvalue())] == ["a.txt"]


@pytest.mark.parametrize(
    ("data", "name", "error", "reason"),
    [
        (overlapping_zip(), "a.zip", BrokenDocument, "entries that overlap"),
        (make_tar([("a.txt", bytes(40 * MIB))], "xz"), "a.tar.xz", TooLarge, BOMB),
        (make_tar([("a.txt", bytes(40 * MIB))], "bz2"), "a.tar.bz2", TooLarge, BOMB),
        (make_zip([(f"{n}", b"") for n in range(60)]), "a.zip", TooLarge, "holds more files than the 50"),
        (make_tar([(f"{n}", b"") for n in range(60)]), "a.tgz", TooLarge, "holds more files than the 50"),
        (make_zip([(f"{n}.txt", bytes(range(256)) * 40_000) for n in range(7)]), "a.zip", TooLarge, "unpacks to 68 MB or more"),
        (make_tar([("a.bin", bytes(range(256)) * 280_000)], ""), "a.tar", TooLarge, "unpacks to 68 MB or more"),
        (encrypted(make_zip({"a.txt": b"A."})), "a.zip", Encrypted, "needs a password"),
        (make_zip({"a.txt": b"A."})[:-30], "a.zip", DocumentError, "damaged"),
        (make_tar([("a.txt", b"A." * 100_000)])[:150], "a.tgz", BrokenDocument, "damaged|cut short"),
        (gzip.compress(b"A.")[:12], "a.txt.gz", BrokenDocument, "damaged"),
        (make_zip({}), "a.zip", BrokenDocument, "no file in it"),
        (b"only words", "a.zip", BrokenDocument, "is not a zip archive although its name ends in .zip"),
        (b"only words", "a.tar.gz", BrokenDocument, "is not an archive although its name ends in .gz"),
        (make_zip({"a.txt": b"A."}), "a.pdf", BrokenDocument, "is not a PDF although its name ends in .pdf"),
        (make_zip({"a.txt": b"A."}), "a.txt", UnsupportedFormat, "is a zip archive although its name ends in .txt"),
    ],
    ids=range(16),
)
def test_a_refusal_says_why(data: bytes, name: str, error: type[DocumentError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        members(data, name, files=50, size=60 * MIB)


def test_one_member_that_is_wrong_stops_no_other() -> None:
    data = make_zip(
        [("a.txt", b"A."), ("bomb.txt", bytes(30 * MIB)), ("large.bin", bytes(range(256)) * 50_000), ("z.txt", b"Z.")]
    )
    damaged = bytearray(data)
    damaged[data.find(b"a.txt") + 6] ^= 0xFF
    found = {member.name: member for member in members(bytes(damaged), most=11 * MIB)}
    assert found["z.txt"].data == b"Z."
    assert found["a.txt"] == Member("a.txt", None, "is damaged in the archive")
    assert found["bomb.txt"].error.endswith(BOMB) or "that are allowed" in found["bomb.txt"].error
    assert "12.2 MB, more than the 11.0 MB" in found["large.bin"].error


def test_what_is_no_archive_holds_nothing() -> None:
    assert unpack(b"Just words.", "a.txt", 0, 10, MIB, MIB) is None


def test_an_archive_has_no_text_of_its_own() -> None:
    with pytest.raises(UnsupportedFormat, match="is an archive"):
        parse(make_zip({"a.txt": b"A."}), "a.zip")


def test_an_entry_that_begins_beyond_the_end() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
    data = bytearray(stream.getvalue())
    data[28:30] = b"\xff\xff"  # as if 65,535 bytes stood between its name and its content
    with pytest.raises(BrokenDocument, match="cut short or damaged"):
        parse(bytes(data), "a.odt")
    with pytest.raises(UnsupportedFormat, match="is a damaged zip archive"):
        members(bytes(data))


def test_the_check_sum_tells_a_tar_archive() -> None:
    data = make_tar([("a.txt", b"A.")], "")
    assert is_tar(data) and not is_tar(bytes(512)) and not is_tar(data[:100]) and not is_tar(b"x" + data[1:])


def test_folders_called_like_parts_of_office_files_make_none_of_an_archive() -> None:
    names = ("word/documents/a.txt", "ppt/presentation.pptx", "xl/workbook.xml")
    found = members(make_zip(dict.fromkeys(names, b"words")))
    assert tuple(member.name for member in found) == names
