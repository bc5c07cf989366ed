"""One file made ready for the index: read, hashed, parsed, inspected and chunked; or the reason why it can't be."""

from __future__ import annotations

import hashlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from ingest.chunker import Chunker
from ingest.curate import Facts
from ingest.errors import DocumentError, EmptyDocument, IngestError, TooLarge
from ingest.index import Index, document_id
from ingest.inspect.inspector import Inspection, share_out
from ingest.originals import UPLOAD
from ingest.sources.archives import MARK
from ingest.sources.files import Found
from ingest.types import Chunk, Document, DocumentInfo, LedgerEntry, Parsed, Quarantined, Span

_log = logging.getLogger(__name__)

_LARGE = 2_000_000  # characters; of a longer document no second copy is held in chunks
_CHUNK_BYTES, _BLOCK_BYTES = 700, 200  # about what these objects take up beside their text


class Parse(Protocol):
    """Reads a file, or bytes under a name, as text with places. Raises DocumentError."""

    def __call__(self, path: Path | None, name: str, data: bytes | None = None) -> Parsed: ...


class Inspect(Protocol):
    """Looks a document over and says what becomes of it; `released`: a person has said that it may come in."""

    def __call__(self, parsed: Parsed, *, released: bool = False) -> Inspection: ...


def no_inspection(parsed: Parsed, *, released: bool = False) -> Inspection:
    """Every document is taken in as it is."""
    return Inspection("keep", parsed)


class Curate(Protocol):
    """Says what of a document is chunked, and what there is to know about it and its chunks."""

    def body(self, document: Document) -> Document: ...

    def facts(self, document: Document, chunks: Iterable[Chunk]) -> Facts: ...


class Piece(NamedTuple):
    """A chunk as it is embedded: below its context, with the places of its sentences in that text."""

    chunk: Chunk
    text: str
    spans: list[Span]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be embedded; or the ledger line of one that needs no embedding.

    `pieces` are its chunks as they are embedded, to be taken once: those of a large document are made while they are.
    `held` is a version that is to be held back, with its bytes in `data` if they have no place of their own. `released` is
    one that was, and comes in now. `outdated` is held back no longer: its file has another content again.
    """

    source: str
    document: Document | None = None
    chunks: tuple[Chunk, ...] = ()
    pieces: Iterable[Piece] = ()
    entry: LedgerEntry | None = None
    held: Quarantined | None = None
    data: bytes | None = None
    released: Quarantined | None = None
    outdated: tuple[Quarantined, ...] = ()
    facts: Facts | None = None

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes up."""
        size = 1_000 + len(self.data or b"") + _CHUNK_BYTES * len(self.chunks)
        if self.document:
            copies = 1 if len(self.document.text) > _LARGE else 3  # the text, its chunks, and these with their context
            size += copies * sys.getsizeof(self.document.text) + _BLOCK_BYTES * len(self.document.blocks)
        return size


