"""Encodings are found out, and what is no text is refused."""

from __future__ import annotations

import codecs
import random

import pytest

from ingest.errors import BrokenDocument
from ingest.parsers.encoding import decode

RUSSIAN = "Сотрудники имеют право на отпуск двадцать пять дней."
POLISH = "Zażółć gęślą jaźń. Pracownicy mają prawo do dwudziestu dni urlopu w roku."
JAPANESE = "従業員は年間二十五日の有給休暇を取得できます。詳細は人事部まで。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Plain words", "ascii"),
        ("Müller 10 € 👍", "utf-8"),
        ("Müller trinkt Café in der Straße – gerne.", "cp1252"),
        ("Le café est fermé à Noël. L’été, il rouvre.", "cp1252"),
        ("Preis: 5 €", "cp1252"),
        ("naïve", "latin-1"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        ("Οι εργαζόμενοι δικαιούνται είκοσι πέντε ημέρες άδειας.", "cp1253"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        ("员工每年有二十五天的带薪假期。详情请咨询人事部。", "gb18030"),
        ("員工每年有二十五天的帶薪假期。詳情請諮詢人事部。", "big5"),
        ("직원은 연간 25일의 유급 휴가를 사용할 수 있습니다.", "euc_kr"),
        ("The allowance is 25 days.", "utf-16-le"),
        ("The allowance is 25 days.", "utf-16-be"),
    ],
)
def test_the_encoding_is_found_out(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides_and_is_no_part_of_the_text(mark: bytes, encoding: str) -> None:
    assert decode(mark + "Überstunden".encode(encoding)) == "Überstunden"


def test_what_is_found_far_into_the_file_counts() -> None:
    text = "The same plain line again.\n" * 20_000 + "Gruß aus Köln\n"
    assert decode(text.encode("cp1252")) == text


def test_a_declared_encoding_is_honoured_where_the_bytes_are_not_utf8() -> None:
    assert decode("Ő és Ű".encode("iso8859-2"), "iso-8859-2") == "Ő és Ű"
    assert decode("Größe".encode(), "iso-8859-1") == "Größe"
    assert decode("日本語".encode("iso2022_jp"), "iso-2022-jp") == "日本語"


@pytest.mark.parametrize("label", ["zip", "rot13", "unicode_escape", "punycode", "undefined", "no-such", "\0", "utf-7"])
def test_a_declared_codec_that_is_no_encoding_is_ignored(label: str) -> None:
    assert decode("Größe".encode("cp1252"), label) == "Größe"


@pytest.mark.parametrize(
    "data",
    [
        random.Random(1).randbytes(5000),
        b"MZ\x90\x00\x03\x00\x00\x00\x04" + bytes(300),
        bytes(range(32)) * 8,
        b"\x00\x01\x02\x03" * 100,
    ],
    ids=["noise", "program", "controls", "counter"],
)
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenDocument, match="looks like a binary file, not text"):
        decode(data)


def test_a_stray_nul_in_a_long_text_does_no_harm() -> None:
    assert decode(b"A line of a log file.\n" * 200 + b"\0").startswith("A line of a log file.")
