"""Which documents are versions of one another, and which of them replaces which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ingest.curate import Signature
from ingest.curate.minhash import likeness

_COMPARED = 64  # of the newer ones in a family; a family of thousands is a series, not versions
# How alike two versions are at least: by MinHash, numbers left out of account. Numbered versions may differ more than what
# only bears another date, since minutes and invoices do so too.
_NUMBERED, _DATED = 0.5, 0.7


@dataclass(frozen=True, slots=True)
class Edition:
    """What tells a document's version from the others of its family. `keys` name the families that it may belong to."""

    document_id: str
    keys: tuple[str, ...]
    version: str
    dated: str
    signature: Signature


def superseded(editions: Iterable[Edition], among: Collection[str] | None = None) -> dict[str, str]:
    """Each document that a newer version of it replaces, with that one; only documents `among` these count (None: all)."""
    families: defaultdict[str, list[Edition]] = defaultdict(list)
    for edition in editions:
        if among is None or edition.document_id in among:
            for key in edition.keys:
                families[key].append(edition)
    found: dict[str, str] = {}
    for family in families.values():
        ordered = sorted(family, key=lambda one: (_number(one.version), one.dated, one.document_id), reverse=True)
        for at, older in enumerate(ordered):
            for newer in _newest_first(ordered, at):
                if _replaces(newer, older):
                    found.setdefault(older.document_id, newer.document_id)
                    break
    return found


def in_families(rows: Sequence[tuple[str, str, str]]) -> set[str]:
    """The documents that share a family with another: of rows of (document id, key, other key)."""
    members: defaultdict[str, set[str]] = defaultdict(set)
    for document_id, *keys in rows:
        for key in filter(None, keys):
            members[key].add(document_id)
    return {document_id for some in members.values() if len(some) > 1 for document_id in some}


def _newest_first(ordered: Sequence[Edition], at: int) -> Iterable[Edition]:
    others = [*ordered[: min(at, _COMPARED)], *ordered[at + 1 : at + 1 + _COMPARED]]
    return sorted(others, key=lambda one: (one.dated, _number(one.version)), reverse=True)


def _replaces(newer: Edition, older: Edition) -> bool:
    if newer.version and older.version and _number(newer.version) != _number(older.version):
        return _number(newer.version) > _number(older.version) and likeness(newer.signature, older.signature) >= _NUMBERED
    shared = min(len(newer.dated), len(older.dated))
    later = bool(shared) and newer.dated[:shared] > older.dated[:shared]
    return later and likeness(newer.signature, older.signature) >= _DATED


def _number(version: str) -> tuple[int, ...]:
    """`2.0` and `2` are the same."""
    parts = [int(part) for part in version.split(".") if part]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
