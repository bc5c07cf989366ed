"""The facts in SQLite: their tables, how they are written beside a document, and how they are read.

`execute` runs a statement on a connection, or reads from one: this module opens none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ingest.curate import Facts, Signature
from ingest.curate.minhash import bands, likeness
from ingest.curate.versions import Edition, in_families

if TYPE_CHECKING:
    import sqlite3

Rows: TypeAlias = "Callable[..., list[sqlite3.Row]]"
"""Runs a query with its values, and gives the rows."""

SCHEMA = """
CREATE TABLE curation (
    document_id TEXT PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE, language TEXT NOT NULL, quality REAL NOT NULL,
    version TEXT NOT NULL, dated TEXT NOT NULL, name_key TEXT NOT NULL, title_key TEXT NOT NULL, signature BLOB NOT NULL,
    details TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE twins (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks(id) ON DELETE CASCADE, signature BLOB NOT NULL, facts INTEGER NOT NULL,
    names INTEGER NOT NULL, fold INTEGER
);
CREATE INDEX twins_by_fold ON twins(fold) WHERE fold IS NOT NULL;
CREATE TABLE bands (band INTEGER NOT NULL, chunk_id INTEGER NOT NULL, PRIMARY KEY (band, chunk_id)) WITHOUT ROWID;
CREATE TABLE contradictions (
    chunk_id INTEGER NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
    other INTEGER NOT NULL REFERENCES chunks(id) ON DELETE CASCADE, PRIMARY KEY (chunk_id, other)
) WITHOUT ROWID;
CREATE INDEX contradictions_by_other ON contradictions(other);
"""
COLUMNS = "coalesce(language, ''), quality, coalesce(version, ''), coalesce(dated, '')"
"""What `DocumentInfo` shows of a document's facts, of `documents LEFT JOIN curation`."""

FOLDED = 0.8
"""How alike (Jaccard index of three-word shingles, estimated) two chunks with the same facts and names are, to be folded."""

_TWINS = 0.75  # and two whose facts differ, to be looked at side by side
_LOOKED_AT = 8  # chunks that a band is looked up for: the oldest; a text that a thousand share needs no more
_KEPT = 3  # chunks that one is set against


def put(db: sqlite3.Connection, document_id: str, facts: Facts) -> None:
    """Write the facts of a document that is there, with its chunks; its chunks find their twins in other documents."""
    details = {"flaws": dict(facts.flaws), "boilerplate": facts.boilerplate, "pages": facts.pages, "empty": facts.empty_pages}
    db.execute(
        "INSERT OR REPLACE INTO curation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (document_id, facts.language, facts.quality, facts.version, facts.dated, facts.name_key, facts.title_key,
         facts.signature.minhash, json.dumps(details, separators=(",", ":"))),
    )  # fmt: skip
    ids = [int(row[0]) for row in db.execute("SELECT id FROM chunks WHERE document_id = ? ORDER BY id", (document_id,))]
    own = set(ids)
    for chunk_id, signature in zip(ids, facts.chunks, strict=True):
        if signature.minhash:
            _put_chunk(db, chunk_id, signature, own)


def _put_chunk(db: sqlite3.Connection, chunk_id: int, signature: Signature, own: set[int]) -> None:
    same, similar = bands(signature)
    fold = None
    like = [
        (likeness(signature, other), i, known)
        for i, other, known in _candidates(db, same)
        if (other.facts, other.names) == (signature.facts, signature.names)
    ]
    if like and (best := max(like, key=lambda one: (one[0], -one[1])))[0] >= FOLDED:
        _, leader, known = best
        fold = known or leader
        db.execute("UPDATE twins SET fold = ? WHERE chunk_id = ? AND fold IS NULL", (fold, leader))
    db.execute(
        "INSERT OR REPLACE INTO twins VALUES (?, ?, ?, ?, ?)",
        (chunk_id, signature.minhash, signature.facts, signature.names, fold),
    )
    against = [
        (likeness(signature, other), i)
        for i, other, _ in _candidates(db, similar)
        if other.facts != signature.facts and i not in own
    ]
    nearest = [i for score, i in sorted(against, reverse=True)[:_KEPT] if score >= _TWINS]
    db.executemany(
        "INSERT OR IGNORE INTO contradictions VALUES (?, ?)", ((min(chunk_id, i), max(chunk_id, i)) for i in nearest)
    )
    db.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", ((band, chunk_id) for band in (*same, *similar)))


def _candidates(db: sqlite3.Connection, keys: Iterable[int]) -> list[tuple[int, Signature, int | None]]:
    """The chunks (id, signature, group) that share a band with one."""
    found: dict[int, tuple[int, Signature, int | None]] = {}
    for key in keys:
        for row in db.execute(
            "SELECT t.chunk_id, t.signature, t.facts, t.names, t.fold FROM bands b JOIN twins t ON t.chunk_id = b.chunk_id "
            "WHERE b.band = ? ORDER BY b.chunk_id LIMIT ?",
            (key, _LOOKED_AT),
        ):
            found[int(row[0])] = int(row[0]), Signature(bytes(row[1]), int(row[2]), int(row[3])), row[4]
    return list(found.values())


