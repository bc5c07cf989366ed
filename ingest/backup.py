"""The index's part of a backup: what can't be made anew, all of one moment, taken from under whoever writes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.errors import IndexBusy, IndexMissing, StoreError
from ingest.index import STORE
from ingest.manifest import NAME as PUBLISHED
from ingest.manifest import Manifest
from ingest.originals import FILES, UPLOAD, held_name, kept_name
from ingest.sources.archives import MARK
from ingest.store import Store
from ingest.types import DocumentInfo, LedgerEntry, Quarantined
from ingest.uploads import FOLDER as UPLOADS
from ingest.uploads import Job, Uploads, note_of
from ingest.workspace import workspace

INDEX = "index/"
"""What the names of an index's files begin with in a backup."""

_ORIGINALS = f"{INDEX}{FILES}/"
_QUEUE = f"{INDEX}{UPLOADS}/"
_DERIVED = re.compile(rf"{INDEX}(vectors-|keywords-|{re.escape(PUBLISHED)})")
_LINKS = "backing-up-"
_TRIES = 100
# What an index folder may hold beside what is taken: derived files, the conversations (which are taken elsewhere), what is
# half done.
_KNOWN = re.compile(
    rf"{re.escape(STORE)}(-wal|-shm)?|{FILES}|{UPLOADS}|state\.sqlite3(-wal|-shm)?|vectors-.*|keywords-.*|manifest\.json(\.new)?"
    rf"|lock|lost\+found|reembedded|damaged-.*|{_LINKS}.*|restoring-.*"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """An index as it goes into a backup: its files by their names there, what is told of it, what was found wrong with the
    store, and remarks. The files stay as they are for as long as the block in which they were taken lasts."""

    members: dict[str, Path]
    facts: dict[str, Any]
    faults: tuple[str, ...]
    notes: tuple[str, ...]


@contextmanager
def taken(index: Path, place: Path, *, extras: Collection[str] = (), derived: bool = False) -> Iterator[Taken]:
    """All that makes up the index in a folder, as it was at one moment. Others may go on to read and write it.

    `place` is an empty folder for copies, `extras` are files of the folder that are taken as they are; with `derived` the
    published search indexes come along. Raises StoreError (IndexMissing, IndexBusy, StorageFull, …) or OSError.
    """
    if not (index / STORE).is_file():
        raise IndexMissing(f"There is no index in {index}.", "Name its folder with --index.")
    with ExitStack() as stack:
        store = Store(index / STORE)
        stack.callback(store.close)
        shelf = _Shelf(_beside(index, stack), place / "copies")
        for name in extras:
            shelf.keep(INDEX + name, index / name)
        facts, lost = _at_one_moment(index, store, shelf, place, derived=derived)
        notes = [f"The original of {source} is missing." for source in lost]
        notes += [
            f"{path.name} is not part of an index, and is left out."
            for path in sorted(index.iterdir())
            if path.name not in extras and not _KNOWN.fullmatch(path.name)
        ]
        yield Taken({INDEX + STORE: place / STORE, **shelf.files}, facts, _faults(place / STORE), tuple(notes))


class _Shelf:
    """Files that stay although others take their names away: links to them, or copies where there can be no links."""

    def __init__(self, links: Path | None, copies: Path) -> None:
        self._links, self._copies = links, copies
        self.files: dict[str, Path] = {}
        self._aside: dict[str, Path] = {}

    def keep(self, name: str, path: Path) -> bool:
        """Keep a file, of which a name is one content, for the backup; False if it is not there (any more)."""
        if name in self._aside:
            self.files[name] = self._aside.pop(name)
        if name in self.files:
            return True
        try:
            self.files[name] = self._linked(name, path) or self._copied(name, path)
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, data: bytes) -> None:
        """Keep these bytes, in place of what was kept under this name."""
        path = self._under(self._copies, name)
        path.write_bytes(data)
        self.files[name] = path

    def drop(self, name: str) -> None:
        """Leave a file out, until it is kept again."""
        if name in self.files:
            self._aside[name] = self.files.pop(name)

    def _linked(self, name: str, path: Path) -> Path | None:
        if self._links is None:
            return None
        target = self._under(self._links, name)
        try:
            os.link(path, target)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links, or a file of another user
            return None
        return target

    def _copied(self, name: str, path: Path) -> Path:
        with path.open("rb") as source, self._under(self._copies, name).open("wb") as copy:
            shutil.copyfileobj(source, copy)
            return Path(copy.name)

    @staticmethod
    def _under(folder: Path, name: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _beside(index: Path, stack: ExitStack) -> Path | None:
    """A folder for links, on the file system of the index; None where it can't be written to."""
    try:
        return stack.enter_context(workspace(index, _LINKS))
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the store names at the moment of the backup."""

    documents: list[DocumentInfo]
    held: list[Quarantined]

    def originals(self) -> dict[str, tuple[str, bool]]:
        """The names of files that belong to it, each with its source and whether one must be there."""
        names = {
            kept_name(info.document_id, info.sha256): (info.source, _has_no_place(info.source) and not info.masked)
            for info in self.documents
        }
        return names | {held_name(one): (one.source, _has_no_place(one.source)) for one in self.held}

    def outcomes(self) -> dict[tuple[str, str], LedgerEntry]:
        """What became of an upload of this source with this content, of those that the store has."""
        found = {
            (one.source, one.sha256): LedgerEntry(one.source, one.document_id, "quarantined", one.reason, 0)
            for one in self.held
        }
        for info in self.documents:
            found[info.source, info.sha256] = LedgerEntry(info.source, info.document_id, "unchanged", None, info.chunks)
        return found


def _at_one_moment(index: Path, store: Store, shelf: _Shelf, place: Path, *, derived: bool) -> tuple[dict[str, Any], list[str]]:
    """Copy the store to `place` and keep what belongs to it. Returns what is told of it, and the sources whose originals are
    lost.

    The moment is that of a snapshot of the store. Files are looked at just before and just after it. Where one has come and
    gone between, all is done again, and goes faster: only what is new must be kept.
    """
    uploads = Uploads(index, most=0, most_bytes=0)
    lost: dict[str, str] = {}
    for _ in range(_TRIES):
        before = uploads.jobs()
        for job in before.values():
            if not job.over:
                shelf.keep(_data_name(job), uploads.path(job.job_id))
        published = _published(index) if derived else b""
        with store.snapshot():
            version = store.version
            moment = _Moment(store.documents(), [one for one in store.quarantine() if one.state == "held"])
            missing = _keep_originals(index, shelf, moment)
            waiting = _keep_queue(uploads, before, shelf, moment)
            whole = not derived or (_published(index) == published and _keep_published(index, published, shelf))
            if waiting is not None and whole and missing.keys() <= lost.keys():
                store.copy_to(place / STORE)
                facts = {
                    "schema": store.schema,
                    "version": version,
                    "embedder": store.meta("embedder"),
                    "fingerprint": store.meta("fingerprint"),
                    "documents": len(moment.documents),
                    "chunks": store.counts()[1],
                    "originals": sum(name.startswith(_ORIGINALS) for name in shelf.files),
                    "uploads_waiting": waiting,
                    "derived": bool(published),
                }
                return facts, sorted(missing.values())
        lost = missing  # what is not there a second time either was not there before
    raise IndexBusy(f"The index {index} changes faster than it can be copied.", "Try again when less is written to it.")


def _keep_originals(index: Path, shelf: _Shelf, moment: _Moment) -> dict[str, str]:
    """Keep the files that belong to what the store names, and no others. Returns the names and sources of those that are not
    there and must be."""
    wanted = moment.originals()
    there = {path.name for path in (index / FILES).glob("*")}
    missing = {}
    for name, (source, needed) in wanted.items():
        kept = name in there and shelf.keep(_ORIGINALS + name, index / FILES / name)
        if needed and not kept:
            missing[name] = source
    for name in [name for name in shelf.files if name.startswith(_ORIGINALS)]:  # kept for a moment that was none
        if name.removeprefix(_ORIGINALS) not in wanted:
            shelf.drop(name)
    return missing


def _keep_queue(uploads: Uploads, before: dict[str, Job], shelf: _Shelf, moment: _Moment) -> int | None:
    """Keep the uploads as they stood at the moment of the store, and return how many of them wait; None if that can't be told.

    `before` is how they stood just before; now is just after. What has been taken in since then waits in the backup, and what
    the store has does not: nothing is lost, and nothing taken in twice.
    """
    now, outcomes, waiting = uploads.jobs(), moment.outcomes(), 0
    later: dict[str, LedgerEntry] = {}  # what became of the last upload of a source that the store has
    for job_id in sorted(before.keys() | now.keys(), reverse=True):
        job = _at_the_moment(before.get(job_id), now.get(job_id))
        if job is None:
            return None
        if not job.over:
            if not shelf.keep(_data_name(job), uploads.path(job_id)):
                return None
            source = f"{UPLOAD}{job.name}"
            entry = outcomes.get((source, _hash(shelf.files[_data_name(job)])))
            if entry := entry or later.get(source):  # they are taken in in their order, so earlier ones have been, too
                later[source] = entry
                job = job.ended("quarantined" if entry.status == "quarantined" else "done", entry=entry)
        waiting += not job.over
        if job.over:
            shelf.drop(_data_name(job))
        shelf.write(f"{_QUEUE}{job_id}.json", note_of(job).encode())
    return waiting


def _at_the_moment(first: Job | None, last: Job | None) -> Job | None:
    """How a job stood between two looks at it, as far as it can be said; None if it came and went."""
    if first and first.over:
        return first
    if last and last.over and last.state in ("failed", "cancelled"):
        return last
    return first or (last if last and not last.over else None)


def _keep_published(index: Path, manifest: bytes, shelf: _Shelf) -> bool:
    """Keep the search indexes that a manifest names, and no others; False if they are not all there (any more)."""
    for name in [name for name in shelf.files if _DERIVED.match(name)]:  # of a manifest before
        shelf.drop(name)
    try:
        found = Manifest.parse(manifest)
    except (ValueError, TypeError, KeyError):
        return True  # there is none that can be used: they are built again
    names = [name for artifact in (found.vectors, found.keywords) for name in artifact.hashes]
    managed = f"{found.keywords.name}/.managed.json"
    if found.keywords.name and (index / managed).exists():
        names.append(managed)
    shelf.write(INDEX + PUBLISHED, manifest)
    return all(shelf.keep(INDEX + name, index / name) for name in names)


def _published(index: Path) -> bytes:
    try:
        return (index / PUBLISHED).read_bytes()
    except FileNotFoundError:
        return b""


def _faults(store: Path) -> tuple[str, ...]:
    """What is wrong with the copy of a store, as sentences."""
    try:
        copy = Store(store)
        try:
            return tuple(copy.check())
        finally:
            copy.close()
    except StoreError as error:
        return (str(error),)


def _has_no_place(source: str) -> bool:
    """Whether the index alone has the file of a document."""
    return source.startswith(UPLOAD) or MARK in source


def _data_name(job: Job) -> str:
    return f"{_QUEUE}{job.job_id}.bin"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
