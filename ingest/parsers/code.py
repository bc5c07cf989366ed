"""Source code by its definitions: classes and functions as headings, the code below them, places as lines of the file."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from ingest.parsers.builder import TextBuilder
from ingest.parsers.encoding import decode
from ingest.parsers.names import suffix_of, title_of
from ingest.types import Parsed

# Suffix -> the name that Pygments has for its language.
LANGUAGES = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "jsx",
    ".ts": "typescript", ".tsx": "tsx", ".java": "java", ".kt": "kotlin", ".kts": "kotlin", ".scala": "scala",
    ".groovy": "groovy", ".c": "c", ".h": "c++", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hpp": "c++", ".cs": "csharp",
    ".go": "go", ".rs": "rust", ".swift": "swift", ".dart": "dart", ".php": "php", ".rb": "ruby", ".lua": "lua",
    ".pl": "perl", ".pm": "perl", ".r": "r", ".jl": "julia", ".ex": "elixir", ".exs": "elixir", ".sh": "bash",
    ".bash": "bash", ".zsh": "bash", ".ps1": "powershell", ".sql": "sql", ".proto": "protobuf",
}  # fmt: skip
_LONGEST_LEXED = 2 * 1024 * 1024  # characters; more than that nobody has written by hand
_LONGEST_NAME = 120
_LONGEST_LINE = 1000
_WORDS = (
    r"(?:(?:export|default|public|private|protected|internal|static|abstract|final|async|pub(?:\([\w\s:]*\))?|unsafe|extern|inline"
    r"|virtual|override|sealed|partial|data|open|const|constexpr|readonly|declare|mutating|suspend|local|synchronized|native|enum"
    r"|create|or|replace|temporary)\s+)*"
)
_DEFINITION = re.compile(
    rf"(\s*){_WORDS}(?:class|interface|struct|enum|union|trait|impl|func|fun|fn|function|def|defp|defmodule|module|namespace|protocol"
    r"|extension|record|sub|object|message|service|rpc|macro_rules!|table|view|procedure|trigger)\b\s*\S",
    re.IGNORECASE,
)
_TYPE = re.compile(rf"(\s*){_WORDS}type\s+\w+[^=]*=?\s*(?:struct|interface|\{{)")
_ARROW = re.compile(
    rf"(\s*){_WORDS}(?:const|let|var)\s+\w+\s*(?::[^=]+)?=\s*(?:async\s*)?(?:function\b|(?:\([^()]*\)|\w+)\s*(?::[^=]+)?=>)"
)
_CALLABLE = re.compile(
    r"(\s*)(?!(?:if|for|while|switch|return|catch|else|do|new|throw|await|yield|case|delete|elif|when|until|unless|in|not|and)\b)"
    r"(?:[\w<>\[\],:*&~?.@]+\s+)*?[*&]*[\w~$:]+\s*\([^;{}()]*(?:\([^()]*\)[^;{}()]*)*\)\s*"
    # Possessive: a line that ends without a brace would else be tried in more ways than can be counted.
    r"(?:const|noexcept|override|final|async|throws\s+[\w.,\s]++|->\s*[\w<>\[\]:&*, ]++|:\s*[\w<>\[\]|, .]++|\s)*+\{"
)
_SHELL = re.compile(r"(\s*)(?:function\s+)?[\w.-]+\s*\(\)\s*\{?\s*$")
_ABOVE = re.compile(r"\s*(?:@|#\[|\[[A-Z]\w*(?:\(|\])|(?:static|extern|inline|const|unsigned|int|void|char|bool)[\w\s*]*$)")


class _Definition(NamedTuple):
    """Where a definition begins (line, from 0), how far it is indented, and what it is called."""

    line: int
    indent: int
    name: str


def parse_code(data: bytes, name: str) -> Parsed:
    """A file in one of the languages that are known, or in something like them."""
    builder = TextBuilder()
    text = builder.cleaned(decode(data))
    lines = text.split("\n")
    language = LANGUAGES.get(suffix_of(name), "")
    found = _python(text) if language == "python" else None
    if found is None:
        found = _others(text, lines, language)
    builder.unit = "line"
    reached, levels = 0, list[int]()
    for definition, following in zip([None, *found], [*found, None], strict=True):
        end = following.line if following else len(lines)
        if definition:
            while levels and levels[-1] >= definition.indent:
                levels.pop()
            levels.append(definition.indent)
            builder.heading(len(levels), definition.name, definition.line + 1)
        builder.text("\n".join(lines[reached:end]), reached + 1)
        reached = end
    return builder.build(re.split(r"[/\\]", name)[-1] or title_of(name), f"text/x-{language or 'source'}")


def _python(text: str) -> list[_Definition] | None:
    """By Python's own parser; None where it can't read the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in somebody else's file
            return sorted(_defined(ast.parse(text).body, 0))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _defined(body: list[ast.stmt], depth: int) -> Iterator[_Definition]:
    """The classes, functions and methods; what is defined inside a function is a part of that."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield _Definition(_first_line(node), depth, f"class {node.name}")
            yield from _defined(node.body, depth + 1)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _Definition(_first_line(node), depth, f"def {node.name}")
        elif isinstance(node, ast.If | ast.Try):
            yield from _defined([*node.body, *node.orelse], depth)


def _first_line(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1


def _others(text: str, lines: list[str], language: str) -> list[_Definition]:
    """By the words with which languages begin a definition, where these are no part of a comment or a text."""
    masked = _masked(text, language).split("\n")
    patterns = [_DEFINITION, _TYPE]
    if language in ("javascript", "jsx", "typescript", "tsx"):
        patterns += [_ARROW, _CALLABLE]
    elif language in ("bash", "powershell"):
        patterns += [_SHELL]
    elif language not in ("python", "ruby", "lua", "elixir", "sql", "julia", "go", "rust", "kotlin", "swift", "r"):
        patterns += [_CALLABLE]
    found = []
    for number, line in enumerate(masked):
        if not line.strip() or len(line) > _LONGEST_LINE:
            continue
        # A head may run over some lines: what belongs to it stands up to its brace.
        head = (
            line
            if "{" in line or ";" in line or "(" not in line
            else " ".join([line, *masked[number + 1 : number + 8]])[:_LONGEST_LINE]
        )
        match = next((match for pattern in patterns if (match := pattern.match(head if pattern is _CALLABLE else line))), None)
        if match:
            indent = len(match[1].expandtabs(4))
            found.append(_Definition(_above(lines, masked, number), indent, _name(lines[number])))
    return [one for at, one in enumerate(found) if at == 0 or one.line > found[at - 1].line]


def _above(lines: list[str], masked: list[str], number: int) -> int:
    """The line at which the comments and annotations above a definition begin."""
    while number and lines[number - 1].strip() and (not masked[number - 1].strip() or _ABOVE.match(lines[number - 1])):
        number -= 1
    return number


def _name(line: str) -> str:
    """What a definition is called: its first line without what opens its body."""
    return re.sub(r"\s*(?:=?\s*\{.*|=>.*|[:=(])$", "", line.strip())[:_LONGEST_NAME]


def _masked(text: str, language: str) -> str:
    """The text with blanks for comments and for what stands in quotes."""
    if len(text) > _LONGEST_LEXED or not language:
        return text
    from pygments.lexers import get_lexer_by_name
    from pygments.token import Comment, String

    lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    parts = []
    for kind, piece in lexer.get_tokens(text):
        hidden = (kind in Comment and kind not in Comment.Preproc) or kind in String
        parts.append(re.sub(r"[^\n]", " ", piece) if hidden else piece)
    return "".join(parts)
