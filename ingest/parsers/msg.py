"""Outlook's messages (MSG): properties in streams of Office's old container, as [MS-OXMSG] describes them."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import TYPE_CHECKING

from ingest.errors import BrokenDocument, DocumentError
from ingest.parsers.builder import TextBuilder, clean, marked_again
from ingest.parsers.encoding import decode
from ingest.parsers.letter import Attachment, Body, Letter, attached
from ingest.parsers.names import title_of
from ingest.types import Parsed, Unpacked

if TYPE_CHECKING:
    from olefile import OleFileIO

_SUBJECT, _BODY, _HTML = "0037", "1000", "1013"
_SENDER, _SENDER_SMTP, _SENDER_ADDRESS = "0C1A", "5D01", "0C1F"
_DISPLAY_TO, _DISPLAY_CC = "0E04", "0E03"
_DATA, _LONG_NAME, _SHORT_NAME, _MIME, _CONTENT_ID = "3701", "3707", "3704", "370E", "3712"
_SENT, _DELIVERED, _TIME = 0x0039, 0x0E06, 0x0040
_RTF = "1009"
# What Outlook's packing of RTF knows from the start ([MS-OXRTFCP]), and how far back it looks.
_RTF_BEGINNING = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_RTF_WINDOW = 4096
_PROPERTIES = "__properties_version1.0"
_DEEPEST = 8
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)

Place = tuple[str, ...]


def parse_msg(data: bytes, name: str) -> Parsed:
    """One message."""
    letter = _letter(data)
    builder = TextBuilder()
    letter.write(builder)
    return builder.build(letter.subject, "application/vnd.ms-outlook", title_of(name))


def unpack_msg(data: bytes, name: str, start: int, files: int, size: int, most: int) -> Unpacked:
    """What is attached to a message; a message in it comes out as EML."""
    return attached(_letter(data).attachments, start, files, size, most)


def _letter(data: bytes) -> Letter:
    from olefile import OleFileIO

    try:
        container = OleFileIO(io.BytesIO(data))
    except (OSError, ValueError, struct.error) as error:
        raise BrokenDocument("is a broken Outlook message: it is cut short or damaged") from error
    with container:
        if not container.exists(_PROPERTIES):
            raise BrokenDocument("is not an Outlook message: it has none of its properties")
        return _Reader(container).letter((), 32, 0)


class _Reader:
    """Reads the properties of a message, of its attachments, and of the messages among these."""

    def __init__(self, container: OleFileIO) -> None:
        self._container = container
        self._names = ["/".join(path) for path in container.listdir(streams=True, storages=True)]

    def letter(self, place: Place, header: int, depth: int) -> Letter:
        """The message at `place` in the container; `header` are the bytes before its properties of fixed size."""
        sender = self._text(place, _SENDER)
        address = self._text(place, _SENDER_SMTP) or self._text(place, _SENDER_ADDRESS)
        if address and "@" in address and address != sender:
            sender = f"{sender} <{address}>".strip()
        letter = Letter(
            " ".join(self._text(place, _SUBJECT).split()),
            {
                "From": sender,
                "To": self._text(place, _DISPLAY_TO),
                "Cc": self._text(place, _DISPLAY_CC),
                "Date": self._date(place, header),
            },
            [
                Body(
                    self._text(place, _BODY).replace("\r\n", "\n"),
                    self._text(place, _HTML) or self._decoded(self._stream(place, f"{_HTML}0102")),
                )
            ],
        )
        if letter.bodies[0].empty:
            letter.bodies = [Body(self._rich_text(place))]
        for storage in self._below(place, "__attach_version1.0_#"):
            one = self._attachment((*place, storage), depth)
            if one:
                letter.attachments.append(one)
        return letter

    def _rich_text(self, place: Place) -> str:
        """The text of a body that there is as RTF alone."""
        packed = self._stream(place, f"{_RTF}0102")
        if not packed:
            return ""
        from ingest.parsers.rtf import parse_rtf

        try:
            parsed = parse_rtf(unpack_rtf(packed), "body.rtf")
            return marked_again(parsed.text, parsed.hidden)
        except DocumentError:
            return ""

    def _attachment(self, place: Place, depth: int) -> Attachment | None:
        name = self._text(place, _LONG_NAME) or self._text(place, _SHORT_NAME) or "attachment"
        name = clean(name.replace("\\", "/").rsplit("/", 1)[-1].rstrip("\0")).strip() or "attachment"
        inner = f"__substg1.0_{_DATA}000D"
        if "/".join((*place, inner)) in self._names:
            return self._message((*place, inner), depth)
        if self._text(place, _CONTENT_ID) and self._text(place, _MIME).startswith("image/"):
            return None  # a picture that stands in the text
        data = self._stream(place, f"{_DATA}0102")
        return Attachment(name, data or None, "" if data else "is empty")

    def _message(self, place: Place, depth: int) -> Attachment:
        """A message in the message, written as EML."""
        if "/".join((*place, _PROPERTIES)) not in self._names:
            return Attachment("attachment", None, "is an object of a kind that can't be read")
        if depth >= _DEEPEST:
            return Attachment("message.eml", None, f"is nested more than {_DEEPEST} messages deep")
        letter = self.letter(place, 24, depth + 1)
        name = letter.subject.replace("/", "-").replace("\\", "-") or "message"
        return Attachment(f"{name}.eml", _as_eml(letter))

    def _below(self, place: Place, beginning: str) -> list[str]:
        prefix = "/".join((*place, beginning))
        found = {name[len(prefix) - len(beginning) :].split("/")[0] for name in self._names if name.startswith(prefix)}
        return sorted(found)

    def _stream(self, place: Place, tag: str) -> bytes:
        name = "/".join((*place, f"__substg1.0_{tag}"))
        if name not in self._names:
            return b""
        with self._container.openstream(name) as stream:
            return bytes(stream.read())

    def _text(self, place: Place, tag: str) -> str:
        wide = self._stream(place, f"{tag}001F")
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        return self._decoded(self._stream(place, f"{tag}001E")).rstrip("\0")

    @staticmethod
    def _decoded(data: bytes) -> str:
        try:
            return decode(data) if data else ""
        except BrokenDocument:
            return data.decode("latin-1")

    def _date(self, place: Place, header: int) -> str:
        """When it was sent, else when it came, in UTC."""
        name = "/".join((*place, _PROPERTIES))
        with self._container.openstream(name) as stream:
            properties = bytes(stream.read())[header:]
        times = {
            identifier: value
            for kind, identifier, _, value in struct.iter_unpack("<HHLQ", properties[: len(properties) // 16 * 16])
            if kind == _TIME
        }
        value = times.get(_SENT) or times.get(_DELIVERED)
        try:
            return (_EPOCH + timedelta(microseconds=value // 10)).strftime("%a, %d %b %Y %H:%M:%S +0000") if value else ""
        except OverflowError:
            return ""


def unpack_rtf(packed: bytes) -> bytes:
    """RTF as Outlook packs it: runs of eight literals or references into the last 4096 bytes. Raises BrokenDocument."""
    if len(packed) < 16:
        raise BrokenDocument("holds a body that is cut short")
    _, size, kind, _ = struct.unpack_from("<LL4sL", packed)
    if kind == b"MELA":
        return packed[16 : 16 + size]
    window = bytearray(_RTF_BEGINNING.ljust(_RTF_WINDOW, b"\0"))
    at, result, reached = len(_RTF_BEGINNING), bytearray(), 16
    while reached < len(packed) and len(result) < size:
        flags, reached = packed[reached], reached + 1
        for bit in range(8):
            if reached + (flags >> bit & 1) >= len(packed):
                return bytes(result)
            if not flags >> bit & 1:
                found, reached = packed[reached : reached + 1], reached + 1
            else:
                reference, reached = int.from_bytes(packed[reached : reached + 2], "big"), reached + 2
                start = reference >> 4
                if start == at:
                    return bytes(result)
                found = b""
            for step in range(len(found) or (reference & 15) + 2):
                byte = found[0] if found else window[(start + step) % _RTF_WINDOW]
                window[at] = byte
                at = (at + 1) % _RTF_WINDOW
                result.append(byte)
    return bytes(result)


def _as_eml(letter: Letter) -> bytes:
    """A message written as EML, the same each time."""
    bodies = [MIMEText(body.plain or body.html, "plain" if body.plain else "html", "utf-8") for body in letter.bodies]
    message = MIMEMultipart("mixed", boundary="=_message_in_a_message", _subparts=bodies)
    for name, value in (("Subject", letter.subject), *letter.headers.items()):
        if value:
            message.add_header(name, Header(" ".join(value.split()), "utf-8", maxlinelen=900).encode())
    for one in letter.attachments:
        if one.data is not None:
            part = MIMEApplication(one.data)
            part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", one.name))
            message.attach(part)
    return message.as_bytes()
