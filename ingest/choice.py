"""What a search may find for whoever asks: the documents that are allowed, and their chunks, as bits.

Who may read what is asked once of each document, and again only of documents that have changed since.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.curate.versions import Edition, superseded
from ingest.store import Store
from ingest.types import Allowed, DocumentInfo

KEPT = 64
"""Answers to who may read what that are kept."""
_LARGEST, _SPARE = 2, 10_000  # times the chunks that there are, and so many more, that are kept with those that are gone

Ids: TypeAlias = npt.NDArray[np.int64]
Slots: TypeAlias = npt.NDArray[np.int32]
Mask: TypeAlias = npt.NDArray[np.bool_]
Bits: TypeAlias = npt.NDArray[np.uint8]
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, eq=False)
class Only:
    """The chunks that a search may find: a bit for each of the ids of all chunks, which rise. No two have the same `number`."""

    every: Ids
    bits: Bits
    number: int = field(default_factory=lambda: next(_numbers))

    @classmethod
    def of(cls, every: Ids, mask: Mask | None = None) -> Only:
        """Those of the ids that the mask has; without it, all of them."""
        return cls(every, np.packbits(np.ones(len(every), np.bool_) if mask is None else mask))

    @property
    def ids(self) -> Ids:
        """The ids, rising."""
        return self.every[_mask(self.bits, len(self.every))]

    def __len__(self) -> int:
        return int(np.bitwise_count(self.bits).sum())

    def holding(self, chunk_ids: Ids) -> int:
        """How many of some chunks are among these."""
        if not len(self.every):
            return 0
        at = np.minimum(np.searchsorted(self.every, chunk_ids), len(self.every) - 1)
        return int(((self.every[at] == chunk_ids) & (self.bits[at >> 3] >> (7 - (at & 7)) & 1).astype(np.bool_)).sum())

    def __contains__(self, chunk_id: object) -> bool:
        at = int(np.searchsorted(self.every, chunk_id))  # type: ignore[call-overload]
        return at < len(self.every) and bool(self.every[at] == chunk_id) and bool(self.bits[at >> 3] >> (7 - (at & 7)) & 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """The documents and chunks of an index at one moment. A document keeps its slot; in that of one that is gone is None.

    `changed` is for each slot the version with which its document came or changed. Of chunks that are gone some may still be
    there, which does no harm: nothing finds them. `slots` has the slots of documents by id, and is shared by all tables that
    were made one from another. `count` is how many documents there are.
    """

    epoch: str
    version: int
    slots: dict[str, int]
    documents: list[DocumentInfo | None]
    changed: Ids
    chunks: Ids
    owners: Slots
    count: int
    editions: Sequence[Edition]

    @classmethod
    def of(cls, store: Store, newest: bool, old: _Table | None) -> _Table:
        """The table of a store as it is now, within a snapshot; `old` itself where nothing of it has changed."""
        epoch, version, (count, chunks, _) = store.meta("epoch") or "", store.version, store.counts()
        if old is None or old.epoch != epoch or old.version > version or len(old.chunks) > chunks * _LARGEST + _SPARE:
            old = cls(epoch, -1, {}, [], np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32), 0, ())
        documents, slots = [*old.documents], old.slots
        touched: list[int] = []
        for info in store.documents_since(old.version):
            slot = slots.setdefault(info.document_id, len(documents))
            documents[slot : slot + 1] = [info]
            touched.append(slot)
        if sum(info is not None for info in documents) != count:
            there = store.document_ids()
            gone = [at for at, info in enumerate(documents) if info and info.document_id not in there]
            for slot in gone:
                documents[slot] = None
            touched += gone
        rows = store.owners(int(old.chunks[-1]) if len(old.chunks) else 0)
        if not touched and not rows and old.version >= 0:
            return old
        changed = np.concatenate([old.changed, np.zeros(len(documents) - len(old.documents), np.int64)])
        changed[touched] = version
        new = np.fromiter((i for i, _ in rows), np.int64, len(rows))
        owners = np.fromiter((slots[owner] for _, owner in rows), np.int32, len(rows))
        return cls(
            epoch,
            version,
            slots,
            documents,
            changed,
            np.concatenate([old.chunks, new]),
            np.concatenate([old.owners, owners]),
            count,
            store.curation.editions() if newest else (),
        )

    def newest(self, may: Mask) -> Mask:
        """Of the documents that may be read, those that no newer one replaces which may be read, too."""
        readable = {one.document_id for one in self.editions if may[self.slots[one.document_id]]}
        left = may.copy()
        left[[self.slots[one] for one in superseded(self.editions, readable)]] = False
        return left


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What one who asks may find: `only` these chunks (None: all); and which documents he may read at all, newest or not."""

    table: _Table
    may: Bits
    only: Only | None

    def any(self) -> bool:
        """Whether there is a document that may be read."""
        return bool(self.may.any())

    def reads(self, document_id: str) -> bool:
        """Whether a document is there and may be read."""
        slot = self.table.slots.get(document_id, len(self.table.documents))
        return slot < len(self.table.documents) and bool(self.may[slot >> 3] >> (7 - (slot & 7)) & 1)

    def readable(self, chunk_ids: Sequence[int]) -> list[int]:
        """Those of some chunks whose documents may be read, in their order."""
        every, ids = self.table.chunks, np.asarray(chunk_ids, np.int64)
        if not len(every) or not len(ids):
            return []
        at = np.minimum(np.searchsorted(every, ids), len(every) - 1)
        may = _mask(self.may, len(self.table.documents))
        found: list[int] = ids[(every[at] == ids) & may[self.table.owners[at]]].tolist()
        return found


