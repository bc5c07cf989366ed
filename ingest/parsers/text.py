"""Plain text: paragraphs are what blank lines part; lines stay as they are."""

from __future__ import annotations

import re

from ingest.parsers.builder import TextBuilder
from ingest.parsers.encoding import decode
from ingest.parsers.names import title_of
from ingest.types import Parsed

BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


def parse_text(data: bytes, name: str) -> Parsed:
    """A text file, in whichever encoding."""
    builder = TextBuilder()
    for paragraph in BLANK_LINES.split(builder.cleaned(decode(data))):
        builder.text(paragraph)
    return builder.build("", "text/plain", title_of(name))
