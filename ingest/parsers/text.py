"""Plain text: paragraphs are what blank lines part; lines stay as they are, but front matter that names labels is no text."""

from __future__ import annotations

import re

from ingest.parsers.builder import TextBuilder
from ingest.parsers.encoding import decode
from ingest.parsers.front_matter import front_matter
from ingest.parsers.names import title_of
from ingest.types import Parsed

BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


def parse_text(data: bytes, name: str) -> Parsed:
    """A text file, in whichever encoding."""
    builder = TextBuilder()
    text = builder.cleaned(decode(data))
    head = front_matter(text)
    if head and head.labels is not None:
        builder.label(head.labels)
        text = head.body
    for paragraph in BLANK_LINES.split(text):
        builder.text(paragraph)
    return builder.build("", "text/plain", title_of(name))
