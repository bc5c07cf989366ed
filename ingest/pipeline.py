"""THE STORY of ingestion: files to parsed text to chunks to vectors to the index, one ledger line for each file."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeVar

from ingest.chunker import Chunker
from ingest.embedder import embed_in_steps
from ingest.errors import DocumentError, EmptyDocument, IngestError, SourceError, TooLarge
from ingest.index import Index, document_id
from ingest.sources.files import Found, source_of
from ingest.types import Chunk, Document, LedgerEntry, Parsed, Progress, Report, Span

ProgressCallback = Callable[[Progress], None]
Find = Callable[[Sequence[Path]], Iterable[Found]]
T = TypeVar("T")
_log = logging.getLogger(__name__)

_BATCH_CHUNKS = 256  # chunks embedded between two looks at progress; large enough to sort by length
_PUBLISH_SECONDS = 60.0  # so that a search of an index that is being filled has little beside the published files
_AHEAD = 8  # documents parsed and chunked while others are embedded


class Parse(Protocol):
    """Reads a file, or bytes under a name, as text with places. Raises DocumentError."""

    def __call__(self, path: Path | None, name: str, data: bytes | None = None) -> Parsed: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be embedded; or the ledger line of one that needs no embedding."""

    source: str
    document: Document | None = None
    chunks: tuple[Chunk, ...] = ()
    texts: tuple[str, ...] = ()
    spans: tuple[list[Span], ...] = ()
    entry: LedgerEntry | None = None


@dataclass(slots=True)
class _Run:
    """One run's tally, told to whoever watches."""

    total: int
    tell: ProgressCallback | None
    entries: list[LedgerEntry] = field(default_factory=list)
    chunks: int = 0
    published: float = field(default_factory=time.monotonic)

    def done(self, entry: LedgerEntry) -> None:
        self.entries.append(entry)
        self._say(entry, entry.source)

    def embedded(self, chunks: int, source: str) -> None:
        self.chunks += chunks
        self._say(None, source)

    def _say(self, entry: LedgerEntry | None, source: str) -> None:
        if self.tell:
            self.tell(Progress(len(self.entries), self.total, self.chunks, entry, source))


