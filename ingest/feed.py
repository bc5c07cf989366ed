"""Prepared documents into the index: chunks of many embedded together by a thread of its own, documents written in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ingest.index import Index
from ingest.prepare import Piece, Prepared
from ingest.types import Chunk, LedgerEntry, Working

if TYPE_CHECKING:
    from ingest.embedder import Embedded

TICK = 0.5  # seconds between two looks at what goes on
# Tokens embedded in one go: enough to sort by length, few enough that the next look at progress is near. A GPU takes more.
_BATCH_TOKENS = 49_152
_BATCHES_OF_EMBEDDER = 8
_SOME = 1 / 6  # of that, with which an embedder begins that has nothing to do
_CHARS_PER_TOKEN = 4  # about; the embedder counts them exactly when it packs what it is given
_OUT = 2  # batches that are embedded or wait for it
_WAITING = 256  # documents that wait for a batch to fill
_PATIENCE = 2.0  # seconds that they wait at most


@dataclass(slots=True)
class _Open:
    """A document on its way: `batches` with chunks of it are not embedded yet; `whole`: no chunk is to come any more."""

    prepared: Prepared
    size: int
    batches: int = 0
    whole: bool = False
    staged: int = 0
    last: tuple[Sequence[Chunk], Embedded] | None = None

    @property
    def embedded(self) -> int:
        """How many of its chunks are."""
        return self.staged + (len(self.last[0]) if self.last else 0)


@dataclass(slots=True)
class _Batch:
    """Chunks to embed together, those of one document after those of another."""

    parts: list[tuple[_Open, list[Piece]]] = field(default_factory=list)
    tokens: int = 0
    since: float = field(default_factory=time.monotonic)

    def add(self, document: _Open, piece: Piece) -> None:
        if not self.parts or self.parts[-1][0] is not document:
            self.parts.append((document, []))
            document.batches += 1
        self.parts[-1][1].append(piece)
        self.tokens += len(piece.text) // _CHARS_PER_TOKEN + 1


class Feed:
    """Takes prepared documents in. `done` is told each ledger line with the bytes that its document took up, in the order in
    which the documents came; `embedded` how many chunks were, of which document; `tick` that nothing has come for a while."""

    def __init__(
        self,
        index: Index,
        *,
        done: Callable[[LedgerEntry, int], None],
        embedded: Callable[[int, str], None],
        tick: Callable[[], None],
    ) -> None:
        self._index, self._done, self._embedded, self._tick = index, done, embedded, tick
        self._order: deque[_Open] = deque()
        self._out: deque[tuple[_Batch, Future[Embedded]]] = deque()
        self._batch = _Batch()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._most = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def put(self, prepared: Prepared, size: int = 0) -> None:
        """Take one in; returns when there is room for the next."""
        document = _Open(prepared, size)
        self._order.append(document)
        for piece in prepared.pieces:
            self._batch.add(document, piece)
            if self._batch.tokens >= self._tokens():
                self._submit()
        document.whole = True
        self.look()

    def look(self) -> None:
        """Write what is embedded; embed what has waited for long enough."""
        while self._out and self._out[0][1].done():
            self._collect()
        waits = self._batch.tokens >= self._tokens() * _SOME or time.monotonic() - self._batch.since > _PATIENCE
        if (waits and not self._out) or len(self._order) > _WAITING:  # an embedder with nothing to do takes less, too
            self._submit()
        self._write()

    def finish(self) -> None:
        """Embed and write all that is left."""
        self._submit()
        while self._out:
            self._collect()
        self._write()

    def working(self) -> list[Working]:
        """The document that is embedded just now, and for how long."""
        if not self._out:
            return []
        batch = self._out[0][0]
        return [Working(batch.parts[-1][0].prepared.source, "embedding", time.monotonic() - batch.since)]

    def _tokens(self) -> int:
        if not self._most:
            own = int(getattr(self._index.embedder, "batch_tokens", 0))
            self._most = max(_BATCH_TOKENS, _BATCHES_OF_EMBEDDER * own)
        return self._most

    def _submit(self) -> None:
        batch, self._batch = self._batch, _Batch()
        if not batch.parts:
            return
        self._note(batch)
        texts = [piece.text for _, pieces in batch.parts for piece in pieces]
        spans = [piece.spans for _, pieces in batch.parts for piece in pieces]
        batch.since = time.monotonic()
        self._out.append((batch, self._thread.submit(self._index.embedder.embed_passages, texts, spans)))
        while len(self._out) >= _OUT:
            self._collect()

    def _note(self, batch: _Batch) -> None:
        """These are embedded from now on, or still."""
        told = ((document.prepared.source, document.embedded, len(document.prepared.chunks)) for document, _ in batch.parts)
        self._index.note("embedding", *told)

    def _collect(self) -> None:
        """Wait for the batch that was sent first, and give its vectors to its documents."""
        batch, future = self._out[0]
        while not wait([future], TICK).done:
            self._tick()
        embedded = future.result()
        self._out.popleft()
        at = 0
        for document, pieces in batch.parts:
            if document.last:  # one of several batches' size: it needs no room for all its vectors
                self._stage(document)
            document.last = [piece.chunk for piece in pieces], embedded[at : at + len(pieces)]
            document.batches -= 1
            at += len(pieces)
            self._embedded(len(pieces), document.prepared.source)
        self._write()

    def _stage(self, document: _Open) -> None:
        assert document.last and document.prepared.document
        chunks, embedded = document.last
        self._index.stage(document.prepared.document, chunks, embedded, first=not document.staged)
        document.staged += len(chunks)
        document.last = None

    def _write(self) -> None:
        """Write the documents that are whole, up to the first that is not."""
        while self._order and self._order[0].whole and not self._order[0].batches:
            document = self._order.popleft()
            self._done(self._written(document), document.size)

    def _written(self, document: _Open) -> LedgerEntry:
        one = document.prepared
        for held in one.outdated:
            self._index.forget_held(held, None, drop=False)
        if one.entry is None:
            assert one.document and document.last
            chunks, embedded = document.last
            return self._index.add(one.document, chunks, embedded, one.released, staged=document.staged, facts=one.facts)
        if one.held:
            self._index.hold(one.held, one.entry, one.data)
        else:
            self._index.record(one.entry)
        return one.entry
