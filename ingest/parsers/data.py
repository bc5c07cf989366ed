"""JSON, JSON lines and YAML: records as tables, what is nested as sections, values exactly as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ingest.errors import BrokenDocument, TooLarge
from ingest.parsers.builder import TextBuilder
from ingest.parsers.encoding import decode
from ingest.parsers.names import title_of
from ingest.types import Parsed

_DEEPEST_SECTION = 5  # what is nested deeper is named by its path: `limits.memory: 2 GB`
_MOST_LINES = 10  # of a record in a record, before it is a section of its own
_DEEPEST = 100
_LONGEST_CELL = 1000  # characters; records with longer values are sections, not rows
_WIDEST_TABLE = 60  # columns
_MOST_VALUES = 2_000_000  # that aliases of YAML may unfold to
_NAMES = ("title", "name", "label", "id", "key")  # of a record, what it is called, the best first
Value = Any
"""A dict with text as keys, a list of values, or a text: numbers stay as they are written."""


def parse_json(data: bytes, name: str) -> Parsed:
    """One JSON value, or one on each line under a name that says otherwise."""
    builder = TextBuilder()
    text = builder.cleaned(decode(data))
    try:
        value = read_json(text)
    except BrokenDocument as error:
        try:
            _add_lines(builder, text)
        except BrokenDocument:
            raise error from None
        return builder.build(title_of(name), "application/x-ndjson")
    _Writer(builder).value("", value, 1)
    return builder.build(_title(value) or title_of(name), "application/json")


def parse_jsonl(data: bytes, name: str) -> Parsed:
    """A JSON value on each line."""
    builder = TextBuilder()
    _add_lines(builder, builder.cleaned(decode(data)))
    return builder.build(title_of(name), "application/x-ndjson")


def parse_yaml(data: bytes, name: str) -> Parsed:
    """YAML documents, read without types and tags: `no` stays `no`, and nothing is ever made of a tag."""
    builder = TextBuilder()
    writer = _Writer(builder)
    values = read_yaml(builder.cleaned(decode(data)))
    for value in values:
        writer.value("", value, 1)
    return builder.build(_title(values[0] if values else "") or title_of(name), "application/yaml")


def _title(value: Value) -> str:
    """What a whole file says that it is called."""
    title = value.get("title") if isinstance(value, dict) else ""
    return title if isinstance(title, str) else ""


def read_json(text: str) -> Value:
    """A JSON value with its numbers as they are written; BrokenDocument where it is none."""
    try:
        return _plain(json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_record), 0)
    except RecursionError as error:
        raise BrokenDocument("is nested too deeply") from error
    except ValueError as error:
        raise BrokenDocument(f"is not JSON: {error}") from error


def read_yaml(text: str) -> Sequence[Value]:
    """The documents of a YAML file; BrokenDocument where it is none. Aliases are followed, within reason."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    tree = _Tree()
    try:
        for event in yaml.parse(text, Loader=loader):
            tree.take(
                type(event).__name__.removesuffix("Event"), getattr(event, "anchor", None) or "", getattr(event, "value", "")
            )
    except yaml.YAMLError as error:
        raise BrokenDocument(f"is not YAML: {' '.join(str(error).split())[:200]}") from error
    return tree.documents


class _Tree:
    """Puts values together from a parser's events: without recursion, types or tags, and with a bound on what aliases make."""

    def __init__(self) -> None:
        self.documents: list[Value] = []
        self._open: list[tuple[str, list[Value]]] = []  # (the anchor of a list or mapping, its values so far)
        self._anchors: dict[str, Value] = {}
        self._sizes: dict[int, int] = {}  # how many values a list or mapping unfolds to

    def take(self, kind: str, anchor: str, value: str) -> None:
        """One event."""
        if kind == "DocumentStart":
            self._anchors = {}
        elif kind in ("SequenceStart", "MappingStart"):
            if len(self._open) > _DEEPEST:
                raise BrokenDocument("is nested too deeply")
            self._open.append((anchor, []))
        elif kind == "Scalar":
            self._put(value, anchor)
        elif kind == "Alias":
            if anchor not in self._anchors:
                raise BrokenDocument(f"refers to {anchor!r} before that is complete")
            self._put(self._anchors[anchor])
        elif kind in ("SequenceEnd", "MappingEnd"):
            anchor, held = self._open.pop()
            made = held if kind == "SequenceEnd" else _mapping(held)
            self._sizes[id(made)] = 1 + sum(self._sizes.get(id(one), 1) for one in held)
            if self._sizes[id(made)] > _MOST_VALUES:
                raise TooLarge(f"unfolds to more than {_MOST_VALUES:,} values by its aliases")
            self._put(made, anchor)

    def _put(self, value: Value, anchor: str = "") -> None:
        if anchor:
            self._anchors[anchor] = value
        (self._open[-1][1] if self._open else self.documents).append(value)


def _record(pairs: Sequence[tuple[str, Value]]) -> dict[str, Value]:
    """Keys with their values; what is said twice under one key is a list."""
    found = dict(pairs)
    if len(found) < len(pairs):
        several: dict[str, list[Value]] = {}
        for key, value in pairs:
            several.setdefault(key, []).append(value)
        found = {key: values[0] if len(values) == 1 else values for key, values in several.items()}
    return found


