"""Front matter: what stands above a text about the text itself, in YAML or TOML; its title and labels are read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingest.errors import BadLabels, DocumentError
from ingest.parsers.data import read_yaml

_HEAD = re.compile(r"\A\n*(?:---[ \t]*\n(.*?)\n(?:---|\.\.\.)|\+\+\+[ \t]*\n(.*?)\n\+\+\+)[ \t]*(?:\n|\Z)", re.DOTALL)
_BEGUN = re.compile(r"\A\n*(?:---|\+\+\+)[ \t]*\n((?:[^\n]*\S[^\n]*\n?)*)")
_LINE = re.compile(r"\s*(?:#.*)?$|[\w\"'-]+\s*[:=]|[-\s]")
_TITLE = re.compile(r"^title\s*[:=]\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)
_LABELS = re.compile(r"""^[ \t{?]*["']?labels["']?[ \t]*[:=]""", re.MULTILINE | re.IGNORECASE)
_LONGEST = 65_536  # characters
_NOTHING = ("", "~", "null", "Null", "NULL")
_HINT = "Write `labels: [one, two]` or `labels: one`."


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """`body` is the text below it. `labels` are as they are told; None where it says nothing of any."""

    body: str
    title: str
    labels: tuple[str, ...] | None


def front_matter(text: str) -> FrontMatter | None:
    """The front matter of a cleaned text; None where there is none: two rules with prose between them are none.

    Raises BadLabels where it names labels and can't be read: they would be lost, and the document be open to everybody.
    """
    match = _HEAD.match(text)
    if match is None:
        begun = _BEGUN.match(text)
        if begun and _LABELS.search(begun[1]):
            raise BadLabels("has front matter with labels and without an end", _HINT)
        return None
    yaml, toml = match[1], match[2]
    matter = yaml or toml or ""
    named = _LABELS.search(matter) or (matter.lstrip().startswith("{") and "labels" in matter.lower())
    labels = _labels(matter, is_toml=toml is not None) if named else None
    if labels is None and not all(_LINE.match(line) for line in matter.split("\n")):
        return None
    title = _TITLE.search(matter)
    return FrontMatter(text[match.end() :], _unquoted(title[1]) if title else "", labels)


def _labels(matter: str, *, is_toml: bool) -> tuple[str, ...] | None:
    if len(matter) > _LONGEST:
        raise BadLabels(f"has front matter with labels of more than {_LONGEST:,} characters")
    try:
        documents: list[Any] = [tomllib.loads(matter)] if is_toml else list(read_yaml(matter))
    except (ValueError, RecursionError, DocumentError) as error:
        raise BadLabels(
            f"has front matter with labels that can't be read: {' '.join(str(error).split())[:200]}", _HINT
        ) from error
    values = [
        value
        for document in documents
        if isinstance(document, dict)
        for key, value in document.items()
        if key.strip().lower() == "labels"
    ]
    return tuple(_told(values)) if values else None


def _told(value: Any) -> Iterator[str]:
    """The texts in a value: itself, or those of a list. What YAML calls nothing is none."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one[::-1]
        elif isinstance(one, dict):
            raise BadLabels("has labels in its front matter that are neither texts nor a list of them", _HINT)
        elif str(one) not in _NOTHING:
            yield str(one)


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
