"""LaTeX: sections, paragraphs, lists, tables and formulas as they are written; no macro is run and no file included."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ingest.parsers.builder import TextBuilder, marked
from ingest.parsers.encoding import decode
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.names import title_of
from ingest.types import Parsed

_SECTIONS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5, "subparagraph": 6,
    "frametitle": 3,
}  # fmt: skip
_VERBATIM = frozenset(("verbatim", "Verbatim", "lstlisting", "minted", "alltt"))
_MATHS = frozenset(("equation", "align", "gather", "multline", "eqnarray", "displaymath", "math", "flalign"))
_TABLES = frozenset(("tabular", "tabularx", "longtable", "tabu", "array", "tabulary"))
# What takes arguments that no reader sees: how many in braces.
_UNSEEN = {
    "label": 1, "vspace": 1, "hspace": 1, "includegraphics": 1, "input": 1, "include": 1, "usepackage": 1, "documentclass": 1,
    "bibliographystyle": 1, "bibliography": 1, "pagestyle": 1, "thispagestyle": 1, "setlength": 2, "addtolength": 2,
    "setcounter": 2, "newcommand": 2, "renewcommand": 2, "def": 1, "definecolor": 3, "color": 1, "hypersetup": 1, "index": 1,
    "graphicspath": 1, "geometry": 1, "newenvironment": 3, "newtheorem": 2, "cline": 1, "cmidrule": 1, "rule": 2, "phantom": 1,
    "hphantom": 1, "vphantom": 1, "fontsize": 2, "selectlanguage": 1, "lstset": 1, "tikzset": 1, "usetikzlibrary": 1,
    "DeclareMathOperator": 2, "author": 1, "date": 1, "title": 1, "theoremstyle": 1, "captionsetup": 1, "addbibresource": 1,
}  # fmt: skip
_REFERENCES = frozenset("ref eqref autoref cref Cref pageref cite citep citet citeauthor parencite textcite nocite".split())
_SYMBOLS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å", "l": "ł", "L": "Ł",
    "i": "ı", "ldots": "…", "dots": "…", "textellipsis": "…", "LaTeX": "LaTeX", "TeX": "TeX", "S": "§", "P": "¶",
    "copyright": "©", "pounds": "£", "euro": "€", "texteuro": "€", "textdegree": "°", "degree": "°", "textbackslash": "\\",
    "textasciitilde": "~", "textasciicircum": "^", "quad": " ", "qquad": " ", "newline": "\n", "par": "\n\n",
    "tabularnewline": "\n", "linebreak": "\n", "textendash": "–", "textemdash": "—", "slash": "/", "item": "\n\n",
}  # fmt: skip
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307", "c": "\u0327",
    "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a", "d": "\u0323", "b": "\u0331",
}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+\*?|.)", re.DOTALL)
_OPTIONS = re.compile(r"\A\s*(?:\[[^\]]*\])?")  # of an environment
_WORDS = re.compile(r"[^\\${}]+")
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%([^\n]*)(\n[ \t]*)?")
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([^{}]{1,40})\}")
_LETTER = re.compile(r"\s*(?:\{\\?([^{}]{0,2})\}|\\?(\w))")  # what an accent stands over
_SIGNS = {"\\": "\n", "(": "", ")": "", "[": "", "]": "", "/": "", "-": "", "@": "", ",": " ", ";": " ", ":": " ", "!": ""}
_DEEPEST = 40


def parse_latex(data: bytes, name: str) -> Parsed:
    """A LaTeX file, whole or a part of one."""
    builder = TextBuilder()
    text = builder.cleaned(decode(data))
    kept = _Kept(text)
    text = _uncommented(builder, kept.text)
    preamble, begun, body = text.partition("\\begin{document}")
    body = body.partition("\\end{document}")[0] if begun else preamble
    title = next(iter(_argument_of("title", text)), "")
    writer = _Writer(builder, kept)
    if "\\maketitle" in body and title:
        builder.heading(0, writer.plain(title).replace("\n", " "))
        for author in _argument_of("author", text):
            builder.text(" ".join(writer.plain(author).split()))
    writer.read(body, 0)
    return builder.build(writer.plain(title), "application/x-latex", title_of(name))


class _Kept:
    """The text without what stands in it as it is (code); a mark is in its place, which no text holds."""

    def __init__(self, text: str) -> None:
        self._pieces: list[str] = []
        names = "|".join(_VERBATIM)
        whole = re.compile(rf"\\begin\{{({names})\}}(?:\[[^\]]*\])?(?:\{{[^{{}}]*\}})?(.*?)\\end\{{\1\}}", re.DOTALL)
        text = whole.sub(lambda match: f"\n\n{self._keep(match[2])}\n\n", text.replace("\ufdef", ""))
        self.text = re.sub(r"\\(?:verb|lstinline)\*?([^A-Za-z\s*{])(.{0,500}?)\1", lambda match: self._keep(match[2]), text)

    def _keep(self, piece: str) -> str:
        self._pieces.append(piece.strip("\n"))
        return f"\ufdef{len(self._pieces) - 1}\ufdef"

    def put_back(self, text: str) -> str:
        """A text with the pieces in their places again."""
        return re.sub("\ufdef(\\d+)\ufdef", lambda match: self._pieces[int(match[1])], text)


class _Writer:
    """Takes environments and sections apart and hands the builder what stands in them."""

    def __init__(self, builder: TextBuilder, kept: _Kept) -> None:
        self._builder = builder
        self._kept = kept

    def read(self, text: str, depth: int) -> None:
        """A piece of a document: text, and environments in it."""
        at = 0
        while (match := _ENVIRONMENT.search(text, at)) and depth < _DEEPEST:
            self._text(text[at : match.start()])
            at = match.end()
            if match[1] == "begin":
                end = _end_of(text, match[2], at)
                self._environment(match[2].rstrip("*"), text[at : end.start() if end else len(text)], depth + 1)
                at = end.end() if end else len(text)
        self._text(text[at:])

    def _environment(self, name: str, body: str, depth: int) -> None:
        if name in _TABLES:
            self._table(body)
        elif name in _MATHS:
            self._builder.text(re.sub(r"\\(?:label|nonumber|notag)\b(?:\{[^{}]*\})?", "", body).strip())
        elif name == "comment":
            self._builder.beside("comment", body)
        elif name in ("itemize", "enumerate", "description"):
            self._list(name, body, depth)
        elif name in ("tikzpicture", "filecontents"):
            return
        else:
            if name == "abstract":
                self._builder.heading(2, "Abstract")
            self.read(_OPTIONS.sub("", body), depth)

    def _list(self, name: str, body: str, depth: int) -> None:
        """Items, those of lists in them too."""
        level = 0
        starts = []
        for match in re.finditer(r"\\(begin|end)\{(?:itemize|enumerate|description)\}|\\item\b", body):
            if match[1]:
                level += 1 if match[1] == "begin" else -1
            elif level == 0:
                starts.append(match)
        self.read(_OPTIONS.sub("", body[: starts[0].start()] if starts else body), depth)
        for number, (match, following) in enumerate(zip(starts, [*starts[1:], None], strict=True), 1):
            item = body[match.end() : following.start() if following else len(body)].strip()
            label, rest = "", item
            if item.startswith("["):
                label, rest = _bracketed(item)
            mark = f"{self.plain(label)} " if label else f"{number}. " if name == "enumerate" else ""
            self.read(f"{mark}{rest}", depth)

    def _table(self, body: str) -> None:
        while body.lstrip().startswith(("{", "[")):  # the width and the columns
            body = _bracketed(body.lstrip())[1]
        for caption in _argument_of("caption", body):
            self._builder.text(" ".join(self.plain(caption).split()))
        body = re.sub(r"\\caption\*?(?:\[[^\]]*\])?\{(?:[^{}]|\{[^{}]*\})*\}", "", body)
        body = re.sub(r"\\(?:hline|toprule|midrule|bottomrule|endhead|endfirsthead|endfoot|endlastfoot)\b", "", body)
        rows = []
        for line in re.split(r"\\\\(?:\s*\[[^\]]*\])?|\\tabularnewline\b", body):
            cells = []
            for cell in re.split(r"(?<!\\)&", line):
                across = re.match(r"\s*\\multicolumn\s*\{(\d{1,2})\}\s*\{[^{}]*\}\s*", cell)
                down = re.match(r"\s*\\multirow\s*(?:\[[^\]]*\])?\{(\d{1,3})\}\s*(?:\[[^\]]*\])?\{[^{}]*\}\s*", cell)
                rest = cell[(across or down).end() :] if across or down else cell  # type: ignore[union-attr]
                text = " ".join(self.plain(rest).split())
                cells.append(Cell(text, int(across[1]) if across else 1, int(down[1]) if down else 1))
            rows.append(cells)
        add_table(self._builder, _without_covered(rows))

    def _text(self, text: str) -> None:
        """Paragraphs and headings."""
        at = 0
        for match in re.finditer(r"\\([a-z]+)\*?\s*(?=[\[{])", text):
            if match[1] in _SECTIONS and match.start() >= at:
                self._paragraphs(text[at : match.start()])
                rest = text[match.end() :]
                if rest.startswith("["):
                    rest = _bracketed(rest)[1].lstrip()
                words, after = _bracketed(rest)
                self._builder.heading(_SECTIONS[match[1]], " ".join(self.plain(words).split()))
                at = len(text) - len(after)
        self._paragraphs(text[at:])

    def _paragraphs(self, text: str) -> None:
        for paragraph in re.split(r"\n[ \t]*\n+|\\par\b", text):
            plain = self.plain(paragraph).strip()
            for part in re.split(r"\n\s*\n", plain):
                self._builder.text("\n".join(line.strip() for line in part.split("\n")) if "\ufdef" not in paragraph else part)

    def plain(self, text: str, depth: int = 0) -> str:
        """The words without commands."""
        parts: list[str] = []
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\\":
                made, at = self._command(text, at, depth)
                parts.append(made)
            elif char == "$":
                closing = "$$" if text.startswith("$$", at) else "$"
                end = text.find(closing, at + len(closing))
                end = len(text) if end < 0 else end
                parts.append(text[at + len(closing) : end].strip())
                at = end + len(closing)
            elif char in "{}":
                at += 1
            else:
                run = _WORDS.match(text, at)
                piece = run[0] if run else char
                at += len(piece)
                piece = piece.replace("~", " ").replace("---", "—").replace("--", "–").replace("``", "“").replace("''", "”")
                parts.append(re.sub(r"[ \t]+", " ", piece))
        result = "".join(parts)
        return self._kept.put_back(result) if depth == 0 else result

    def _command(self, text: str, at: int, depth: int) -> tuple[str, int]:
        """What a command at `at` shows, and where the text goes on."""
        match = _COMMAND.match(text, at)
        if match is None:
            return "", at + 1
        name, at = match[1].rstrip("*") or match[1], match.end()
        if (
            name in _ACCENTS
            and (name not in "cvuHkrdb" or text[at : at + 1] in ("{", " "))
            and (letter := _LETTER.match(text, at))
        ):
            base = letter[1] if letter[1] is not None else letter[2]
            return unicodedata.normalize("NFC", base[:1] + _ACCENTS[name] + base[1:]) if base else "", letter.end()
        if not name.isalpha():
            return _SIGNS.get(name, name), at
        arguments, at = _arguments(text, at)
        return self._shown(name, arguments, depth + 1) if depth < _DEEPEST else "", at

    def _shown(self, name: str, arguments: list[str], depth: int) -> str:
        """What a command with these arguments shows."""
        if name in _REFERENCES:
            return f"[{', '.join(arguments)}]" if arguments else ""
        if name in ("textcolor", "colorbox") and len(arguments) > 1:
            words = self.plain(arguments[1], depth)
            return marked(words, "white") if arguments[0].strip() in ("white", "FFFFFF", "1,1,1") else words
        seen = arguments[1:] if name == "href" else arguments[_UNSEEN.get(name, 0) :]
        words = " ".join(self.plain(one, depth) for one in seen)
        if name in ("footnote", "footnotetext"):
            return f" ({words})"
        if name in ("caption", "bibitem"):
            return f"\n\n{words}"
        return _SYMBOLS.get(name, "") + words


def _uncommented(builder: TextBuilder, text: str) -> str:
    """The text without comments; these are noted, with what `\\iffalse` takes out."""

    def drop(match: re.Match[str]) -> str:
        builder.beside("comment", match[2])
        # A comment ends its line without a space, unless an empty line follows.
        return match[1] + ("\n" if match[3] is not None and match.string[match.end() : match.end() + 1] == "\n" else "")

    def cut(match: re.Match[str]) -> str:
        builder.beside("comment", match[1])
        return ""

    return _COMMENT.sub(drop, re.sub(r"\\iffalse\b(.*?)\\fi\b", cut, text, flags=re.DOTALL))


def _bracketed(text: str) -> tuple[str, str]:
    """What stands in the braces or brackets that a text begins with, and the rest behind them."""
    closing = {"{": "}", "[": "]"}.get(text[:1])
    if closing is None:
        return text[:1], text[1:]
    depth = 0
    for match in re.finditer(r"\\.|[{}\[\]]", text, re.DOTALL):
        char = match[0]
        if char in "{[" and (char == text[0] or char == "{"):
            depth += 1
        elif char in "}]" and (char == closing or char == "}"):
            depth -= 1
            if depth == 0:
                return text[1 : match.start()], text[match.end() :]
    return text[1:], ""


def _arguments(text: str, at: int) -> tuple[list[str], int]:
    """The arguments in braces that follow a command; those in brackets are passed over. A command eats the blanks behind it."""
    found: list[str] = []
    blank = re.compile(r"[ \t]*\n?[ \t]*(?=[\[{])|[ \t]+")
    while match := blank.match(text, at):
        if text[match.end() : match.end() + 1] not in ("{", "["):
            return found, match.end() if not found else at
        at = match.end()
        words, rest = _bracketed(text[at : at + 100_000])
        if text[at] == "{":
            found.append(words)
        at = min(len(text), at + len(text[at : at + 100_000]) - len(rest))
    return found, at


def _argument_of(name: str, text: str) -> Iterator[str]:
    for match in re.finditer(rf"\\{name}\*?\s*(?:\[[^\]]*\]\s*)?(?=\{{)", text):
        yield _bracketed(text[match.end() : match.end() + 100_000])[0]


def _end_of(text: str, name: str, at: int) -> re.Match[str] | None:
    """The end of an environment that may hold others of its name."""
    depth = 1
    for match in re.compile(rf"\\(begin|end)\s*\{{{re.escape(name)}\}}").finditer(text, at):
        depth += 1 if match[1] == "begin" else -1
        if depth == 0:
            return match
    return None


def _without_covered(rows: list[list[Cell]]) -> list[list[Cell]]:
    """Rows without the empty cells that stand where a cell from above reaches down, as the grid counts them by itself."""
    covered: dict[int, int] = {}
    result = []
    for row in rows:
        column, kept = 0, []
        for cell in row:
            if covered.get(column, 0) > 0 and not cell.text:
                covered[column] -= 1
            else:
                kept.append(cell)
                if cell.down > 1:
                    covered[column] = cell.down - 1
            column += cell.across
        result.append(kept)
    return result
