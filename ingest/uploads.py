"""Uploads that wait to be taken in, on the disk beside the index: what was accepted outlives the process that accepted it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ingest.errors import IndexReadOnly, JobNotFound, QueueFull, StorageFull
from ingest.manifest import sync_folder
from ingest.types import LedgerEntry

FOLDER = "uploads"
JobState = Literal["queued", "parsing", "embedding", "done", "failed", "quarantined", "cancelled"]

_ID = re.compile(r"[0-9a-f]{32}")
_BEGIN, _MARK = 24, 8  # characters of an id: its time and what makes it unique, then what its owner is known by
_KEPT = 1000  # jobs that are over, and whose outcome can still be asked for
_ABANDONED = 3600.0  # seconds after which a file without its job is one that was never whole


@dataclass(frozen=True, slots=True)
class Job:
    """One upload. Its id tells its place: ids rise. `entry` is the ledger's line once it has one; `problem` says, as an object
    with `status` and `detail`, why it was not taken in where no line does. `owner` is whoever sent it, empty where nobody asks.
    Times are ISO 8601, UTC."""

    job_id: str
    name: str
    bytes: int
    created_at: str
    state: JobState = "queued"
    ended_at: str | None = None
    entry: LedgerEntry | None = None
    problem: dict[str, Any] | None = None
    owner: str = ""

    @property
    def over(self) -> bool:
        return self.ended_at is not None

    def ended(self, state: JobState, *, entry: LedgerEntry | None = None, problem: dict[str, Any] | None = None) -> Job:
        """The same, over."""
        return replace(self, state=state, ended_at=_now(), entry=entry, problem=problem)


class Uploads:
    """The queue in the folder of an index. Several processes may share it: a job is over when its file says so."""

    def __init__(self, index: Path, *, most: int, most_bytes: int) -> None:
        self._folder = index / FOLDER
        self._most, self._most_bytes = most, most_bytes

    def put(self, name: str, file: BinaryIO, owner: str = "") -> Job:
        """Accept a file: it is on the disk when this returns. Raises QueueFull, StorageFull or IndexReadOnly."""
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        waiting = self.waiting()
        if len(waiting) >= self._most:
            raise QueueFull(f"{len(waiting):,} uploads wait already, which is the most there may be.", "Send it again later.")
        if waiting and sum(job.bytes for job in waiting) + size > self._most_bytes:
            raise QueueFull(
                f"The uploads that wait take up {self._most_bytes:,} bytes, the most they may.", "Send it again later."
            )
        begin = f"{time.time_ns():016x}{secrets.token_hex(4)}"
        job = Job(f"{begin}{_mark(begin, owner)}", name, size, _now(), owner=owner)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._file(job.job_id).open("xb") as kept:
                shutil.copyfileobj(file, kept)
                kept.flush()
                os.fsync(kept.fileno())
            self.save(job)
        except BaseException as error:
            for path in (self._note(job.job_id), self._file(job.job_id)):
                path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _translated(error, self._folder) from error
            raise
        return job

    def get(self, job_id: str) -> Job:
        """A job. Raises JobNotFound."""
        if _ID.fullmatch(job_id):
            try:
                return _read(self._note(job_id).read_bytes())
            except FileNotFoundError:
                pass
        raise no_job(job_id)

    def waiting(self) -> list[Job]:
        """The jobs that are not over, in the order in which they came."""
        # A job's bytes are there as long as it waits, so that the many that are over need not be read.
        names = sorted(path.stem for path in self._files("*.bin"))
        jobs = (self.get(name) for name in names if self._note(name).exists())
        return [job for job in jobs if not job.over]

    def jobs(self) -> dict[str, Job]:
        """All jobs that can be asked for, by id, in the order in which they came."""
        found: dict[str, Job] = {}
        for name in sorted(path.stem for path in self._files("*.json")):
            with suppress(JobNotFound):  # it has been forgotten since
                found[name] = self.get(name)
        return found

    def path(self, job_id: str) -> Path:
        """Where the bytes of a job are while it waits."""
        return self._file(job_id)

    def ahead(self, job_id: str) -> int:
        """How many jobs come before this one."""
        return sum(path.stem < job_id for path in self._files("*.bin"))

    def data(self, job_id: str) -> bytes | None:
        """The bytes of a job; None if it is over."""
        try:
            return self._file(job_id).read_bytes()
        except FileNotFoundError:
            return None

    def save(self, job: Job) -> None:
        """Put down how it stands. Of one that is over, the bytes are not needed any more."""
        note = self._note(job.job_id)
        temporary = note.with_suffix(".new")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(note_of(job))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(note)
            sync_folder(self._folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _translated(error, self._folder) from error
        if job.over:
            self._file(job.job_id).unlink(missing_ok=True)

    def cancel(self, job_id: str) -> None:
        """Take a job out of the queue; one that is over stays as it is. Raises JobNotFound."""
        job = self.get(job_id)
        if not job.over:
            self.save(job.ended("cancelled"))

    def tidy(self) -> None:
        """Forget the oldest of the jobs that are over, and what a process that died has left half written."""
        waiting = {path.stem for path in self._files("*.bin")}
        over = sorted(path for path in self._files("*.json") if path.stem not in waiting)
        for path in over[:-_KEPT]:
            path.unlink(missing_ok=True)
        for job_id in waiting:
            note = self._note(job_id)
            if note.exists():
                if self.get(job_id).over:  # it was, when the process that took it in died
                    self._file(job_id).unlink(missing_ok=True)
            elif int(job_id[:16], 16) / 1e9 < time.time() - _ABANDONED:
                self._file(job_id).unlink(missing_ok=True)

    def _files(self, pattern: str) -> Iterator[Path]:
        return (path for path in self._folder.glob(pattern) if _ID.fullmatch(path.stem))

    def _note(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"

    def _file(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.bin"


def belongs(job_id: str, owner: str) -> bool:
    """Whether a job of this id could be the owner's: one of another's could not, nor (hardly ever) one that was never given."""
    return job_id[_BEGIN:] == _mark(job_id[:_BEGIN], owner)


def _mark(begin: str, owner: str) -> str:
    """The end of the id of an owner's job."""
    return hashlib.sha256(f"{begin} {owner}".encode()).hexdigest()[:_MARK]


def no_job(job_id: str) -> JobNotFound:
    return JobNotFound(f"There is no job {job_id!r}.", "Jobs that are over are forgotten after a while.")


def note_of(job: Job) -> str:
    """How a job stands on the disk."""
    return json.dumps(asdict(job))


def _read(data: bytes) -> Job:
    body = json.loads(data)
    entry = body.pop("entry")
    return Job(**body, entry=LedgerEntry(**entry) if entry else None)


def _translated(error: OSError, folder: Path) -> StorageFull | IndexReadOnly:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"The disk is full: the file can't be kept in {folder}.", "Free some space and try again.")
    return IndexReadOnly(f"The file can't be kept in {folder}: {error.strerror}.", "Check the folder's permissions.")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