def _mapping(held: Sequence[Value]) -> dict[str, Value]:
    """Keys and values in turn as a dict; what is merged in with `<<` stands behind what is said here."""
    said: list[tuple[str, Value]] = []
    merged: dict[str, Value] = {}
    for key, value in zip(held[::2], held[1::2], strict=True):
        if key == "<<" and isinstance(value, dict | list):
            for other in value if isinstance(value, list) else [value]:
                merged |= other if isinstance(other, dict) else {}
        else:
            said.append((key if isinstance(key, str) else json.dumps(key, ensure_ascii=False), value))
    found = _record(said)
    return {**{key: value for key, value in merged.items() if key not in found}, **found}


def _plain(value: Any, depth: int) -> Value:
    """JSON's words for true and false as they are written, and nothing for null."""
    if isinstance(value, dict):
        return {key: _plain(held, depth + 1) for key, held in value.items()}
    if isinstance(value, list):
        return [_plain(held, depth + 1) for held in value]
    return value if isinstance(value, str) else {True: "true", False: "false"}.get(value, "")


def _add_lines(builder: TextBuilder, text: str) -> None:
    """The records of a file that has one on each line: as one table, or as one block each."""
    records: list[tuple[int, Value]] = []
    broken = 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                records.append((number, read_json(line)))
            except BrokenDocument:
                broken += 1
                records.append((number, line.strip()))
    if not records or broken * 2 >= len(records):
        raise BrokenDocument("has no JSON value on each of its lines")
    builder.unit = "line"
    writer = _Writer(builder)
    values = [value for _, value in records]
    if columns := _columns(values):
        rows = [[_cell(value.get(column, "")) for column in columns] for value in values]
        first = records[0][0]
        builder.table([list(columns), *rows], numbers=[first, *(number for number, _ in records)])
        return
    for number, value in records:
        lines = writer.lines("", value, 0)
        builder.unit, builder.place = "", f"line {number}"
        for line in _grouped(lines):
            builder.text(line)


class _Writer:
    """Lays a value out: what is short as lines `key: value`, records that are alike as a table, the rest as sections."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder

    def value(self, path: str, value: Value, level: int) -> None:
        """A value that stands at `path`, below headings of lower levels."""
        self._builder.place, self._builder.unit = path, ""
        if isinstance(value, dict):
            self._record(path, value, level)
        elif isinstance(value, list):
            self._list(path, value, level)
        else:
            self._builder.text(value)

    def _record(self, path: str, record: Mapping[str, Value], level: int) -> None:
        short = {key for key, value in record.items() if level > _DEEPEST_SECTION or not self._is_section(value)}
        lines = [line for key in record if key in short for line in self.lines(key, record[key], 0)]
        for text in _grouped(lines):
            self._builder.text(text)
        for key, value in record.items():
            if key not in short:
                below = f"{path}.{key}" if path else key
                self._builder.place, self._builder.unit = below, ""
                self._builder.heading(level, key)
                self.value(below, value, level + 1)

    def _list(self, path: str, values: Sequence[Value], level: int) -> None:
        if columns := _columns(values):
            rows = [[_cell(value.get(column, "")) for column in columns] for value in values]
            self._builder.unit = "item"
            self._builder.table([list(columns), *rows], numbers=[1, *range(1, len(rows) + 1)])
            self._builder.unit = ""
        elif all(not _is_nested(value) for value in values):
            self._builder.text("\n".join(map(_cell, values)))
        else:
            for number, value in enumerate(values):
                below = f"{path}[{number}]"
                name = (
                    next((value[key] for key in _NAMES if isinstance(value.get(key), str)), "")
                    if isinstance(value, dict)
                    else ""
                )
                self._builder.place = below
                if level <= _DEEPEST_SECTION and name.strip():
                    self._builder.heading(level, name)
                self.value(below, value, level + 1 if name else level)

    def _is_section(self, value: Value) -> bool:
        """Whether a value needs a section of its own: a table, or more than some lines."""
        if not isinstance(value, dict | list):
            return False
        return bool(_columns(value)) or len(self.lines("", value, 0)) > _MOST_LINES or len(_cell(value)) > _LONGEST_CELL

    def lines(self, path: str, value: Value, depth: int) -> list[str]:
        """A value as lines `path: text`."""
        if isinstance(value, dict) and depth < _DEEPEST:
            return [
                line for key, held in value.items() for line in self.lines(f"{path}.{key}" if path else key, held, depth + 1)
            ]
        if isinstance(value, list) and depth < _DEEPEST and _is_nested(value):
            return [line for number, held in enumerate(value) for line in self.lines(f"{path}[{number}]", held, depth + 1)]
        text = _cell(value)
        return [f"{path}: {text}" if path else text] if text.strip() else []


def _grouped(lines: Iterable[str]) -> Iterable[str]:
    """Lines as paragraphs: short ones together, one with paragraphs of its own alone."""
    together: list[str] = []
    for line in lines:
        if "\n" in line or len(line) > _LONGEST_CELL:
            if together:
                yield "\n".join(together)
                together = []
            yield line
        else:
            together.append(line)
    if together:
        yield "\n".join(together)


def _is_nested(value: Value) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(held, dict | list) for held in value))


def _columns(values: Value) -> Sequence[str]:
    """The keys of records that make a table: alike, flat and short. Nothing where they don't."""
    if not isinstance(values, list) or len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return ()
    columns = tuple(dict.fromkeys(key for value in values for key in value))
    held = sum(map(len, values))
    if len(columns) > _WIDEST_TABLE or held * 2 < len(columns) * len(values):
        return ()
    for value in values:
        for one in value.values():
            if _is_nested(one) or len(one) > _LONGEST_CELL:
                return ()
    return columns


def _cell(value: Value) -> str:
    """A value in one piece of text."""
    if isinstance(value, str):
        return value
    if not _is_nested(value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)