class Pipeline:
    """Takes files into an index that is open for writing. `chunker` is called once, when a document needs it."""

    def __init__(self, index: Index, *, find: Find, parse: Parse, chunker: Callable[[Index], Chunker], max_bytes: int) -> None:
        self.index = index
        self._find, self._parse, self._max_bytes = find, parse, max_bytes
        self._make_chunker = chunker
        self._chunker: Chunker | None = None

    def add(self, paths: Sequence[Path], progress: ProgressCallback | None = None) -> Report:
        """Take in files, and folders with all below them. One that fails is told in the report; the rest go on."""
        began = time.monotonic()
        run = self._take_in(self._found(paths), progress)
        self.index.publish()
        return Report(tuple(run.entries), time.monotonic() - began, tuple(self.index.notes))

    def sync(self, folder: Path, progress: ProgressCallback | None = None) -> Report:
        """Make the index hold what the folder holds: as `add`, and documents whose files are gone are removed.

        Raises SourceError, and removes nothing, when the folder can't be read or has suddenly nothing in it.
        """
        began = time.monotonic()
        root = os.path.abspath(folder)
        if not os.path.isdir(root) or not os.access(root, os.R_OK | os.X_OK):
            raise SourceError(f"The folder {root} can't be read: nothing was changed.", "Check that it is there and mounted.")
        found = self._found([folder])
        below = source_of(root).rstrip(os.sep) + os.sep
        known = [info for info in self.index.documents() if info.source.startswith(below)]
        if known and not any(file.error is None for file in found):
            raise SourceError(
                f"The folder {root} has no readable file in it, but the index has {len(known)} documents from it: "
                "nothing was removed.",
                "If they are to go, remove them by name: ingest remove DOCUMENT_ID…",
            )
        run = self._take_in(found, progress)
        seen = {file.source for file in found}
        unreadable = tuple(file.source + os.sep for file in found if file.error)
        for info in known:
            if info.source not in seen and not info.source.startswith(unreadable):
                run.done(self.index.remove(info.document_id))
        self.index.publish()
        return Report(tuple(run.entries), time.monotonic() - began, tuple(self.index.notes))

    def upload(self, name: str, data: bytes) -> LedgerEntry:
        """Take in one file that came as bytes; the index keeps the original."""
        source = f"upload:{name}"
        prepared = self._prepare_bytes(source, name, data)
        if prepared.document:
            self.index.keep_original(prepared.document, data)
        run = _Run(1, None)
        self._embed([prepared], run)
        self.index.publish()
        return run.entries[0]

    def remove(self, document_ids: Iterable[str]) -> list[LedgerEntry]:
        """Take documents out. Raises DocumentNotFound, before anything is removed, if one is not there."""
        ids = [self.index.document(i).document_id for i in document_ids]
        entries = [self.index.remove(i) for i in dict.fromkeys(ids)]
        self.index.publish()
        return entries

    def take_over(self, index: Index, progress: ProgressCallback | None = None) -> Report:
        """Chunk and embed every document of another index anew into this one, from the text that is stored there.

        What this one has already, byte for byte, is passed over: a run that was stopped goes on where it was.
        """
        began = time.monotonic()
        known = {info.source: info.sha256 for info in self.index.documents()}
        documents = [info for info in index.documents() if known.get(info.source) != info.sha256]
        run = _Run(len(documents), progress)
        self._embed((self._chunked(index.parsed(info.document_id)) for info in documents), run)
        self.index.publish()
        return Report(tuple(run.entries), time.monotonic() - began)

    def close(self) -> None:
        self.index.close()
        closing = getattr(self._parse, "close", None)
        if closing:
            closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the steps, in order

    def _found(self, paths: Sequence[Path]) -> list[Found]:
        """The files at and below `paths`, but for those of the index itself, which may lie among them."""
        own = os.path.join(os.path.realpath(self.index.path), "")
        for path in paths:
            if os.path.join(os.path.realpath(path), "").startswith(own):
                raise SourceError(f"{path} is in the folder of the index itself.", "Choose another folder with --index.")
        return [file for file in self._find(paths) if not os.path.realpath(file.path).startswith(own)]

    def _take_in(self, found: Sequence[Found], progress: ProgressCallback | None) -> _Run:
        run = _Run(len(found), progress)
        # Files are read, parsed and chunked by a thread of its own while this one embeds.
        self._embed(_ahead((self._prepare(file) for file in found), _AHEAD), run)
        return run

    def _prepare(self, found: Found) -> Prepared:
        """Read, hash, parse and chunk one file; never raises for what is wrong with the file."""
        if found.error:
            return self._failed(found.source, found.error)
        try:
            size = found.path.stat().st_size
            if size > self._max_bytes:
                raise TooLarge(f"is larger ({size:,} bytes) than the limit ({self._max_bytes:,}; RAG_BOT_MAX_FILE_BYTES)")
            data = found.path.read_bytes()
        except OSError as error:
            return self._failed(found.source, f"can't be read: {error.strerror}")
        except TooLarge as error:
            return self._failed(found.source, str(error))
        return self._prepare_bytes(found.source, found.path.name, data)

    def _prepare_bytes(self, source: str, name: str, data: bytes) -> Prepared:
        known, sha256 = self.index.find(source), hashlib.sha256(data).hexdigest()
        if known and known.sha256 == sha256:
            return Prepared(source, entry=LedgerEntry(source, known.document_id, "unchanged", None, known.chunks))
        try:
            parsed = self._parse(None, name, data)
            document = Document(
                document_id(source), source, parsed.title, parsed.media_type, sha256, parsed.text, parsed.blocks
            )
            prepared = self._chunked(document)
            if not prepared.chunks:
                raise EmptyDocument("holds no text")
        except DocumentError as error:
            return self._failed(source, str(error))
        except IngestError:
            raise
        except Exception as error:  # a fault of ours: this file's line says so, and the rest go on
            _log.exception("%s could not be prepared", source)
            return self._failed(source, f"could not be prepared ({type(error).__name__}: {error})")
        return prepared

    def _chunked(self, document: Document) -> Prepared:
        if self._chunker is None:
            self._chunker = self._make_chunker(self.index)
        chunks = tuple(self._chunker(document))
        texts = tuple(self._chunker.text_to_embed(document, chunk) for chunk in chunks)
        spans = tuple(self._chunker.spans_to_embed(text, chunk) for text, chunk in zip(texts, chunks, strict=True))
        return Prepared(document.source, document, chunks, texts, spans)

    def _failed(self, source: str, reason: str) -> Prepared:
        """A file that can't be taken in; what the index has of an earlier version of it stays."""
        known = self.index.find(source)
        return Prepared(source, entry=LedgerEntry(source, known.document_id if known else None, "failed", reason))

    def _embed(self, prepared: Iterable[Prepared], run: _Run) -> None:
        """Embed documents together until a batch is full, then write each of them in a transaction of its own."""
        waiting: list[Prepared] = []
        for one in prepared:
            if one.entry:
                self.index.record(one.entry)
                run.done(one.entry)
                continue
            waiting.append(one)
            if sum(len(w.chunks) for w in waiting) >= _BATCH_CHUNKS:
                self._write(waiting, run)
                waiting = []
            if time.monotonic() - run.published > _PUBLISH_SECONDS:
                self.index.publish()
                run.published = time.monotonic()
        self._write(waiting, run)

    def _write(self, documents: Sequence[Prepared], run: _Run) -> None:
        texts = [text for one in documents for text in one.texts]
        if not texts:
            return
        spans = [some for one in documents for some in one.spans]
        source = documents[-1].source
        embedded = embed_in_steps(self.index.embedder, texts, spans, _BATCH_CHUNKS, lambda chunks: run.embedded(chunks, source))
        at = 0
        for one in documents:
            assert one.document is not None
            run.done(self.index.add(one.document, one.chunks, embedded[at : at + len(one.chunks)]))
            at += len(one.chunks)


def _ahead(items: Iterator[T], limit: int) -> Iterator[T]:
    """The same items, made by a thread that is at most `limit` of them ahead; an exception is passed on in its place."""
    ready: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(limit)
    stopped = threading.Event()

    def put(message: tuple[T | None, BaseException | None, bool]) -> None:
        while not stopped.is_set():
            try:
                return ready.put(message, timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put((item, None, False))
                if stopped.is_set():
                    return
            put((None, None, True))
        except BaseException as error:
            put((None, error, True))

    thread = threading.Thread(target=work, name="prepare", daemon=True)
    thread.start()
    try:
        while True:
            item, error, last = ready.get()
            if error:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]  # an item, since it is neither an error nor the end
    finally:
        stopped.set()
        thread.join()
