"""AsciiDoc: sections, paragraphs, lists, code and tables by its own rules; nothing is included."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.parsers.builder import TextBuilder
from ingest.parsers.encoding import decode
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.names import title_of
from ingest.types import Parsed

_SECTION = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)$")
_ATTRIBUTE = re.compile(r":(!?[\w-]+!?):(?:[ \t]+(.*))?$")
_LABELS = re.compile(r":!?labels!?:", re.IGNORECASE)
_GOES_ON = re.compile(r"[ \t]\\$")
_DELIMITER = re.compile(r"(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|--|`{3,}.*|[|,:!]={3,})[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:(\*{1,6}|-|\.{1,6}|\d+\.|<\d+>|<\.>)[ \t]+)(?:\[[ x*]\][ \t]+)?(\S.*)$")
_TERM = re.compile(r"[ \t]*(\S.*?)(?:::{1,3}|;;)(?:[ \t]+(.*))?$")
_BLOCK_MACRO = re.compile(r"(\w+)::(\S*?)\[(.*)\]$")
_CELL = re.compile(r"(?:(?<=\s)|^)(?:(\d+)?(?:\.(\d+))?\+)?[<^>.]*([aehlmdsv])?\|")
_INLINE = (
    (re.compile(r"\bfootnote:\w*\[([^\]]*)\]"), r" (\1)"),
    (re.compile(r"\b(?:image|icon):[^\s\[]{0,2000}\[[^\]]*\]"), ""),
    (re.compile(r"\b(?:kbd|btn|stem|latexmath|asciimath):\[([^\]]*)\]"), r"\1"),
    (re.compile(r"\b(?:link|xref|mailto):[^\s\[]{0,2000}\[([^\],]+)[^\]]*\]"), r"\1"),
    (re.compile(r"\b(?:https?|ftp)://[^\s\[\]]{0,2000}\[([^\],]+)[^\]]*\]"), r"\1"),
    (re.compile(r"\b(?:https?|ftp)://[^\s\[\]]{0,2000}\[\]"), lambda match: match[0][:-2]),
    (re.compile(r"<<[^<>,]*,\s*([^<>]*)>>"), r"\1"),
    (re.compile(r"<<([^<>,]*)>>"), r"\1"),
    (re.compile(r"\[\[[^\]]*\]\]|\(\(\([^)]*\)\)\)|\bindexterm:\[[^\]]*\]|\banchor:\w+\[[^\]]*\]"), ""),
    (re.compile(r"\[[.#][\w.#-]*\](?=[#*_`])"), ""),
    (re.compile(r"(?<![\w`])(\*\*|__|``|##)(?=\S)(.{1,2000}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w`*_#])([*_`#+])(?=\S)([^\n]{1,2000}?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"[ \t]\+(?=\n|$)"), ""),
)


def parse_asciidoc(data: bytes, name: str) -> Parsed:
    """An AsciiDoc file."""
    builder = TextBuilder()
    reader = _Reader(builder, builder.cleaned(decode(data)).split("\n"))
    reader.read()
    return builder.build("", "text/asciidoc", title_of(name))


class _Reader:
    """Goes through the lines; what a paragraph holds is gathered until it ends."""

    def __init__(self, builder: TextBuilder, lines: list[str]) -> None:
        self._builder = builder
        self._lines = lines
        self._at = 0
        self._gathered: list[str] = []
        self._in_head = True  # up to the first empty line below what comes first
        self._attributes: dict[str, str] = {}
        self._options = ""  # the attribute list above a block
        self._verbatim = False

    def read(self) -> None:
        """All lines."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            self._line(line)
        self._flush()

    def _line(self, line: str) -> None:
        stripped = line.strip()
        section = _SECTION.match(line)
        if not stripped and (self._gathered or not self._builder.empty):
            self._in_head = False
        if self._in_head and _LABELS.match(line):  # also below an author's line that looks like any other
            self._flush()
        if not stripped or stripped == "+":
            self._flush()
        elif line.startswith("//") and not line.startswith("////"):
            self._builder.beside("comment", line[2:])
        elif section and not self._gathered:
            self._heading(section)
        elif match := _DELIMITER.match(line):
            self._flush()
            self._block(match[1])
        elif (match := _ATTRIBUTE.match(line)) and not self._gathered:
            self._attribute(match[1].strip("!").lower(), match[2] or "")
        elif re.fullmatch(r"\[.*\]", stripped) and not self._gathered:
            self._options = stripped.lower()
        elif match := _BLOCK_MACRO.match(stripped):
            self._macro(match)
        elif re.match(r"\.[^\s.]", line) and not self._gathered:
            self._builder.text(self._plain(line[1:]))  # a block's title
        elif stripped in ("<<<", "'''", "---", "***"):
            self._flush()
        else:
            self._words(line)

    def _attribute(self, name: str, value: str) -> None:
        while _GOES_ON.search(value) and self._at < len(self._lines):
            value = f"{value[:-1]}{self._lines[self._at].strip()}"
            self._at += 1
        self._attributes[name] = value
        if name == "labels":
            self._builder.label([value])

    def _heading(self, section: re.Match[str]) -> None:
        level = len(section[1]) - 1
        words = section[2].rstrip()
        closing = words.removesuffix(section[1])  # the same signs may stand behind the words, too
        words = closing.rstrip() if closing[-1:] in (" ", "\t") else words
        self._builder.heading(level, self._plain(words))
        self._options = ""
        if level == 0:  # the author and the revision stand below the title
            while self._at < len(self._lines) and re.match(
                r"[\w.'’-]+(?: [\w.'’-]+){0,2} <|v?\d+(?:\.\d+)+,", self._lines[self._at]
            ):
                self._builder.text(self._plain(self._lines[self._at]))
                self._at += 1

    def _words(self, line: str) -> None:
        item, term = _ITEM.match(line), _TERM.match(line)
        if item:
            self._flush()
            number = item[1] if item[1][0].isdigit() or item[1][0] == "<" else ""
            self._gathered = [f"{number} {item[2]}".strip()]
        elif term and "://" not in term[1]:
            self._flush()
            self._gathered = [term[1], *([term[2]] if term[2] else [])]
        else:
            self._gathered.append(line if line[:1] == " " and not self._gathered else line.strip())

    def _block(self, delimiter: str) -> None:
        """What stands between two lines that delimit a block."""
        start = self._at
        closing = delimiter.rstrip() if delimiter[0] != "`" else delimiter[: len(delimiter) - len(delimiter.lstrip("`"))]
        end = next((at for at in range(start, len(self._lines)) if self._lines[at].rstrip() == closing), len(self._lines))
        kind, held = delimiter[0], self._lines[start:end]
        if kind in "=*_" or delimiter == "--":
            # Its content is read like any other: only the closing line is passed over.
            if end < len(self._lines):
                self._lines[end] = ""
            return
        self._at = end + 1
        if kind == "/":
            self._builder.beside("comment", " ".join(held))
        elif delimiter[1:] == "===" or delimiter[0] in "|,:!":
            self._table(held, delimiter[0])
        elif kind in "-.`+":
            self._builder.text("\n".join(held))
        self._options = ""

    def _table(self, lines: Sequence[str], separator: str) -> None:
        if separator in ",:":
            self._builder.table([[self._plain(cell) for cell in line.split(separator)] for line in lines if line.strip()])
            return
        rows: list[list[Cell]] = []
        cells: list[Cell] = []
        width = self._width(lines)
        for line in lines:
            matches = list(_CELL.finditer(line))
            if not matches and cells:  # a cell that goes on
                last = cells[-1]
                cells[-1] = Cell(f"{last.text}\n{self._plain(line)}".strip(), last.across, last.down)
            ends = [*(match.start() for match in matches[1:]), len(line)]
            for match, end in zip(matches, ends, strict=False):
                text = line[match.end() : end].strip()
                cells.append(Cell(self._plain(text), int(match[1] or 1), int(match[2] or 1)))
        filled: list[int] = []  # row -> how many of its columns are taken from above
        row: list[Cell] = []
        for cell in cells:
            row.append(cell)
            taken = sum(min(one.across, 50) for one in row) + (filled[len(rows)] if len(rows) < len(filled) else 0)
            for below in range(1, min(cell.down, 1000)):
                filled += [0] * (len(rows) + below + 1 - len(filled))
                filled[len(rows) + below] += min(cell.across, 50)
            if taken >= width:
                rows.append(row)
                row = []
        if row:
            rows.append(row)
        if rows:
            add_table(self._builder, rows)

    def _width(self, lines: Sequence[str]) -> int:
        """How many columns a table has: as its options say, or as its first line holds."""
        columns = re.search(r"cols=\"?([^\"\]]+)", self._options)
        if columns:
            return sum(int(repeated[1]) if (repeated := re.match(r"\s*(\d+)\*", one)) else 1 for one in columns[1].split(","))
        first = next((line for line in lines if line.strip()), "")
        return max(1, sum(int(match[1] or 1) for match in _CELL.finditer(first)))

    def _macro(self, match: re.Match[str]) -> None:
        self._flush()
        if match[1] in ("image", "video", "audio"):
            self._builder.beside("alternative text", match[3].split(",")[0].strip('"'))
        elif match[1] in ("ifdef", "ifndef") and match[3]:
            self._builder.text(self._plain(match[3]))

    def _flush(self) -> None:
        if self._gathered:
            text = "\n".join(self._gathered)
            indented = self._gathered[0][:1] == " "
            self._builder.text(text if indented else self._plain(text))
            self._gathered = []

    def _plain(self, text: str) -> str:
        """The words without their marks, with what is defined above filled in."""
        text = re.sub(r"\{([\w-]+)\}", lambda match: self._attributes.get(match[1].lower(), match[0]), text)
        for pattern, made in _INLINE:
            text = pattern.sub(made, text)
        return text