class Preparer:
    """Makes files ready for an index. `chunker` is called once, when a document needs it. May be shared by threads."""

    def __init__(
        self,
        index: Index,
        *,
        parse: Parse,
        inspect: Inspect,
        chunker: Callable[[Index], Chunker],
        max_bytes: int,
        curate: Curate | None = None,
    ) -> None:
        self.index, self.parse = index, parse
        self._inspect, self._max_bytes, self.make_chunker = inspect, max_bytes, chunker
        self._curate = curate
        self._chunker: Chunker | None = None
        self._making = threading.Lock()
        self._without_labels: set[str] | None = None

    def file(self, found: Found) -> Prepared:
        """Read, hash, parse and chunk one file; never raises for what is wrong with the file."""
        if found.error:
            return self._failed(found.source, found.error)
        if found.data is not None:
            return self._kept(self.data(found.source, found.name, found.data), found.data)
        try:
            size = found.path.stat().st_size
            if size > self._max_bytes:
                raise TooLarge(f"is larger ({size:,} bytes) than the limit ({self._max_bytes:,}; RAG_BOT_MAX_FILE_BYTES)")
            data = found.path.read_bytes()
        except OSError as error:
            return self._failed(found.source, f"can't be read: {error.strerror}")
        except TooLarge as error:
            return self._failed(found.source, str(error))
        return self.data(found.source, found.path.name, data)

    def data(self, source: str, name: str, data: bytes) -> Prepared:
        known, sha256 = self.index.find(source), hashlib.sha256(data).hexdigest()
        waiting = {held.sha256: held for held in self.index.quarantine(source) if held.state != "released"}
        if known and known.sha256 == sha256:
            return self._tried(source, lambda: self._unchanged(known, name, data, waiting.values()))
        if held := waiting.get(sha256):
            return Prepared(source, entry=_still(held, known))
        return self._new(source, name, data, sha256, released=self.index.is_released(sha256))

    def _unchanged(self, known: DocumentInfo, name: str, data: bytes, waiting: Iterable[Quarantined]) -> Prepared:
        """A file that is in the index as it is. One that came in before labels were read is asked for its labels now."""
        with self._making:
            if self._without_labels is None:
                self._without_labels = self.index.without_labels()
        if known.document_id in self._without_labels:
            self.index.put_labels(known.document_id, self.parse(None, name, data).labels)
        entry = LedgerEntry(known.source, known.document_id, "unchanged", None, known.chunks)
        return Prepared(known.source, entry=entry, outdated=tuple(waiting))

    def released(self, held: Quarantined) -> Prepared:
        """Read again what was held back, to take it in."""
        path, name = self.index.held_file(held), held.source.removeprefix(UPLOAD)
        try:
            data = path.read_bytes()
        except OSError as error:
            if not path.exists() and (held.source.startswith(UPLOAD) or MARK in held.source):
                # What was dropped is kept nowhere here. Left out no longer, it comes in by its own way.
                failed = self._failed(held.source, "is not kept here any more: add it again, then release it")
                return replace(failed, outdated=(held,))
            return self._failed(held.source, f"can't be read: {error.strerror}")
        if hashlib.sha256(data).hexdigest() != held.sha256:
            return self._failed(held.source, "has changed since it was held back: add it again")
        prepared = self._new(held.source, Path(name).name, data, held.sha256, released=True)
        if path != Path(held.source):
            prepared = self._kept(prepared, data)
        return replace(prepared, released=held)

    def _kept(self, prepared: Prepared, data: bytes) -> Prepared:
        """Keep the bytes of what has no place of its own on this machine, unless some of its text is masked."""
        if prepared.held:
            return replace(prepared, data=data)
        if prepared.document and not prepared.document.masked:
            self.index.keep_original(prepared.document, data)
        return prepared

    def _new(self, source: str, name: str, data: bytes, sha256: str, *, released: bool) -> Prepared:
        return self._tried(source, lambda: self._parsed(source, name, data, sha256, released=released))

    def _parsed(self, source: str, name: str, data: bytes, sha256: str, *, released: bool) -> Prepared:
        self.index.note("parsing", (source, 0, 0))
        parsed = self.parse(None, name, data)
        inspection = self._inspect(parsed, released=released)
        identity = document_id(source)
        if inspection.action == "quarantine":
            held = Quarantined(source, identity, sha256, inspection.reason, inspection.findings)
            return Prepared(source, entry=_still(held, self.index.find(source)), held=held)
        parsed, masked = inspection.parsed, inspection.action == "mask"
        document = Document(
            identity,
            source,
            parsed.title,
            parsed.media_type,
            sha256,
            parsed.text,
            parsed.blocks,
            inspection.findings,
            masked,
            parsed.notes,
            parsed.labels,
        )
        prepared = self.chunked(document)
        if not prepared.chunks:
            raise EmptyDocument("holds no text")
        return prepared

    def _tried(self, source: str, work: Callable[[], Prepared]) -> Prepared:
        """What comes of a file; of one that something is wrong with, the ledger line that says what."""
        try:
            return work()
        except DocumentError as error:
            return self._failed(source, str(error))
        except IngestError:
            raise
        except Exception as error:  # a fault of ours: this file's line says so, and the rest go on
            _log.exception("%s could not be prepared", source)
            return self._failed(source, f"could not be prepared ({type(error).__name__}: {error})")

    def chunked(self, document: Document) -> Prepared:
        with self._making:
            if self._chunker is None:
                self._chunker = self.make_chunker(self.index)
        large = len(document.text) > _LARGE
        body = self._curate.body(document) if self._curate else document
        cut = (replace(c, text="") for c in self._chunker.chunks(body)) if large else self._chunker(body)
        chunks = share_out(document, tuple(cut))
        facts = self._curate.facts(document, (_with_text(document, chunk) for chunk in chunks)) if self._curate else None
        pieces = (self._piece(self._chunker, document, chunk) for chunk in chunks)
        return Prepared(document.source, document, chunks, pieces if large else tuple(pieces), facts=facts)

    @staticmethod
    def _piece(chunker: Chunker, document: Document, chunk: Chunk) -> Piece:
        chunk = _with_text(document, chunk)
        text = chunker.text_to_embed(document, chunk)
        return Piece(chunk, text, chunker.spans_to_embed(text, chunk))

    def _failed(self, source: str, reason: str) -> Prepared:
        """A file that can't be taken in; what the index has of an earlier version of it stays."""
        known = self.index.find(source)
        return Prepared(source, entry=LedgerEntry(source, known.document_id if known else None, "failed", reason))


def _with_text(document: Document, chunk: Chunk) -> Chunk:
    return chunk if chunk.text else replace(chunk, text=document.text[chunk.start : chunk.end])


def _still(held: Quarantined, known: DocumentInfo | None) -> LedgerEntry:
    """The ledger line of what is held back, or was dropped and is still the same. The index keeps what it has of an earlier
    version: a poisoned file must not take that away."""
    if held.state == "dropped":
        return LedgerEntry(held.source, held.document_id, "unchanged", "is left out: it was dropped from the quarantine")
    reason = held.reason + ("; the earlier version stays" if known else "")
    return LedgerEntry(held.source, held.document_id, "quarantined", reason)
