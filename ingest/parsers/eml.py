"""E-mail as it travels (EML) and mailboxes of it (MBOX): each message a section, what is attached to it files of their own."""

from __future__ import annotations

import codecs
import email.policy
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser

from ingest.errors import BrokenDocument, DocumentError, EmptyDocument, Encrypted
from ingest.parsers.builder import TextBuilder
from ingest.parsers.encoding import decode
from ingest.parsers.letter import HEADERS, Attachment, Body, Letter, attached
from ingest.parsers.names import title_of
from ingest.types import Parsed, Unpacked

_DEEPEST = 50  # parts in parts
_MOST_PARTS = 5_000
_KNOWN = ("from", "to", "subject", "date", "received", "message-id", "content-type", "mime-version")
# Not every program escapes a line of a message that begins like this: only before a header it begins a message.
_FROM_LINE = re.compile(rb"(?:\A|\r?\n\r?\n|(?<=\n\n))From [^\r\n]*\r?\n(?=[!-9;-~]+[ \t]*:|>From )")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_BLANK_BEFORE_COLON = re.compile(rb"^([A-Za-z-]{2,60})[ \t]+:", re.MULTILINE)
_ESCAPED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_SIGNATURES = ("pkcs7-signature", "x-pkcs7-signature", "pgp-signature", "pgp-encrypted")
_FOLDED = re.compile(r"\s*\r?\n\s*")
_SUFFIXES = {"text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics", "text/csv": ".csv", "application/pdf": ".pdf"}


def parse_eml(data: bytes, name: str) -> Parsed:
    """One message."""
    letter = read_letter(data)
    builder = TextBuilder()
    letter.write(builder)
    return builder.build(letter.subject, "message/rfc822", title_of(name))


def unpack_eml(data: bytes, name: str, start: int, files: int, size: int, most: int) -> Unpacked:
    """What is attached to a message."""
    return attached(read_letter(data).attachments, start, files, size, most)


def parse_mbox(data: bytes, name: str) -> Parsed:
    """A mailbox: its messages one after another. One that can't be read is noted; if none can, that is raised."""
    builder = TextBuilder()
    refused: list[tuple[int, DocumentError]] = []
    for number, letter in _letters(data):
        if isinstance(letter, DocumentError):
            refused.append((number, letter))
        else:
            letter.write(builder)
    if refused and builder.empty:
        raise refused[0][1]
    if refused:
        (number, reason), count = refused[0], len(refused)
        builder.note(f"{count} of the messages can't be read: {'the first, ' if count > 1 else ''}number {number}, {reason}")
    return builder.build(title_of(name), "application/mbox", title_of(name))


def unpack_mbox(data: bytes, name: str, start: int, files: int, size: int, most: int) -> Unpacked:
    """What is attached to the messages of a mailbox, below the number of the message (from 1)."""
    found = [
        Attachment(f"{number}/{one.name}", one.data, one.error)
        for number, letter in _letters(data)
        if isinstance(letter, Letter)
        for one in letter.attachments
    ]
    return attached(found, start, files, size, most)


def read_letter(data: bytes) -> Letter:
    """The message in `data`. Raises BrokenDocument where it is none, Encrypted where only its envelope can be read."""
    # The older policy: the newer one's headers are parsed by a grammar, and raise on what real mail holds.
    message = BytesParser(policy=email.policy.compat32).parsebytes(_as_ascii(data))
    if not any(message.get(name) for name in _KNOWN):
        raise BrokenDocument("is not an e-mail message: it has none of a message's headers")
    letter = Letter(_header(message, "Subject"), {name: _header(message, name) for name in HEADERS})
    kind = message.get_content_type()
    if kind in ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"):
        raise Encrypted("is an encrypted or wrapped message, which can't be read")
    reader = _Reader(letter)
    reader.read(message, 0)
    if all(body.empty for body in letter.bodies):
        letter.bodies = [Body(reader.other)]
    return letter


def _as_ascii(data: bytes) -> bytes:
    """The message with header names as the parser knows them: not in UTF-16, no blanks before the colon."""
    if not data.strip():
        raise EmptyDocument("holds no text")
    if b"\0" in data[:100]:
        data = decode(data).encode()
    data = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    end = _END_OF_HEADERS.search(data)
    at = end.start() if end else len(data)
    return _BLANK_BEFORE_COLON.sub(rb"\1:", data[:at]) + data[at:]


