"""Rich text (RTF): paragraphs, headings by style, tables and footnotes; pictures and what is hidden left out."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field, replace

from ingest.parsers.builder import TextBuilder, marked
from ingest.parsers.css import RGB, WHITE, near
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.names import title_of
from ingest.types import Parsed

MEDIA_TYPE = "application/rtf"
_TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
# Groups that hold no text of the document. Of those that a reader may skip (`\*`) none is read but these.
_SKIPPED = frozenset(
    "pict object fonttbl colortbl stylesheet info header headerl headerr headerf footer footerl footerr footerf listtable "
    "listoverridetable revtbl rsidtbl generator themedata colorschememapping datastore latentstyles xmlnstbl fldinst bkmkstart "
    "bkmkend datafield filetbl objdata blipuid nonshppict private pgptbl listpicture mmathPr atrfstart atrfend atnid atnauthor "
    "falt panose template userprops wgrffmtfilter".split()
)
_READ_ALL_THE_SAME = frozenset(("shppict", "shpinst", "shptxt", "annotation", "pn"))
_CHARACTERS = {
    "par": "\n", "line": "\n", "tab": "\t", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ", "page": "\n", "sect": "\n", "nestcell": " ",
    "nestrow": " ",
}  # fmt: skip
_CHARSETS = {
    0: "cp1252", 2: "cp1252", 77: "mac-roman", 128: "cp932", 129: "cp949", 134: "cp936", 136: "cp950", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip
_DEEPEST = 500
_TINY = 4  # half points


@dataclass(frozen=True, slots=True)
class _State:
    """What holds inside a group, until it ends."""

    place: str = ""  # which special group this is in: one of `_SKIPPED`, `footnote`, `annotation`; '' for the text itself
    codec: str = ""
    skip: int = 1  # how many characters stand in for one of Unicode's, for readers that know none
    gone: bool = False
    ink: int = 0
    lit: bool = False
    size: int = 24


@dataclass(slots=True)
class _Paragraph:
    """What a paragraph says of itself."""

    style: int = 0
    outline: int | None = None
    in_table: bool = False


@dataclass(slots=True)
class _Reader:
    """Goes through the tokens with a pile of states."""

    builder: TextBuilder = field(default_factory=TextBuilder)
    state: _State = field(default_factory=_State)
    pile: list[_State] = field(default_factory=list)
    codec: str = "cp1252"
    fonts: dict[int, str] = field(default_factory=dict)
    colours: list[RGB | None] = field(default_factory=list)
    levels: dict[int, int] = field(default_factory=dict)
    title: str = ""
    text: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    paragraph: _Paragraph = field(default_factory=_Paragraph)
    cells: list[str] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    waiting: bytearray = field(default_factory=bytearray)  # bytes that may be parts of one character
    to_skip: int = 0
    high: int = 0  # the first half of a surrogate pair
    optional: bool = False

    def read(self, source: str) -> None:
        """The whole file, as Latin-1 so that each byte is a character."""
        at = 0
        while match := _TOKEN.match(source, at):
            at = match.end()
            word, number, code, sign, brace, plain = match.groups()
            if word == "bin":  # bytes of a picture, in which braces are none
                at += max(0, int(number or 0))
                continue
            if code:
                self._byte(int(code, 16))
                continue
            if plain is not None and not self.waiting and plain.isascii():
                self._put(plain[self._skipped(len(plain)) :])
                continue
            if plain is not None:
                for char in plain:
                    self._byte(ord(char))
                continue
            self._settle()
            if brace:
                self._brace(brace)
            elif word:
                self._word(word, int(number) if number else None)
            elif sign:
                self._sign(sign)
        self._settle()
        self._end_paragraph()
        self._end_table()

    def _skipped(self, available: int) -> int:
        taken = min(self.to_skip, available)
        self.to_skip -= taken
        return taken

    def _byte(self, value: int) -> None:
        if not self._skipped(1):
            self.waiting.append(value)

    def _settle(self) -> None:
        if self.waiting:
            data, self.waiting = bytes(self.waiting), bytearray()
            self._put(data.decode(self.state.codec or self.codec, errors="replace"))

    def _put(self, text: str) -> None:
        """Some characters, to wherever the group that they stand in belongs."""
        state = self.state
        if state.gone and state.place in ("", "footnote"):
            self.unseen.append(text)
        elif state.place == "title":
            self.title += text
        elif state.place == "footnote":
            self.notes.append(text)
        elif state.place == "annotation":
            self.beside.append(text)
        elif not state.place:
            ink = self.colours[state.ink] if 0 < state.ink < len(self.colours) else None
            white = ink is not None and not state.lit and near(ink, WHITE)
            way = "tiny" if state.size < _TINY else "white" if white else ""
            # In a table what is behind the cell may be dark.
            self.text.append(marked(text, way, sure=not self.paragraph.in_table) if way else text)

    def _brace(self, brace: str) -> None:
        if brace == "{":
            if len(self.pile) >= _DEEPEST:
                raise ValueError("groups are nested too deeply")
            self.pile.append(self.state)
        elif self.pile:
            ended, self.state = self.state.place, self.pile.pop()
            if ended == "annotation" != self.state.place:
                self.builder.beside("comment", "".join(self.beside))
                self.beside = []
        self.optional = False
        self.to_skip = 0

    def _sign(self, sign: str) -> None:
        if sign == "*":
            self.optional = True
        elif sign in "\\{}":
            self._put(sign)
        elif sign == "~":
            self._put(" ")
        elif sign == "_":
            self._put("-")
        elif sign in "\r\n":
            self._word("par", None)

    def _word(self, word: str, number: int | None) -> None:
        optional, self.optional = self.optional, False
        if word in _SKIPPED or (optional and word not in _READ_ALL_THE_SAME):
            if self.state.place not in _SKIPPED or word in _SKIPPED:
                self.state = replace(self.state, place=word if word in _SKIPPED else "pict")
        elif word in ("footnote", "annotation") or (word == "title" and self.state.place == "info"):
            self.state = replace(self.state, place=word)
            if word == "footnote":
                self.notes.append("\n")
        elif word == "u" and number is not None:
            self._unicode(number & 0xFFFF)
        elif self.state.place in ("fonttbl", "stylesheet", "colortbl"):
            self._define(word, number)
        elif word in ("cell", "row", "intbl"):
            if not self.state.place:
                self._in_table(word)
        elif word == "par" and not self.state.place and not self.paragraph.in_table:
            self._end_paragraph()
        elif word in _CHARACTERS:
            self._put(_CHARACTERS[word])
        else:
            self._format(word, number)

    def _unicode(self, code: int) -> None:
        if 0xD800 <= code < 0xDC00:
            self.high = code
        elif 0xDC00 <= code < 0xE000 and self.high:
            self._put(chr(0x10000 + ((self.high - 0xD800) << 10) + code - 0xDC00))
            self.high = 0
        else:
            self._put(chr(code))
        self.to_skip = self.state.skip

    def _format(self, word: str, number: int | None) -> None:
        """What changes how text looks or is read."""
        state = self.state
        if word == "ansicpg" and number:
            self.codec = _known(f"cp{number}") or self.codec
        elif word == "mac":
            self.codec = "mac-roman"
        elif word == "f" and number is not None:
            self.state = replace(state, codec=self.fonts.get(number, ""))
        elif word == "uc" and number is not None:
            self.state = replace(state, skip=max(0, min(number, 10)))
        elif word == "plain":
            self.state = replace(state, gone=False, ink=0, lit=False, size=24)
        elif word in ("v", "deleted"):
            self.state = replace(state, gone=number != 0)
        elif word == "cf":
            self.state = replace(state, ink=number or 0)
        elif word in ("highlight", "cb", "chcbpat", "chshdng"):
            self.state = replace(state, lit=bool(number))
        elif word == "fs" and number:
            self.state = replace(state, size=number)
        elif not state.place:  # a footnote's paragraphs are not the one that it hangs on
            self._format_paragraph(word, number)

    def _format_paragraph(self, word: str, number: int | None) -> None:
        if word == "pard":
            self.paragraph = _Paragraph()
        elif word == "s" and number is not None:
            self.paragraph.style = number
        elif word == "outlinelevel" and number is not None:
            self.paragraph.outline = number

    def _define(self, word: str, number: int | None) -> None:
        """Fonts' alphabets and colours; styles are read beforehand."""
        if self.state.place == "fonttbl":
            if word == "f" and number is not None:
                self.fonts[number] = ""
            elif word == "fcharset" and self.fonts:
                self.fonts[next(reversed(self.fonts))] = _CHARSETS.get(number or 0, "") if number else ""

    def _in_table(self, word: str) -> None:
        if word == "cell":
            self.cells.append("".join(self.text).strip())
            self.text = []
        elif word == "row":
            if self.cells:
                self.rows.append([Cell(text) for text in self.cells])
            self.cells = []
        elif word == "intbl":
            self.paragraph.in_table = True

    def _end_paragraph(self) -> None:
        self.builder.beside("not displayed", "".join(self.unseen))
        text, self.text, self.unseen = "".join(self.text).strip(" \n"), [], []
        if text or not self.paragraph.in_table:
            self._end_table()
        level = self.paragraph.outline + 1 if self.paragraph.outline is not None else self.levels.get(self.paragraph.style)
        if level is not None and level < 10:
            self.builder.heading(level, text)
        else:
            self.builder.text(text)
        for note in "".join(self.notes).split("\n"):
            self.builder.text(note.strip())
        self.notes = []

    def _end_table(self) -> None:
        if self.cells:
            self.rows.append([Cell(text) for text in self.cells])
        if self.rows:
            add_table(self.builder, self.rows)
        self.rows, self.cells = [], []