def drop(db: sqlite3.Connection, document_id: str) -> None:
    """Forget what no foreign key takes along when the document goes."""
    gone = db.execute(
        "SELECT t.chunk_id, t.signature, t.facts, t.names FROM twins t JOIN chunks c ON c.id = t.chunk_id "
        "WHERE c.document_id = ?",
        (document_id,),
    ).fetchall()
    for chunk_id, signature, facts, names in gone:
        same, similar = bands(Signature(bytes(signature), int(facts), int(names)))
        db.executemany("DELETE FROM bands WHERE band = ? AND chunk_id = ?", ((band, chunk_id) for band in (*same, *similar)))


@dataclass(frozen=True, slots=True)
class Member:
    """A chunk of a group that says the same."""

    fold: int
    chunk_id: int
    document_id: str
    start: int
    end: int


class Curation:
    """What is read of the facts. Of a store that no writer has brought up to date yet, nothing is known."""

    def __init__(self, rows: Rows, known: bool) -> None:
        self._rows, self._known = rows, known

    def missing(self) -> list[str]:
        """The documents without facts: they came in before there were any."""
        return [
            str(row[0]) for row in self._read("SELECT id FROM documents WHERE id NOT IN (SELECT document_id FROM curation)")
        ]

    def folds(self, ids: Sequence[int]) -> dict[int, int]:
        """The group of each of the chunks that is in one."""
        if not self._read("SELECT 1 FROM twins WHERE fold IS NOT NULL LIMIT 1"):
            return {}
        marks = ",".join("?" * len(ids))
        return {
            int(row[0]): int(row[1])
            for row in self._read(f"SELECT chunk_id, fold FROM twins WHERE fold IS NOT NULL AND chunk_id IN ({marks})", *ids)
        }

    def members(self, fold: int, most: int) -> list[Member]:
        """The first chunks of a group, in order of id."""
        return self.places(self.copies(fold, 0, most))

    def copies(self, fold: int, after: int, most: int) -> list[int]:
        """The first chunks of a group whose ids are above `after`, in order: their ids alone, for a group may be huge."""
        rows = self._read(
            "SELECT chunk_id FROM twins WHERE fold = ? AND chunk_id > ? ORDER BY chunk_id LIMIT ?", fold, after, most
        )
        return [int(row[0]) for row in rows]

    def places(self, ids: Sequence[int]) -> list[Member]:
        """Where these chunks stand, in order of id; at most some hundreds."""
        marks = ",".join("?" * len(ids))
        rows = self._read(
            'SELECT t.fold, t.chunk_id, c.document_id, c.start, c."end" FROM twins t JOIN chunks c ON c.id = t.chunk_id '
            f"WHERE t.chunk_id IN ({marks}) ORDER BY t.chunk_id",
            *ids,
        )
        return [Member(*row) for row in rows]

    def groups(self, most: int) -> list[tuple[int, int]]:
        """(group, chunks in it) of the largest groups."""
        rows = self._read(
            "SELECT fold, count(*) FROM twins WHERE fold IS NOT NULL GROUP BY fold HAVING count(*) > 1 "
            "ORDER BY 2 DESC, 1 LIMIT ?",
            most,
        )
        return [(int(row[0]), int(row[1])) for row in rows]

    def folded(self) -> int:
        """How many chunks a search passes over where it gives another that says the same."""
        rows = self._read("SELECT count(*) - count(DISTINCT fold) FROM twins WHERE fold IS NOT NULL")
        return int(rows[0][0]) if rows else 0

    def against(self, most: int) -> list[tuple[int, int]]:
        """Pairs of chunks that read alike but whose facts differ."""
        return [(int(row[0]), int(row[1])) for row in self._read("SELECT chunk_id, other FROM contradictions LIMIT ?", most)]

    def editions(self) -> list[Edition]:
        """The documents that say what version they are, or of when, and share their name or title with another."""
        told = "FROM curation WHERE version != '' OR dated != ''"
        shared = in_families([tuple(map(str, row)) for row in self._read(f"SELECT document_id, name_key, title_key {told}")])  # type: ignore[misc]
        if not shared:
            return []
        rows = self._read(f"SELECT document_id, name_key, title_key, version, dated, signature {told}")
        return [
            Edition(row[0], tuple({f"name:{row[1]}" if row[1] else "", f"title:{row[2]}" if row[2] else ""} - {""}), row[3],
                    row[4], Signature(bytes(row[5])))
            for row in rows if row[0] in shared
        ]  # fmt: skip

    def signatures(self) -> list[tuple[str, Signature]]:
        """Document id and signature of every document that has words, in order of id."""
        rows = self._read("SELECT document_id, signature FROM curation WHERE signature != x'' ORDER BY document_id")
        return [(str(row[0]), Signature(bytes(row[1]))) for row in rows]

    def details(self) -> dict[str, dict[str, Any]]:
        """Of each document what the list doesn't show: `flaws`, `boilerplate`, `pages`, `empty`."""
        return {str(row[0]): json.loads(row[1]) for row in self._read("SELECT document_id, details FROM curation")}

    def _read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._rows(sql, *values) if self._known else []
