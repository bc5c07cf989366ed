"""THE STORY of ingestion: files to parsed and inspected text to chunks to vectors to the index, a ledger line for each file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from ingest.ahead import Ahead
from ingest.chunker import Chunker
from ingest.errors import DocumentNotFound, StoreError
from ingest.feed import TICK, Feed
from ingest.index import Index
from ingest.originals import UPLOAD
from ingest.prepare import Curate, Inspect, Parse, Prepared, Preparer, no_inspection
from ingest.sources.archives import ArchiveLimits, Opened, Unpack, file_of, is_member, no_unpack, rounds
from ingest.sources.files import Found, check_not_emptied, outside, root_of, source_of
from ingest.types import LedgerEntry, Progress, Quarantined, Report, RunKind, Working

ProgressCallback = Callable[[Progress], None]
Find = Callable[[Sequence[Path]], Iterable[Found]]

_PUBLISH_SECONDS = 60.0  # so that a search of an index that is being filled has little beside the published files
_PUBLISH_SHARE = 20  # times what that takes, which is long for a large index
_AHEAD_BYTES = 32 * 1024 * 1024  # of documents that are prepared while others are embedded


@dataclass(slots=True)
class _Run:
    """One run's tally, told to whoever watches."""

    total: int
    tell: ProgressCallback | None
    entries: list[LedgerEntry] = field(default_factory=list)
    chunks: int = 0
    expected: int | None = None
    published: float = field(default_factory=time.monotonic)
    publishing: float = 0.0  # seconds that it took the last time
    working: Callable[[], list[Working]] = list

    def done(self, entry: LedgerEntry) -> None:
        self.entries.append(entry)
        self._say(entry, entry.source)

    def embedded(self, chunks: int, source: str) -> None:
        self.chunks += chunks
        self._say(None, source)

    def tick(self) -> None:
        working = tuple(self.working())
        if working:
            self._say(None, working[0].source, working)

    def _say(self, entry: LedgerEntry | None, source: str, working: tuple[Working, ...] = ()) -> None:
        if self.tell:
            self.tell(Progress(len(self.entries), self.total, self.chunks, entry, source, working, self.expected))


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
        unpack: Unpack = no_unpack,
        archives: ArchiveLimits | None = None,
        curate: Curate | None = None,
    ) -> None:
        self.index = index
        self._find, self._unpack, self._curate = find, unpack, curate
        self._archives, self._max_bytes = archives or ArchiveLimits(), max_bytes
        self._prepare = Preparer(index, parse=parse, inspect=inspect, chunker=chunker, max_bytes=max_bytes, curate=curate)

    def add(self, paths: Sequence[Path], progress: ProgressCallback | None = None) -> Report:
        """Take in files, and folders with all below them. One that fails is told in the report; the rest go on."""
        began = time.monotonic()
        found = self._found(paths)
        with self._noted("add", [file.source for file in found]):
            run, _ = self._take_in(found, progress)
            self.index.publish()
        return Report(tuple(run.entries), time.monotonic() - began, tuple(self.index.notes))

    def sync(self, folder: Path, progress: ProgressCallback | None = None) -> Report:
        """Make the index hold what the folder holds: as `add`, and documents whose files are gone are removed.

        Raises SourceError, and removes nothing, when the folder can't be read or has suddenly nothing in it.
        """
        began = time.monotonic()
        root = root_of(folder)
        found = self._found([folder])
        below = source_of(root).rstrip(os.sep) + os.sep
        documents = {info.source: info.document_id for info in self.index.documents() if info.source.startswith(below)}
        waiting = [held for held in self.index.quarantine() if held.state != "released" and held.source.startswith(below)]
        known = {*documents, *(held.source for held in waiting if held.state == "held")}
        check_not_emptied(root, found, len(known))
        with self._noted("sync", [file.source for file in found]):
            run, opened = self._take_in(found, progress)
            is_gone = opened.gone_from(found, {entry.source for entry in run.entries})
            for held in waiting:
                if is_gone(held.source):
                    entry = LedgerEntry(held.source, held.document_id, "removed", "was in quarantine")
                    told = entry if held.source in known and held.source not in documents else None
                    self.index.forget_held(held, told, drop=False)
                    if told:
                        run.done(told)
            for source in sorted(documents.keys()):
                if is_gone(source):
                    run.done(self.index.remove(documents[source]))
            standing = [one.source for one in self.index.standings("queued", "failed") if one.source.startswith(below)]
            self.index.forget_standing([source for source in standing if is_gone(source)])
            self.index.publish()
        return Report(tuple(run.entries), time.monotonic() - began, tuple(self.index.notes))

    def retry(self, progress: ProgressCallback | None = None) -> Report:
        """Take in again what failed, and what was waiting or begun when a run was stopped; nothing else is looked at."""
        began = time.monotonic()
        waiting = [one.source for one in self.index.standings("queued", "parsing", "embedding", "failed")]
        sources = [source for source in waiting if not source.startswith(UPLOAD)]
        # What stands in an archive is read again with all the others in it.
        paths = {path: None for source in sources if os.path.lexists(path := file_of(source))}
        found = self._found(list(paths))
        with self._noted("retry", [file.source for file in found]):
            run, opened = self._take_in(found, progress)
            is_gone = opened.gone_from(found, {entry.source for entry in run.entries})
            for source in filter(is_gone, sources):
                known = self.index.find(source)
                entry = LedgerEntry(source, None, "removed", "is gone")
                if known:
                    entry = LedgerEntry(
                        source, known.document_id, "unchanged", "is gone; what the index has stays", known.chunks
                    )
                self.index.record(entry)
                run.done(entry)
            self.index.publish()
        lost = len(waiting) - len(sources)
        notes = [f"{lost} uploaded files that failed are not kept here: send them again."] if lost else []
        return Report(tuple(run.entries), time.monotonic() - began, (*self.index.notes, *notes))

    def upload(self, name: str, data: bytes, progress: ProgressCallback | None = None) -> LedgerEntry:
        """Take in one file that came as bytes; the index keeps the original, unless it holds what was masked in the text."""
        file = Found(f"{UPLOAD}{name}", Path(name), data=data)
        try:
            with self._noted("upload", [file.source]):
                run, _ = self._take_in([file], progress)
                self.index.publish()
        except BaseException:
            with suppress(StoreError):  # its bytes are gone with the caller, who may send them again: nothing waits here
                standing = (one.source for one in self.index.standings("queued", "parsing", "embedding"))
                self.index.forget_standing([one for one in standing if one == file.source or is_member(one, file.source)])
            raise
        return summed_up(file.source, run.entries)

    def remove(self, document_ids: Iterable[str]) -> list[LedgerEntry]:
        """Take documents out, each with what was attached to it. Raises DocumentNotFound, before anything is removed, if one is
        not there."""
        wanted = [self.index.document(i) for i in document_ids]
        ids = [info.document_id for info in wanted]
        ids += [info.document_id for info in self.index.documents() if any(is_member(info.source, w.source) for w in wanted)]
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
        with self._noted("release", [held.source for held in waiting]):
            self._embed((self._prepare.released(held) for held in waiting), run)
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
        self._embed((self._prepare.chunked(index.parsed(info.document_id)) for info in documents), run)
        self.index.publish()
        return Report(tuple(run.entries), time.monotonic() - began)

    def close(self) -> None:
        self._stop_parsing()
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the steps, in order

    def _found(self, paths: Sequence[Path]) -> list[Found]:
        """The files at and below `paths`."""
        return outside(paths, self.index.path, self._find)

    @contextmanager
    def _noted(self, kind: RunKind, sources: Sequence[str]) -> Iterator[None]:
        """A run over these sources; what is not done when it ends, however that is, waits for the next."""
        self.index.begin_run(kind, sources)
        try:
            yield
        except BaseException:
            with suppress(StoreError):  # a full disk, say: then the next run will see that this one is over
                self.index.end_run("stopped")
            raise
        self.index.end_run("done")

    def _take_in(self, found: Sequence[Found], progress: ProgressCallback | None) -> tuple[_Run, Opened]:
        """Take in files, then what is in those that hold others."""
        run, opened = _Run(0, progress), Opened()
        for files in rounds(found, self._unpack, self._archives, self._max_bytes, opened):
            run.total += len(files)
            if run.total > len(found):
                self.index.grow_run(run.total)
            self._take_in_round(files, run)
        self._forget_members(opened, run)
        self._catch_up()
        return run, opened

    def _catch_up(self) -> None:
        """Give documents that were taken in before there was curation their facts; their chunks stay as they are."""
        for missing in self.index.curation.missing() if self._curate else ():
            assert self._curate
            facts = self._curate.facts(self.index.parsed(missing), self.index.chunks_of(missing))
            self.index.put_facts(missing, replace(facts, boilerplate=()))  # what is repeated is in their chunks

    def _take_in_round(self, files: Sequence[Found], run: _Run) -> None:
        """Prepare files with several threads, each of which has a parser's process, while another embeds."""
        ahead = Ahead(
            files,
            self._prepare.file,
            workers=int(getattr(self._prepare.parse, "size", 1)),
            budget=_AHEAD_BYTES,
            before=_cost,
            after=lambda prepared: prepared.size,
        )

        def done(entry: LedgerEntry, size: int) -> None:
            ahead.release(size)
            run.done(entry)

        try:
            with Feed(self.index, done=done, embedded=run.embedded, tick=run.tick) as feed:
                run.working = lambda: _longest_first([*_parsing(ahead.working()), *feed.working()])
                while not ahead.done:
                    taken = ahead.take(TICK)
                    if taken:
                        run.expected = (run.expected or 0) + len(taken[0].chunks)
                        feed.put(*taken)
                    else:
                        feed.look()
                        run.tick()
                    self._publish_now_and_then(run)
                feed.finish()
        except BaseException:
            ahead.stop()
            self._stop_parsing()  # else what is being parsed would be waited for
            raise
        finally:
            ahead.close()

    def _forget_members(self, opened: Opened, run: _Run) -> None:
        """Take out what an archive has held, and holds no more. One that was opened stands for nothing itself."""
        if not opened.whole:
            return
        for held in self.index.quarantine():
            if held.state != "released" and opened.is_gone(held.source):
                self.index.forget_held(held, None, drop=False)
        for info in self.index.documents():
            if opened.is_gone(info.source) and not os.path.lexists(info.source):
                run.done(self.index.remove(info.document_id))
        told = {entry.source for entry in run.entries}
        standing = (one.source for one in self.index.standings("queued", "failed"))
        self.index.forget_standing(
            [one for one in standing if opened.is_gone(one) or (one in opened.whole and one not in told)]
        )

    def _embed(self, prepared: Iterable[Prepared], run: _Run) -> None:
        """Embed and write documents that are prepared one after another."""
        with Feed(self.index, done=lambda entry, _: run.done(entry), embedded=run.embedded, tick=run.tick) as feed:
            run.working = feed.working
            for one in prepared:
                feed.put(one)
                self._publish_now_and_then(run)
            feed.finish()

    def _publish_now_and_then(self, run: _Run) -> None:
        began = time.monotonic()
        if began - run.published > max(_PUBLISH_SECONDS, _PUBLISH_SHARE * run.publishing):
            self.index.publish()
            run.published = time.monotonic()
            run.publishing = run.published - began

    def _stop_parsing(self) -> None:
        closing = getattr(self._prepare.parse, "close", None)
        if closing:
            closing()

    def _waiting(self, document_ids: Iterable[str], *states: str) -> list[Quarantined]:
        there = {held.document_id: held for held in self.index.quarantine() if held.state in states}
        wanted = list(dict.fromkeys(document_ids))
        for one in wanted:
            if one not in there:
                raise DocumentNotFound(
                    f"There is no document {one!r} in the quarantine.", "`ingest quarantine list` shows what there is."
                )
        return [there[one] for one in wanted]


