"""Who may read which documents: people by their groups, documents by their source; what no rule names is public."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from ingest.sources.archives import MARK
from ingest.types import DocumentInfo
from rag_bot.errors import BadSetting, NotFound

PRIVATE = "upload:private/"
"""How the source of a document begins that belongs to one person or one channel."""
EVERYONE = "*"
_SECTIONS = {"people", "documents", "collections", "personal"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who will see an answer. `outside`: an account of another organisation, whose e-mail address proves nothing."""

    id: str
    email: str = ""
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What the file says. The longest beginning of a source counts: `documents` has them with the groups that may read.

    `personal` are the groups that see personal data where it is masked or left out for others (`RAG_BOT_RAILS_PERSONAL`).
    """

    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    documents: tuple[tuple[str, frozenset[str]], ...] = ()
    collections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    personal: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path) -> Rules:
        """Raises BadSetting for a file that is not there or says something else."""
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            if unknown := data.keys() - _SECTIONS:
                raise ValueError(
                    f"it has a section {sorted(unknown)[0]!r}; there are people, documents, collections and personal"
                )
            personal = dict(_lists(data, "personal"))
            if unknown := personal.keys() - {"groups"}:
                raise ValueError(f"personal has {sorted(unknown)[0]!r}; it takes groups")
            return cls(
                {name.lower(): frozenset(groups) for name, groups in _lists(data, "people")},
                tuple((source, frozenset(groups)) for source, groups in _lists(data, "documents")),
                {name: tuple(sources) for name, sources in _lists(data, "collections")},
                frozenset(personal.get("groups", ())),
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadSetting(
                f"The file of readers {path} can't be used: {reason}.", "Mend it, or set RAG_BOT_READERS to another."
            ) from error

    def groups_of(self, person: Person) -> frozenset[str]:
        """The groups of a person, by id and (unless it is an outsider's) by e-mail address; none for a stranger."""
        found = self.people.get(person.id.lower(), frozenset())
        if person.email and not person.outside:
            found |= self.people.get(person.email.lower(), frozenset())
        return found

    def readers_of(self, source: str) -> frozenset[str] | None:
        """The groups one of which a reader must be in; None for a document that is public."""
        rule = max((one for one in self.documents if below(source, one[0])), key=lambda one: len(one[0]), default=None)
        return None if rule is None or EVERYONE in rule[1] else rule[1]


class Scope:
    """Says of a document whether all who will see an answer may read it: what searches and answers are held to.

    `groups` are the groups of each of them. `owner` is the person or the channel whose own documents belong here; those of
    others never do. `sources` are the beginnings that sources must have (a collection); none: any.
    """

    def __init__(self, rules: Rules, groups: Iterable[frozenset[str]], owner: str = "", sources: tuple[str, ...] = ()) -> None:
        self._rules, self._owner, self._sources = rules, owner, sources
        self._groups = frozenset(groups)
        self._key = (rules.documents, self._groups, owner, sources)
        self.sees_personal = bool(self._groups) and all(rules.personal & one for one in self._groups)
        """Whether each of them may see personal data that is masked for others."""

    def __call__(self, info: DocumentInfo) -> bool:
        source = info.source
        if source.startswith(PRIVATE):
            return bool(self._owner) and source.startswith(f"{PRIVATE}{self._owner}/")
        if self._sources and not any(below(source, one) for one in self._sources):
            return False
        needed = self._rules.readers_of(source)
        return needed is None or all(needed & groups for groups in self._groups)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scope) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class Readers:
    """The rules of a file, read again when it changes; without a file everything is public but what is private."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._lock = path, Lock()
        self._stamp: tuple[int, int] | None = None
        self._rules = Rules()
        if path:
            self._stamp, self._rules = _stamp(path), Rules.read(path)

    @property
    def rules(self) -> Rules:
        """The rules as they are now. A file that can't be used any more leaves nothing to be read: BadSetting."""
        if self._path is None:
            return self._rules
        with self._lock:
            stamp = _stamp(self._path)
            if stamp is None or stamp != self._stamp:
                self._rules = Rules.read(self._path)
                self._stamp = stamp
            return self._rules

    def scope(self, people: Iterable[Person], owner: str = "", collection: str = "") -> Scope:
        """What may be read where all these people see it; of nobody known, only what is public."""
        rules = self.rules
        groups = {rules.groups_of(person) for person in people} or {frozenset[str]()}
        sources = rules.collections.get(collection, ()) if collection else ()
        if collection and not sources:  # a collection that is no more has nothing in it
            sources = ("\0",)
        return Scope(rules, groups, owner, sources)

    def scope_of(self, groups: frozenset[str], owner: str = "", collection: str = "") -> Scope:
        """What somebody of these groups may read."""
        return Scope(self.rules, {groups}, owner)

    def collection_for(self, groups: frozenset[str], collection: str) -> Scope:
        sources = self.rules.collections.get(collection)
        if not sources:
            raise NotFound(f"There is no collection {collection!r}.", "GET /v1/collections shows what there is.")
        return Scope(self.rules, {groups}, "", sources)

    def collections_of(self, groups: frozenset[str]) -> list[str]:
        return sorted(self.rules.collections)

    def everyone(self) -> Scope:
        """What anybody may read."""
        return self.scope(())


def below(source: str, beginning: str) -> bool:
    """Whether a source begins so, up to the end of a name in a path. What a file holds, `all.zip!/a.pdf`, is below it."""
    rest = source.removeprefix(beginning)
    return source.startswith(beginning) and (beginning.endswith(("/", ":")) or rest == "" or rest.startswith(("/", MARK)))


def _lists(data: Mapping[str, Any], section: str) -> list[tuple[str, list[str]]]:
    found = data.get(section, {})
    if not isinstance(found, dict):
        raise ValueError(f"{section} is no section")
    for name, words in found.items():
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{section}: {name!r} needs a list of texts")
    return list(found.items())


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
