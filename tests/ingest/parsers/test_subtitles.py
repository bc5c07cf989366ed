"""WebVTT and SubRip."""

from __future__ import annotations

import pytest

from ingest.errors import BrokenDocument
from ingest.parsers import parse
from tests.ingest.parsers.support import check, hidden, place_of, texts

_VTT = """WEBVTT - Town hall

NOTE to be checked

intro
00:01.000 --> 00:02.500 align:start
<v Ann>Welcome to the

00:02.600 --> 00:04.000
<v Ann>town <i>hall</i> &amp; more.

00:00:05.000 --> 00:00:06.000
<v Bob>Leave is 25 days.

01:02:03.000 --> 01:02:04.000
<v Bob>Bye
"""


def test_sentences_are_whole_and_have_their_time() -> None:
    parsed = check(parse(_VTT.encode(), "a.vtt"))
    assert texts(parsed) == ["Ann: Welcome to the town hall & more.", "Bob: Leave is 25 days.", "Bye"]
    assert [place_of(parsed, words) for words in ("Welcome", "Leave", "Bye")] == ["00:00:01", "00:00:05", "01:02:03"]
    assert hidden(parsed) == [("comment", "to be checked")]
    assert parsed.title == "Town hall"


def test_subrip_with_repeats_and_marks() -> None:
    data = "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\n{\\an8}<b>Hello</b>\r\nthere\r\n\r\n"
    data += "2\r\n00:00:02,100 --> 00:00:03,000\r\nHello there\r\n"
    parsed = check(parse(data.encode(), "talk.srt"))
    assert (texts(parsed), parsed.title) == (["Hello there"], "talk")


def test_a_speech_without_stops_is_cut_by_time() -> None:
    cues = "".join(f"{n}\n00:{n // 60:02}:{n % 60:02},000 --> 00:{n // 60:02}:{n % 60:02},900\nword{n}\n\n" for n in range(150))
    parsed = check(parse(cues.encode(), "a.srt"))
    assert len(parsed.blocks) == 3
    assert place_of(parsed, "word130") == "00:02:02"


def test_what_holds_no_times() -> None:
    with pytest.raises(BrokenDocument, match="holds no subtitles"):
        parse(b"only words", "a.srt")


def test_numbers_of_subtitles_without_blank_lines_between_are_not_said() -> None:
    data = b"1\n00:00:01,000 --> 00:00:02,000\nHi.\n2\n00:00:03,000 --> 00:00:04,000\nIn\n2026\n\n"
    assert texts(parse(data, "a.srt")) == ["Hi.", "In 2026"]