def summed_up(source: str, entries: Sequence[LedgerEntry]) -> LedgerEntry:
    """One line for a file that was sent: its own, or that of an archive, whose members have theirs."""
    own = next((entry for entry in entries if entry.source == source), None)
    if own:
        return own
    there = [entry for entry in entries if entry.status != "removed"]
    failed = [entry for entry in there if entry.status in ("failed", "quarantined")]
    taken = [entry for entry in there if entry.status in ("added", "replaced")]
    status = taken[0].status if taken else "failed" if len(failed) == len(there) else "unchanged"
    told = f"{len(there) - len(failed)} of {len(there)} files in it are taken in"
    if failed:
        told += f"; {failed[0].source.removeprefix(source)[2:]}: {failed[0].reason}"
        told += f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return LedgerEntry(source, None, status, told, sum(entry.chunks for entry in entries))


def _cost(found: Found) -> int:
    """About what a file takes up while it is read and parsed: its bytes, a copy for the parser, and its text."""
    if found.data is not None:
        return 1_000 + 3 * len(found.data)
    try:
        return 1_000 + 3 * os.stat(found.path).st_size
    except OSError:
        return 1_000


def _parsing(jobs: Iterable[tuple[Found, float]]) -> list[Working]:
    return [Working(found.source, "parsing", seconds) for found, seconds in jobs]


def _longest_first(working: Iterable[Working]) -> list[Working]:
    return sorted(working, key=lambda one: -one.seconds)