class _Reader:
    """Walks through the parts of a message."""

    def __init__(self, letter: Letter) -> None:
        self._letter = letter
        self._parts = 0
        self.other = ""  # text of other kinds, an invitation to a meeting say: the body where there is no other

    def read(self, part: Message, depth: int, body: Body | None = None) -> None:
        """One part, with those in it; `body` is the one that it is another form of."""
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST_PARTS:
            raise BrokenDocument("is a message of too many parts")
        kind, payload = part.get_content_type(), part.get_payload()
        if kind == "message/rfc822" and isinstance(payload, list) and isinstance(payload[0], Message):
            self._forwarded(payload[0])
        elif isinstance(payload, list):
            if kind == "multipart/alternative" and body is None:
                self._letter.bodies.append(body := Body())
            for one in payload:
                if isinstance(one, Message):
                    self.read(one, depth + 1, body)
        elif kind.startswith("text/") and not self._is_file(part):
            self._body(part, kind, body)
        elif not self._is_decoration(part, kind):
            data = _bytes(part)
            self._letter.attachments.append(Attachment(_file_name(part, kind), data, "" if data else "is empty"))

    def _body(self, part: Message, kind: str, body: Body | None) -> None:
        text = _text(part)
        if body is None and kind in ("text/html", "text/plain"):
            self._letter.bodies.append(body := Body())
        if body and kind == "text/html":
            body.html += text
        elif not body or kind != "text/plain":
            self.other += f"\n\n{text}"
        else:
            if part.get_param("format") == "flowed":
                text = re.sub(r"(?m)^((?!-- ).*[^ \n] )\n(?![>\s])", r"\1", text)
            body.plain += ("\n\n" if body.plain else "") + text

    def _forwarded(self, message: Message) -> None:
        name = re.sub(r"[\\/]", "-", _header(message, "Subject")) or "message"
        try:
            self._letter.attachments.append(Attachment(f"{name}.eml", message.as_bytes()))
        except (ValueError, LookupError, TypeError, AttributeError):
            self._letter.attachments.append(Attachment(f"{name}.eml", None, "can't be taken out of the message"))

    @staticmethod
    def _is_file(part: Message) -> bool:
        return part.get_content_disposition() == "attachment" or bool(part.get_filename())

    @staticmethod
    def _is_decoration(part: Message, kind: str) -> bool:
        """Pictures that stand in the text, signatures: nothing that anybody attached."""
        major, _, minor = kind.partition("/")
        if major in ("image", "audio", "video"):
            return part.get_content_disposition() != "attachment" or bool(part.get("Content-ID"))
        return minor in _SIGNATURES or (major in ("message", "multipart") and not part.get_filename())


def _letters(data: bytes) -> Iterator[tuple[int, Letter | DocumentError]]:
    """The messages of a mailbox, numbered from 1, or why one can't be read."""
    for number, message in enumerate(_messages(data), 1):
        try:
            yield number, read_letter(message)
        except DocumentError as error:
            yield number, error


def _messages(data: bytes) -> Iterator[bytes]:
    starts = [match.span() for match in _FROM_LINE.finditer(data)]
    if not starts or data[: starts[0][0]].strip():
        raise BrokenDocument("is not a mailbox: it does not begin with a line `From …`")
    for (_, begin), (end, _) in zip(starts, [*starts[1:], (len(data), 0)], strict=True):
        yield _ESCAPED_FROM.sub(rb"\1", data[begin:end])


def _header(message: Message, name: str) -> str:
    """All lines of a header, decoded, as one line."""
    values = [_decoded(value) for value in message.get_all(name, [])]
    return ", ".join(" ".join(_FOLDED.sub(" ", value).split()) for value in values if value)


def _decoded(value: object) -> str:
    raw = str(value)
    try:
        parts = decode_header(raw)
    except (ValueError, LookupError, IndexError, email.errors.HeaderParseError):
        return raw
    return "".join(part if isinstance(part, str) else _guessed(part, charset or "") for part, charset in parts)


def _guessed(data: bytes, charset: str) -> str:
    try:
        return decode(data, charset)
    except BrokenDocument:
        return data.decode("latin-1")


def _text(part: Message) -> str:
    data = _bytes(part)
    charset = part.get_content_charset("") or ""
    return _guessed(data, charset).replace("\r\n", "\n") if data else ""


def _bytes(part: Message) -> bytes:
    try:
        data = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AssertionError):
        data = None
    return data if isinstance(data, bytes) else b""


def _file_name(part: Message, kind: str) -> str:
    try:
        given = part.get_filename("") or ""
    except (ValueError, LookupError, TypeError):
        given = ""
    name = _decoded(given).replace("\\", "/").rsplit("/", 1)[-1].strip()
    return name or f"attachment{_SUFFIXES.get(kind, '')}"
