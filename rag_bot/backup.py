"""A backup of all that a service has, as one file; its restoring into an empty place; and a look at whether one is whole."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

from ingest import backup as index_backup
from ingest import bundle
from ingest import restore as index_restore
from ingest.bundle import Contents
from ingest.errors import BackupError, StorageFull
from ingest.manifest import sync_folder
from ingest.workspace import workspace
from rag_bot import state_copy
from rag_bot.confidence import FILE as CALIBRATION
from rag_bot.database import REVISIONS
from rag_bot.errors import StateError
from rag_bot.settings import Settings

STATE = "state.jsonl"
"""The conversations' database in a backup."""

_WORK = ".rag-bot-backup-"


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made: where (None: it was written to stdout), what is in it, what was found wrong with the index, and
    remarks."""

    file: Path | None
    contents: Contents
    faults: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What came out of a backup, and where the conversations went (None: it had none)."""

    contents: Contents
    index: index_restore.Settled
    state: str | None


def make(settings: Settings, target: Path | None, *, force: bool = False, derived: bool = False) -> Made:
    """Back up the index and the conversations' database of the settings, from under whoever uses them.

    `target` is a new file, or a folder that gets one; None: stdout. With `force` a file that is there is replaced. With
    `derived` the search indexes are in it, else they are built again when it is restored. The conversations are of a moment
    shortly before that of the index: what they cite is in it, unless it was removed since.

    Raises BackupError, StorageFull, StateError, or what opening the index raises. A file that is there is whole.
    """
    if target is not None and target.is_dir():
        target = target / f"rag-bot-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar"
    with _output(target, force=force) as (file, place):
        copied = state_copy.dump(settings.state_url, place / STATE)
        folder = place / "index"
        folder.mkdir()
        with index_backup.taken(settings.index, folder, extras=(CALIBRATION,), derived=derived) as taken:
            members = taken.members | ({STATE: place / STATE} if copied else {})
            facts = {"index": taken.facts, "state": asdict(copied) if copied else None}
            contents = bundle.write(file, _program(), facts, members)
    return Made(target, contents, taken.faults, taken.notes)


def check(source: Path | None) -> Contents:
    """Read a backup (None: from stdin) to its end, and say what is in it. Raises BackupError where it can't be restored."""
    with _input(source) as file:
        return bundle.read(file, _check)


def restore(settings: Settings, source: Path | None) -> Restored:
    """Put a backup (None: from stdin) where the settings say: into an index folder and a database that are empty.

    Nothing is put in place before all of it was checked, and an index is there only when it is whole. Raises BackupError,
    StorageFull, StateError, IndexBusy or IndexReadOnly.
    """
    target, url = settings.index, settings.state_url

    def look(contents: Contents) -> None:
        _check(contents)
        if contents.facts["state"] and state_copy.occupied(url):
            raise BackupError(
                f"The database {state_copy.shown(url)} is not empty.", "Restore into a new one: --state URL, or RAG_BOT_STATE."
            )
        if contents.bytes > (free := shutil.disk_usage(target).free):
            raise StorageFull(
                f"What is in the backup takes {contents.bytes:,} bytes; {target} has room for {free:,}.", "Free some space."
            )

    with _input(source) as file, index_restore.emptied(target) as place, ExitStack() as state:
        contents = bundle.read(file, look, lambda member, pieces: index_restore.unpack(member, pieces, place))
        settled = index_restore.settle(place, settings)
        commit = _refill(url, place, target, state) if contents.facts["state"] else state.close
        index_restore.put_in_place(place, target, commit)
    return Restored(contents, settled, state_copy.shown(url) if contents.facts["state"] else None)


def _refill(url: str, place: Path, target: Path, stack: ExitStack) -> Callable[[], None]:
    """Fill a database, of which nobody sees anything until what this returns is called."""
    file = state_copy.sqlite_file(url)
    if file is None:
        stack.enter_context(state_copy.loading(url, place / STATE))
        return stack.close
    if not file.parent.is_dir():
        raise StateError(f"There is no folder {file.parent} for the conversations.", "Make it, or name another with --state.")
    beside = file.parent.resolve() == target.resolve()
    half_done = (place if beside else stack.enter_context(workspace(file.parent, _WORK))) / file.name
    with state_copy.loading(f"sqlite:///{half_done}", place / STATE):
        pass

    def commit() -> None:
        _name(half_done, file, force=False)

    return commit


def _check(contents: Contents) -> None:
    """Whether this program can restore it. Raises BackupError."""
    index_restore.check(contents, others=(STATE,))
    state = contents.facts.get("state")
    revision = state.get("revision") if isinstance(state, dict) else None
    told = state is None or (revision and isinstance(state.get("rows"), dict))
    if not told or (state is None) is any(member.name == STATE for member in contents.members):
        raise BackupError("The backup is damaged: it is not clear what it has of conversations.", "Take another copy of it.")
    if revision and revision not in REVISIONS:
        raise BackupError(
            f"The backup holds conversations of revision {revision}, which this program does not know.",
            f"Use rag-bot {contents.program}, which made it, or a newer one.",
        )


@contextmanager
def _output(target: Path | None, *, force: bool) -> Iterator[tuple[BinaryIO, Path]]:
    """A file to write, which gets its name when the block has ended well, and a folder for what is half done."""
    folder = Path(tempfile.gettempdir()) if target is None else target.absolute().parent
    if not folder.is_dir():
        raise BackupError(f"There is no folder {folder}.", "Make it, or choose another place.")
    if target is None and sys.stdout.isatty():
        raise BackupError("A backup is not written to a terminal.", "Send it on: rag-bot backup - > FILE")
    if target is not None and target.exists() and not force:
        raise _exists(target)
    try:
        with workspace(folder, _WORK) as place:
            if target is None:
                yield sys.stdout.buffer, place
                sys.stdout.buffer.flush()
                return
            half_done = place / "backup.tar"
            with half_done.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                yield file, place
                file.flush()
                os.fsync(file.fileno())
            _name(half_done, target, force=force)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("The disk is full: no backup was made.", f"Free some space in {folder}.") from error
        raise BackupError(f"The backup can't be made: {error}.", "Mend that, or choose another place.") from error


@contextmanager
def _input(source: Path | None) -> Iterator[BinaryIO]:
    if source is None:
        yield sys.stdin.buffer
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise BackupError(f"The backup {source} can't be read: {error.strerror}.", "Name the file of a backup.") from error
    with file:
        yield file


def _name(half_done: Path, target: Path, *, force: bool) -> None:
    """Give a whole file its name; one that has it keeps it, without `force`."""
    if force:
        half_done.replace(target)
    else:
        try:
            os.link(half_done, target)
        except FileExistsError as error:
            raise _exists(target) from error
        except OSError:  # a file system without links
            if target.exists():
                raise _exists(target) from None
            half_done.replace(target)
    sync_folder(target.absolute().parent)


def _exists(target: Path) -> BackupError:
    return BackupError(f"There is a file {target} already.", "Choose another name, or replace it with --force.")


def _program() -> str:
    try:
        return version("rag-bot")
    except PackageNotFoundError:
        return "from a checkout"
