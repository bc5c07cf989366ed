"""THE STORY of ingestion: files to parsed and inspected text to chunks to vectors to the index, a ledger line for each file."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar

from ingest.chunker import Chunker
from ingest.curate import Facts
from ingest.embedder import embed_in_steps
from ingest.errors import DocumentError, DocumentNotFound, EmptyDocument, IngestError, SourceError, TooLarge
from ingest.index import UPLOAD, Index, document_id
from ingest.inspect.inspector import Inspection, share_out
from ingest.sources.files import Found, source_of
from ingest.types import Chunk, Document, DocumentInfo, LedgerEntry, Parsed, Progress, Quarantined, Report, Span

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


class Inspect(Protocol):
    """Looks a document over and says what becomes of it; `released`: a person has said that it may come in."""

    def __call__(self, parsed: Parsed, *, released: bool = False) -> Inspection: ...


def no_inspection(parsed: Parsed, *, released: bool = False) -> Inspection:
    """Every document is taken in as it is."""
    return Inspection("keep", parsed)


class Curate(Protocol):
    """Says what of a document is chunked, and what there is to know about it and its chunks."""

    def body(self, document: Document) -> Document: ...

    def facts(self, document: Document, chunks: Sequence[Chunk]) -> Facts: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be embedded; or the ledger line of one that needs no embedding.

    `held` is a version that is to be held back, with its bytes in `data` if they have no place of their own. `released` is
    one that was, and comes in now. `outdated` is held back no longer: its file has another content again.
    """

    source: str
    document: Document | None = None
    chunks: tuple[Chunk, ...] = ()
    texts: tuple[str, ...] = ()
    spans: tuple[list[Span], ...] = ()
    entry: LedgerEntry | None = None
    held: Quarantined | None = None
    data: bytes | None = None
    released: Quarantined | None = None
    outdated: tuple[Quarantined, ...] = ()
    facts: Facts | None = None


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

    def __init__(
        self,
        index: Index,
        *,
        find: Find,
        parse: Parse,
        chunker: Callable[[Index], Chunker],
        max_bytes: int,
        inspect: Inspect = no_inspection,
        curate: Curate | None = None,
    ) -> None:
        self.index = index
        self._find, self._parse, self._inspect, self._max_bytes = find, parse, inspect, max_bytes
        self._curate, self._make_chunker = curate, chunker
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
        documents = {info.source: info.document_id for info in self.index.documents() if info.source.startswith(below)}
        waiting = [held for held in self.index.quarantine() if held.state != "released" and held.source.startswith(below)]
        known = {*documents, *(held.source for held in waiting if held.state == "held")}
        if known and not any(file.error is None for file in found):
            raise SourceError(
                f"The folder {root} has no readable file in it, but the index has {len(known)} documents from it: "
                "nothing was removed.",
                "If they are to go, remove them by name: ingest remove DOCUMENT_ID…",
            )
        run = self._take_in(found, progress)
        seen = {file.source for file in found}
        unreadable = tuple(file.source + os.sep for file in found if file.error)
        gone = {source for source in known if source not in seen and not source.startswith(unreadable)}
        for held in waiting:
            if held.source not in seen and not held.source.startswith(unreadable):
                entry = LedgerEntry(held.source, held.document_id, "removed", "was in quarantine")
                told = entry if held.source in gone and held.source not in documents else None
                self.index.forget_held(held, told, drop=False)
                if told:
                    run.done(told)
        for source in sorted(gone & documents.keys()):
            run.done(self.index.remove(documents[source]))
        self.index.publish()
        return Report(tuple(run.entries), time.monotonic() - began, tuple(self.index.notes))

    def upload(self, name: str, data: bytes) -> LedgerEntry:
        """Take in one file that came as bytes; the index keeps the original, unless it holds what was masked in the text."""
        prepared = self._prepare_bytes(f"{UPLOAD}{name}", name, data)
        if prepared.held:
            prepared = replace(prepared, data=data)
        elif prepared.document and not prepared.document.masked:
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

    def quarantine(self) -> list[Quarantined]:
        """What is held back and waits for a person, in order of source."""
        return [held for held in self.index.quarantine() if held.state == "held"]

    def release(self, document_ids: Iterable[str]) -> list[LedgerEntry]:
        """Take in what is held back (or was dropped); the same content is never held back again, whatever its source.

        What it was held back for is left as it is; the other policies go on to hold. Raises DocumentNotFound, before
        anything is done, if one is not there.
        """
        waiting = self._waiting(document_ids, "held", "dropped")
        run = _Run(len(waiting), None)
        self._embed((self._prepare_released(held) for held in waiting), run)
        self.index.publish()
        return run.entries

    def drop(self, document_ids: Iterable[str]) -> list[LedgerEntry]:
        """Forget what is held back; a file on the disk stays there, and is left out as long as it holds the same content.

        Raises DocumentNotFound, before anything is done, if one is not there.
        """
        entries = []
        for held in self._waiting(document_ids, "held"):
            entry = LedgerEntry(held.source, held.document_id, "removed", "dropped from the quarantine")
            self.index.forget_held(held, entry, drop=True)
            entries.append(entry)
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
        self._catch_up()
        return run

    def _catch_up(self) -> None:
        """Give documents that were taken in before there was curation their facts; their chunks stay as they are."""
        if self._curate is None:
            return
        for missing in self.index.curation.missing():
            facts = self._curate.facts(self.index.parsed(missing), self.index.chunks_of(missing))
            self.index.put_facts(missing, facts)

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
        waiting = {held.sha256: held for held in self.index.quarantine(source) if held.state != "released"}
        if known and known.sha256 == sha256:
            entry = LedgerEntry(source, known.document_id, "unchanged", None, known.chunks)
            return Prepared(source, entry=entry, outdated=tuple(waiting.values()))
        if held := waiting.get(sha256):
            return Prepared(source, entry=_still(held, known))
        return self._prepare_new(source, name, data, sha256, released=self.index.is_released(sha256))

    def _prepare_released(self, held: Quarantined) -> Prepared:
        """Read again what was held back, to take it in."""
        path, name = self.index.held_file(held), held.source.removeprefix(UPLOAD)
        try:
            data = path.read_bytes()
        except OSError as error:
            return self._failed(held.source, f"can't be read: {error.strerror}")
        if hashlib.sha256(data).hexdigest() != held.sha256:
            return self._failed(held.source, "has changed since it was held back: add it again")
        prepared = self._prepare_new(held.source, Path(name).name, data, held.sha256, released=True)
        if prepared.document and not prepared.document.masked and held.source.startswith(UPLOAD):
            self.index.keep_original(prepared.document, data)
        return replace(prepared, released=held)

    def _waiting(self, document_ids: Iterable[str], *states: str) -> list[Quarantined]:
        there = {held.document_id: held for held in self.index.quarantine() if held.state in states}
        wanted = list(dict.fromkeys(document_ids))
        for one in wanted:
            if one not in there:
                raise DocumentNotFound(
                    f"There is no document {one!r} in the quarantine.", "`ingest quarantine list` shows what there is."
                )
        return [there[one] for one in wanted]

    def _prepare_new(self, source: str, name: str, data: bytes, sha256: str, *, released: bool) -> Prepared:
        try:
            parsed = self._parse(None, name, data)
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
        body = self._curate.body(document) if self._curate else document
        chunks = share_out(document, self._chunker(body))
        texts = tuple(self._chunker.text_to_embed(document, chunk) for chunk in chunks)
        spans = tuple(self._chunker.spans_to_embed(text, chunk) for text, chunk in zip(texts, chunks, strict=True))
        facts = self._curate.facts(document, chunks) if self._curate else None
        return Prepared(document.source, document, chunks, texts, spans, facts=facts)

    def _failed(self, source: str, reason: str) -> Prepared:
        """A file that can't be taken in; what the index has of an earlier version of it stays."""
        known = self.index.find(source)
        return Prepared(source, entry=LedgerEntry(source, known.document_id if known else None, "failed", reason))

    def _embed(self, prepared: Iterable[Prepared], run: _Run) -> None:
        """Embed documents together until a batch is full, then write each of them in a transaction of its own."""
        waiting: list[Prepared] = []
        for one in prepared:
            for held in one.outdated:
                self.index.forget_held(held, None, drop=False)
            if one.entry:
                if one.held:
                    self.index.hold(one.held, one.entry, one.data)
                else:
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
            run.done(self.index.add(one.document, one.chunks, embedded[at : at + len(one.chunks)], one.released, one.facts))
            at += len(one.chunks)


def _still(held: Quarantined, known: DocumentInfo | None) -> LedgerEntry:
    """The ledger line of what is held back, or was dropped and is still the same. The index keeps what it has of an earlier
    version: a poisoned file must not take that away."""
    if held.state == "dropped":
        return LedgerEntry(held.source, held.document_id, "unchanged", "is left out: it was dropped from the quarantine")
    reason = held.reason + ("; the earlier version stays" if known else "")
    return LedgerEntry(held.source, held.document_id, "quarantined", reason)


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
