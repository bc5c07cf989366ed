"""Subtitles and transcripts (WebVTT, SubRip): what is said as paragraphs, each with the time at which it begins."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.errors import BrokenDocument
from ingest.parsers.builder import TextBuilder
from ingest.parsers.encoding import decode
from ingest.parsers.names import title_of
from ingest.types import Parsed

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]{1,80})>")
_TAG = re.compile(r"</?[a-zA-Z0-9][^<>]*>|\{\\[^{}]*\}")
_END = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
_LONGEST_PAUSE = 3.0  # seconds; who is silent longer begins a new paragraph
_LONGEST = 60.0  # seconds of a paragraph whose sentences never end


@dataclass(frozen=True, slots=True)
class _Cue:
    """What is shown from `start` to `end` (in seconds), and who says it."""

    start: float
    end: float
    text: str
    voice: str = ""


def parse_subtitles(data: bytes, name: str) -> Parsed:
    """A `.vtt` or `.srt` file."""
    builder = TextBuilder()
    text = builder.cleaned(decode(data))
    for note in re.findall(r"^NOTE\b(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL):
        builder.beside("comment", note)
    voice = ""
    found = False
    for cues in _paragraphs(_cues(text)):
        found = True
        builder.place = _clock(cues[0].start)
        said = " ".join(cue.text for cue in cues)
        named = cues[0].voice if cues[0].voice != voice else ""
        voice = cues[0].voice
        builder.text(f"{named}: {said}" if named else said)
    if not found and text.strip():
        raise BrokenDocument("holds no subtitles: no line tells a time as in 00:00:01.000 --> 00:00:04.000")
    title = re.match(r"WEBVTT[ \t-]+([^\n]*)", text)
    kind = "text/vtt" if text.startswith("WEBVTT") else "application/x-subrip"
    return builder.build(title[1].strip(" -") if title and "=" not in title[1] else "", kind, title_of(name))


def _cues(text: str) -> Iterator[_Cue]:
    """The cues in the order of the file, without their numbers, settings and marks."""
    lines = text.split("\n")
    at = 0
    last = ""
    while at < len(lines):
        match = _TIMES.match(lines[at])
        at += 1
        if not match:
            continue
        shown = []
        while at < len(lines) and lines[at].strip() and "-->" not in lines[at]:
            shown.append(lines[at])
            at += 1
        if at < len(lines) and "-->" in lines[at] and shown and shown[-1].strip().isdigit():
            shown.pop()  # the number of the next one, where no blank line stands between them
        voice = _VOICE.search("\n".join(shown))
        words = " ".join(" ".join(html.unescape(_TAG.sub("", line)).split()) for line in shown).strip()
        if words and words != last:  # captions that roll say the same again
            yield _Cue(_seconds(match, 1), _seconds(match, 5), words, voice[1].strip() if voice else "")
            last = words


def _paragraphs(cues: Iterator[_Cue]) -> Iterator[list[_Cue]]:
    """Cues that make whole sentences of one voice, so that what runs over several is not cut."""
    together: list[_Cue] = []
    for cue in cues:
        if together and (
            cue.voice != together[0].voice
            or cue.start - together[-1].end > _LONGEST_PAUSE
            or _END.search(together[-1].text)
            or cue.start - together[0].start > _LONGEST
        ):
            yield together
            together = []
        together.append(cue)
    if together:
        yield together


def _seconds(match: re.Match[str], group: int) -> float:
    hours, minutes, seconds, parts = (match[group + index] or "0" for index in range(4))
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{parts}")


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
