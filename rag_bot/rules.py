"""The rules of reading, as their file says them: which groups people are in, and which groups may read what.

A document is ruled by where it comes from (`documents`), and by its labels: its own, and those of the folder that it stands in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ingest.labels import labels_of
from ingest.sources.archives import MARK
from ingest.types import DocumentInfo
from rag_bot.errors import BadSetting

EVERYONE = "*"
_SECTIONS = ("people", "documents", "labels", "folders", "collections", "personal")
_OF_COLLECTIONS = ("sources", "labels", "groups")
_MOST_SOURCES = 1_000_000  # of which it is kept what rules hold for them


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who will see an answer. `outside`: an account of another organisation, whose e-mail address proves nothing."""

    id: str
    email: str = ""
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents that can be asked by a name: those below one of `sources`, and those with one of `labels`.

    Who is in one of `groups` may use it; None: everybody.
    """

    sources: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()
    groups: frozenset[str] | None = None

    def open_to(self, groups: frozenset[str]) -> bool:
        """Whether a person in these groups may use it."""
        return self.groups is None or EVERYONE in self.groups or bool(self.groups & groups)


@dataclass(frozen=True)
class Rules:
    """What the file says. `documents` are beginnings of sources with the groups that may read there: the longest counts.

    `labels` are the labels that documents may have, each with the groups that may read it; None: labels restrict nobody.
    `folders` are beginnings of sources with labels that all below them have, too. `personal` are the groups that see personal
    data where it is masked or left out for others (`RAG_BOT_RAILS_PERSONAL`).
    """

    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    documents: tuple[tuple[str, frozenset[str]], ...] = ()
    collections: Mapping[str, Collection] = field(default_factory=dict)
    personal: frozenset[str] = frozenset()
    labels: Mapping[str, frozenset[str]] | None = None
    folders: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Rules:
        """Raises BadSetting for a file that is not there or says something else."""
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            _only_known(data, _SECTIONS, "it has a section")
            personal = _lists(data, "personal")
            _only_known(personal, ("groups",), "personal has")
            return cls(
                {name.lower(): frozenset(groups) for name, groups in _lists(data, "people").items()},
                tuple((source, frozenset(groups)) for source, groups in _lists(data, "documents").items()),
                {name: _collection(name, value) for name, value in _section(data, "collections").items()},
                frozenset(personal.get("groups", ())),
                _labels(_lists(data, "labels")) if "labels" in data else None,
                tuple((source, _each(labels, "folders")) for source, labels in _lists(data, "folders").items()),
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadSetting(
                f"The file of readers {path} can't be used: {reason}.", "Mend it, or set RAG_BOT_READERS to another."
            ) from error

    @property
    def withhold(self) -> bool:
        """Whether anything is withheld from anybody."""
        closed = any(one.groups is not None for one in self.collections.values())
        return bool(self.documents or self.personal or closed or self.labels is not None)

    def groups_of(self, person: Person) -> frozenset[str]:
        """The groups of a person, by id and (unless it is an outsider's) by e-mail address; none for a stranger."""
        found = self.people.get(person.id.lower(), frozenset())
        if person.email and not person.outside:
            found |= self.people.get(person.email.lower(), frozenset())
        return found

    def labels_of(self, info: DocumentInfo) -> frozenset[str]:
        """All labels of a document: its own, and those of the folders that it stands in."""
        return self.ruling.about(info.source).labels.union(info.labels)

    def unnamed(self, info: DocumentInfo) -> frozenset[str]:
        """The labels of a document that hide it from everybody, since no rule names them."""
        return frozenset() if self.labels is None else self.labels_of(info).difference(self.labels)

    @cached_property
    def ruling(self) -> Ruling:
        """The rules, ready to be looked up."""
        return Ruling(self)


@dataclass(frozen=True, slots=True, eq=False)
class Ruled:
    """What rules say of a place; one object for all places of which they say the same.

    `readers` are the groups that may read there (None: everybody), `labels` those that all there have, `collections` the names
    of those that it is in.
    """

    readers: frozenset[str] | None = None
    labels: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()


class Ruling:
    """Which rules hold for a document, by its source. Threads may share it.

    It is asked about every document for everybody who asks a question, so what was found once is kept: `known`.
    """

    def __init__(self, rules: Rules) -> None:
        self._readers = {source: None if EVERYONE in groups else groups for source, groups in rules.documents}
        self._labels: dict[str, frozenset[str]] = {source: frozenset(labels) for source, labels in rules.folders}
        self._collections: dict[str, frozenset[str]] = {}
        for name, collection in rules.collections.items():
            for source in collection.sources:
                self._collections[source] = self._collections.get(source, frozenset()) | {name}
        self._named = frozenset((*self._readers, *self._labels, *self._collections))
        self._nowhere = Ruled()
        self._equal: dict[tuple[frozenset[str] | None, frozenset[str], frozenset[str]], Ruled] = {
            (None, frozenset(), frozenset()): self._nowhere
        }
        self._places: dict[str, Ruled] = {}
        self.known: dict[str, Ruled] = {}
        labels = None if rules.labels is None else tuple(sorted(rules.labels.items(), key=lambda one: one[0]))
        collections = tuple(sorted(rules.collections.items(), key=lambda one: one[0]))
        self.said = (rules.documents, labels, rules.folders, collections)
        """All that decides who may read what, to tell one set of rules from another."""
        self.groups = frozenset[str]().union(*(one for _, one in rules.documents), *(rules.labels or {}).values())
        """The groups that make a difference."""

    def about(self, source: str) -> Ruled:
        """What the rules say of a document."""
        ruled = self.known.get(source)
        if ruled is None:
            if len(self.known) >= _MOST_SOURCES:
                self.known.clear()
                self._places.clear()
            # For all files in a folder the same rules hold, but for those that are named themselves.
            place = source if source in self._named else source[: _last(source) + 1]
            ruled = self.known[source] = self._places.get(place) or self._look_up(place)
        return ruled

    def _look_up(self, place: str) -> Ruled:
        """What holds above a place, and the rules that name the place itself."""
        ruled, unknown = self._nowhere, []
        while place:
            if known := self._places.get(place):
                ruled = known
                break
            unknown.append(place)
            place = place[: _last(place, 0, len(place) - 1) + 1]
        for place in reversed(unknown):
            for name in reversed(_names(place)):  # the longest one last, for it counts
                if name in self._named:
                    ruled = self._with(ruled, name)
            self._places[place] = ruled
        return ruled

    def _with(self, above: Ruled, name: str) -> Ruled:
        readers = self._readers.get(name, above.readers)
        labels = above.labels | self._labels.get(name, frozenset())
        collections = above.collections | self._collections.get(name, frozenset())
        return self._equal.setdefault((readers, labels, collections), Ruled(readers, labels, collections))


def below(source: str, beginning: str) -> bool:
    """Whether a source begins so, up to the end of a name in a path. What a file holds, `all.zip!/a.pdf`, is below it."""
    rest = source.removeprefix(beginning)
    return source.startswith(beginning) and (beginning.endswith(("/", ":")) or rest == "" or rest.startswith(("/", MARK)))


def _last(source: str, *between: int) -> int:
    """Where the name that comes last begins, less one: at `/` or `:`, or -1."""
    return max(source.rfind("/", *between), source.rfind(":", *between))


def _names(place: str) -> tuple[str, ...]:
    """How a rule may name a place, the longest first: with what ends it, or without."""
    if place.endswith(MARK):
        return place, place[:-1], place[:-2]
    return (place, place[:-1]) if place.endswith("/") else (place,)


def _section(data: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = data.get(section, {})
    if not isinstance(found, dict):
        raise ValueError(f"{section} is no section")
    return found


def _lists(data: Mapping[str, Any], section: str) -> dict[str, list[str]]:
    return {name: _texts(words, f"{section}: {name!r}") for name, words in _section(data, section).items()}


def _texts(value: Any, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"{what} needs a list of texts")
    return value


def _only_known(found: Iterable[str], known: tuple[str, ...], what: str) -> None:
    if unknown := sorted(set(found) - set(known)):
        raise ValueError(f"{what} {unknown[0]!r}; there {'is' if len(known) == 1 else 'are'} {', '.join(known)}")


def _collection(name: str, value: Any) -> Collection:
    what = f"collections: {name!r}"
    if isinstance(value, list):
        return Collection(tuple(_texts(value, what)))
    if not isinstance(value, dict):
        raise ValueError(f"{what} needs a list of texts, or a table of {', '.join(_OF_COLLECTIONS)}")
    _only_known(value, _OF_COLLECTIONS, f"{what} has")
    if not value.keys() & {"sources", "labels"}:
        raise ValueError(f"{what} needs sources or labels")
    lists = {key: _texts(words, f"{what}, {key},") for key, words in value.items()}
    groups = frozenset(lists["groups"]) if "groups" in lists else None
    return Collection(tuple(lists.get("sources", ())), frozenset(_each(lists.get("labels", ()), what)), groups)


def _labels(lists: Mapping[str, list[str]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for name, groups in lists.items():
        label = _label(name, "labels")
        if label in found:
            raise ValueError(f"labels: {name!r} is there twice, for labels are the same in upper and lower case")
        found[label] = frozenset(groups)
    return found


def _each(labels: Iterable[str], what: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_label(label, what) for label in labels))


def _label(text: str, what: str) -> str:
    """A label as documents have it; ValueError for what can be none."""
    found = labels_of([text])
    if len(found) != 1:
        raise ValueError(f"{what}: {text!r} is no label")
    return found[0]