@dataclass(frozen=True, slots=True)
class _Known:
    """Which documents of a table may be read, and the choice that this made; without it where the table is no longer true."""

    slots: dict[str, int]
    version: int
    count: int
    may: Bits
    choice: Choice | None


class Choices:
    """The choices of the last few who asked. Threads may share it. `newest`: what a newer version replaces is not found."""

    def __init__(self, store: Store, *, newest: bool) -> None:
        self._store, self._newest = store, newest
        self._lock = threading.Lock()
        self._table: _Table | None = None
        self._version = -1
        self._known: OrderedDict[Allowed, _Known] = OrderedDict()

    def of(self, allowed: Allowed) -> Choice:
        """What may be found by one who may read what is `allowed`."""
        with self._store.snapshot(), self._lock:  # in this order everywhere
            table, known = self._fresh(), self._known.get(allowed)
            if known:
                self._known.move_to_end(allowed)
                if known.choice is not None:
                    return known.choice
        may = _asked(table, allowed, known)
        found = table.newest(may) if self._newest else may
        everything = int(found.sum()) == table.count
        choice = Choice(table, np.packbits(may), None if everything else Only.of(table.chunks, found[table.owners]))
        with self._lock:
            # A choice holds its table: none is kept of one that has been replaced meanwhile.
            kept = choice if table is self._table else None
            self._known[allowed] = _Known(table.slots, table.version, len(may), choice.may, kept)
            self._known.move_to_end(allowed)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return choice

    def _fresh(self) -> _Table:
        """The table as the store is now, within a snapshot."""
        version = self._store.version
        if self._table is None or self._version != version:
            table = _Table.of(self._store, self._newest, self._table)
            if table is not self._table:
                for allowed, known in self._known.items():
                    self._known[allowed] = replace(known, choice=None)
            self._table, self._version = table, version
        return self._table


def _asked(table: _Table, allowed: Allowed, known: _Known | None) -> Mask:
    """For each document whether it may be read; of what is known, only those that have changed are asked for."""
    if known is None or known.slots is not table.slots or known.version > table.version:
        return np.fromiter((info is not None and allowed(info) for info in table.documents), np.bool_, len(table.documents))
    may = np.zeros(len(table.documents), np.bool_)
    may[: known.count] = _mask(known.may, known.count)
    for slot in np.flatnonzero(table.changed > known.version).tolist():
        info = table.documents[slot]
        may[slot] = info is not None and allowed(info)
    return may


def _mask(bits: Bits, count: int) -> Mask:
    return np.unpackbits(bits, count=count).view(np.bool_)
