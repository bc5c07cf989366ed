"""The index's part of a backup put back: into an empty folder, whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingest.backup import INDEX
from ingest.bundle import Contents, Member
from ingest.errors import BackupError, IndexReadOnly, StorageFull
from ingest.index import STORE, Index
from ingest.lock import WriteLock
from ingest.manifest import sync_folder
from ingest.settings import IngestSettings
from ingest.store import SCHEMA_VERSION
from ingest.uploads import Uploads
from ingest.workspace import workspace

_RESTORING = "restoring-"
# What a backup of an index may hold.
_FILE = re.compile(
    rf"{INDEX}({re.escape(STORE)}|manifest\.json|calibration\.json|files/[A-Za-z0-9-]+|uploads/[0-9a-f]{{32}}\.(bin|json)"
    r"|vectors-[0-9]{6,}\.faiss|keywords-[0-9]{6,}/\.?[A-Za-z0-9][A-Za-z0-9._-]*)"
)
# What a restore that was killed may have put into the folder; the store, which makes it an index, comes last.
_PLACED = re.compile(r"manifest\.json|calibration\.json|files|uploads|state\.sqlite3|vectors-[0-9]+\.faiss|keywords-[0-9]+")
_HARMLESS = ("lock", "lost+found")


@dataclass(frozen=True, slots=True)
class Settled:
    """An index that has come out of a backup: what there is, what is wrong with it, and remarks."""

    documents: int
    chunks: int
    uploads_waiting: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def check(contents: Contents, others: Iterable[str] = ()) -> None:
    """Whether this program can restore what a backup says it holds, `others` beside an index. Raises BackupError."""
    told = contents.facts.get("index")
    names = {member.name for member in contents.members}
    if not isinstance(told, dict) or INDEX + STORE not in names:
        raise BackupError("The backup holds no index.", "Take another copy of it.")
    schema = told.get("schema")
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise BackupError(
            f"The backup holds an index of format {schema}, this program reads format {SCHEMA_VERSION}.",
            f"Use rag-bot {contents.program}, which made it, or a newer one.",
        )
    strange = sorted(name for name in names if name not in others and not _FILE.fullmatch(name))
    if strange:
        raise BackupError(f"The backup holds {strange[0]}, which belongs to none.", "Take another copy of it.")


@contextmanager
def emptied(target: Path) -> Iterator[Path]:
    """A new folder in `target` to unpack into, while nobody else may write there.

    Raises BackupError if there is something in `target`, IndexBusy, IndexReadOnly or StorageFull.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _translated(error, target) from error
    with WriteLock(target):
        _refuse_unless_empty(target)
        try:
            with workspace(target, _RESTORING) as place:
                yield place
        except OSError as error:
            raise _translated(error, target) from error


def unpack(member: Member, pieces: Iterable[bytes], place: Path) -> None:
    """Write a file of a backup below `place`, under its name. Raises OSError."""
    path = place / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for piece in pieces:
            file.write(piece)


def settle(place: Path, settings: IngestSettings) -> Settled:
    """Bring an index that was unpacked below `place` up to date, build what is missing, and check all of it.

    Raises StoreError if it can't be opened.
    """
    folder = place / INDEX
    kept = {name: getattr(settings, name) for name in settings.model_fields_set - {"embedder"}}  # it picks its own
    packed = (folder / "manifest.json").exists()
    with Index.open(folder, settings=type(settings).model_construct(**kept), write=True) as index:
        faults = index.verify()
        documents, chunks = index.counts()
        notes = tuple(index.notes) if packed else ()
    waiting = len(Uploads(folder, most=0, most_bytes=0).waiting())
    return Settled(documents, chunks, waiting, tuple(faults), notes)


def put_in_place(place: Path, target: Path, commit: Callable[[], None]) -> None:
    """Move an index that is whole from `place` to `target`, or leave nothing there; `commit` is called when only the store is
    left to move."""
    folder, moved = place / INDEX, []
    os.sync()  # all of it is on the disk before the store's name says so
    (folder / "lock").unlink(missing_ok=True)
    try:
        for path in sorted(folder.iterdir()):
            if path.name != STORE:
                path.rename(target / path.name)
                moved.append(target / path.name)
        sync_folder(target)
        commit()
    except BaseException:
        for path in moved:
            _remove(path)
        raise
    (folder / STORE).rename(target / STORE)
    sync_folder(target)


def _refuse_unless_empty(target: Path) -> None:
    """Take away what a restore that was killed has left. That is no index: its store comes last."""
    names = {path.name for path in target.iterdir()} - {*_HARMLESS}
    left = {name for name in names if name.startswith(_RESTORING)}  # of nobody who lives: the lock is ours
    if left and STORE not in names:
        left |= {name for name in names if _PLACED.fullmatch(name)}
    if others := sorted(names - left):
        raise BackupError(f"The folder {target} is not empty: it holds {others[0]}.", "Restore into a new one: --index DIR.")
    for name in sorted(left):
        _remove(target / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _translated(error: OSError, target: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"The disk is full: nothing was restored into {target}.", "Free some space and try again.")
    return IndexReadOnly(f"Nothing can be restored into {target}: {error.strerror}.", "Choose another folder with --index.")