def parse_rtf(data: bytes, name: str) -> Parsed:
    """An RTF file."""
    source = data.decode("latin-1")
    reader = _Reader(colours=_colours(source), levels=_levels(source))
    reader.read(source)
    return reader.builder.build(reader.title, MEDIA_TYPE, title_of(name))


def _colours(source: str) -> list[RGB | None]:
    """The table of colours that text refers to by number."""
    table = re.search(r"\\colortbl([^{}]{0,20000})\}", source)
    colours: list[RGB | None] = []
    for entry in table[1].split(";")[:-1] if table else ():
        parts = [re.search(rf"\\{name}(\d{{1,3}})", entry) for name in ("red", "green", "blue")]
        red, green, blue = (int(part[1]) if part else -1 for part in parts)
        colours.append((red, green, blue) if min(red, green, blue) >= 0 else None)
    return colours


def _levels(source: str) -> dict[int, int]:
    """Style -> the level of heading that its name tells."""
    start = source.find("\\stylesheet")
    if start < 0:
        return {}
    levels = {}
    for match in re.finditer(r"\{\\s(\d{1,5})\b([^{}]{0,2000})\}", source[start : start + 200_000]):
        heading = re.search(r"\bheading (\d)\s*;", match[2], re.IGNORECASE)
        if heading:
            levels[int(match[1])] = int(heading[1])
        elif re.search(r"\bTitle\s*;", match[2]):
            levels[int(match[1])] = 0
    return levels


def _known(codec: str) -> str:
    try:
        return codecs.lookup(codec).name
    except LookupError:
        return ""
