"""Who may read which documents: people by their groups, documents by source and labels; what no rule names is public."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from ingest.types import DocumentInfo
from rag_bot.errors import NotFound
from rag_bot.rules import EVERYONE, Collection, Person, Ruled, Rules, below

__all__ = ["EVERYONE", "PRIVATE", "Collection", "Person", "Readers", "Rules", "Scope", "below"]

PRIVATE = "upload:private/"
"""How the source of a document begins that belongs to one person or one channel."""
_MOST_KNOWN = 4096  # combinations of rules and labels


class Scope:
    """Says of a document whether all who will see an answer may read it: what searches and answers are held to.

    `groups` are the groups of each of them. `owner` is the person or the channel whose own documents belong here, whatever the
    rules say; those of others never do. `collection` is the name of the one that is asked, '' for all documents; in one that
    is not there, or that one of them may not use, there is nothing but the owner's own.
    """

    def __init__(self, rules: Rules, groups: Iterable[frozenset[str]], owner: str = "", collection: str = "") -> None:
        all_groups = set(groups) or {frozenset[str]()}
        asked = rules.collections.get(collection, Collection()) if collection else Collection()
        matter = rules.ruling.groups.union(asked.groups or ())
        self._ruled, self._about, self._labels = rules.ruling.known, rules.ruling.about, rules.labels
        self._groups = frozenset(one & matter for one in all_groups)
        self._own = f"{PRIVATE}{owner}/" if owner else ""
        self._collection, self._of_collection = collection, asked.labels
        self._closed = not all(map(asked.open_to, self._groups))
        self._known: dict[tuple[Ruled, tuple[str, ...]], bool] = {}
        self._key = (rules.ruling.said, self._groups, owner, collection)
        self._hash = hash(self._key)
        self.sees_personal = all(rules.personal & one for one in all_groups)
        """Whether each of them may see personal data that is masked for others."""

    def __call__(self, info: DocumentInfo) -> bool:
        source = info.source
        if source.startswith(PRIVATE):
            return bool(self._own) and source.startswith(self._own)
        key = (self._ruled.get(source) or self._about(source), info.labels)
        may = self._known.get(key)
        if may is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            may = self._known[key] = self._decide(*key)
        return may

    def _decide(self, ruled: Ruled, own: tuple[str, ...]) -> bool:
        labels = ruled.labels.union(own)
        if self._closed:
            return False
        if self._collection and self._collection not in ruled.collections and not labels & self._of_collection:
            return False
        if ruled.readers is not None and not self._all_in(ruled.readers):
            return False
        # A label that no rule names is in no group's hands: a slip of the pen must not publish.
        return self._labels is None or all(self._all_in(self._labels.get(label, frozenset())) for label in labels)

    def _all_in(self, allowed: frozenset[str]) -> bool:
        return EVERYONE in allowed or all(allowed & groups for groups in self._groups)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scope) and self._hash == other._hash and self._key == other._key

    def __hash__(self) -> int:
        return self._hash


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

    def groups_of(self, person: Person) -> frozenset[str]:
        """The groups that the rules give a person."""
        return self.rules.groups_of(person)

    def scope(self, people: Iterable[Person], owner: str = "", collection: str = "") -> Scope:
        """What may be read where all these people see it; of nobody known, only what is public."""
        rules = self.rules
        return Scope(rules, (rules.groups_of(person) for person in people), owner, collection)

    def scope_of(self, groups: frozenset[str], owner: str = "", collection: str = "") -> Scope:
        """What one person may read whose groups are known. Raises NotFound as `collection_for` does."""
        rules = self.rules
        if collection:
            _usable(rules, groups, collection)
        return Scope(rules, (groups,), owner, collection)

    def collection_for(self, groups: frozenset[str], name: str) -> Collection:
        """A collection that a person in these groups may use. Raises NotFound, which is the same whether there is none of the
        name or it is for others."""
        return _usable(self.rules, groups, name)

    def collections_of(self, groups: frozenset[str]) -> list[str]:
        """The names of the collections that a person in these groups may use, in order."""
        return sorted(name for name, collection in self.rules.collections.items() if collection.open_to(groups))

    def everyone(self) -> Scope:
        """What anybody may read."""
        return self.scope(())


def _usable(rules: Rules, groups: frozenset[str], name: str) -> Collection:
    collection = rules.collections.get(name)
    if collection is None or not collection.open_to(groups):
        raise NotFound(f"There is no collection {name!r}.", "Leave it out to ask all documents.")
    return collection


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
