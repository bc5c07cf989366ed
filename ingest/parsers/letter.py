"""A message (e-mail) as its parsers find it, and its text: subject, who to whom and when, body, names of what is attached."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.parsers import too_large
from ingest.parsers.archive import clean_name, too_big, too_many
from ingest.parsers.builder import TextBuilder
from ingest.parsers.html import add_page
from ingest.parsers.text import BLANK_LINES
from ingest.types import Member, Unpacked

HEADERS = ("From", "To", "Cc", "Date")
_QUOTED = re.compile(r"^[ \t]*>", re.MULTILINE)
# Where programs begin to quote the message that is answered.
_QUOTED_HTML = re.compile(
    r"""<blockquote\b|<[^<>]{0,1000}\b(?:class|id)=["']?[^"'<>]{0,200}\b(?:gmail_quote|yahoo_quoted|divRplyFwdMsg|OLK_SRC_BODY_SECTION)\b""",
    re.IGNORECASE,
)
_TAG_OR_SPACE = re.compile(r"<[^<>]*>|&nbsp;|\s")
_ANSWER = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message."""

    name: str
    data: bytes | None
    error: str = ""


@dataclass(slots=True)
class Body:
    """A part of what a message says: `plain`, or `html` where there is no such text."""

    plain: str = ""
    html: str = ""

    @property
    def empty(self) -> bool:
        return not (self.plain.strip() or self.html.strip())


@dataclass(slots=True)
class Letter:
    """One message."""

    subject: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    bodies: list[Body] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)

    def write(self, builder: TextBuilder) -> None:
        """The message as a section below a heading that is its subject. Quoted lines keep their `>`."""
        builder.heading(0, self.subject or "(no subject)")
        lines = [f"{name}: {self.headers[name]}" for name in HEADERS if self.headers.get(name)]
        if self.attachments:
            lines.append(f"Attachments: {', '.join(one.name for one in self.attachments)}")
        builder.text("\n".join(lines))
        for body in self.bodies:
            if body.plain.strip():
                for paragraph in BLANK_LINES.split(builder.cleaned(body.plain)):
                    for part in _apart(paragraph):
                        builder.text(part)
            elif body.html.strip():
                _write_html(builder, body.html)


def _write_html(builder: TextBuilder, html: str) -> None:
    quoted = _QUOTED_HTML.search(html)
    if quoted and _TAG_OR_SPACE.sub("", html[: quoted.start()]):
        # One page still: what hides the elements around the quoted message hides that, too.
        html = f"{html[: quoted.start()]}<h6>Quoted message</h6>{html[quoted.start() :]}"
    # The mark at the beginning comes before the encoding that the page says it was in.
    add_page(builder, html.encode("utf-8-sig", "replace"))


def _apart(paragraph: str) -> list[str]:
    """A paragraph's quoted lines and its own, each in blocks of their own."""
    if not _QUOTED.search(paragraph):
        return [paragraph]
    parts: list[tuple[bool, list[str]]] = []
    for line in paragraph.split("\n"):
        quoted = bool(_QUOTED.match(line))
        if not parts or parts[-1][0] != quoted:
            parts.append((quoted, []))
        parts[-1][1].append(line)
    return ["\n".join(lines) for _, lines in parts]


def attached(attachments: Sequence[Attachment], start: int, files: int, size: int, most: int) -> Unpacked:
    """The attachments from number `start` on as members, as many as go into one answer."""
    if len(attachments) > files:
        raise too_many(files)
    total = sum(len(one.data or b"") for one in attachments)
    if total > size:
        raise too_big(total, size)
    members: list[Member] = []
    gathered = 0
    for at in range(start, len(attachments)):
        one = attachments[at]
        data: bytes | None = one.data
        error = one.error
        if data is not None and len(data) > most:
            error, data = str(too_large(len(data), most)), None
        members.append(Member(clean_name(one.name), data, error))
        gathered += len(data or b"")
        if gathered >= _ANSWER and at + 1 < len(attachments):
            return Unpacked(tuple(members), at + 1, is_document=True)
    return Unpacked(tuple(members), is_document=True)
