"""Parses in child processes with limits on time, memory and output: no file can hang, starve or crash the program itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from ingest.errors import BrokenDocument, TooLarge
from ingest.parsers import MAX_BYTES, too_large
from ingest.parsers.child import Child, Limits
from ingest.parsers.reading import read_file
from ingest.parsers.wire import Header, pack_wanted, unpack_error, unpack_pages, unpack_parsed, unpack_unpacked
from ingest.types import PagePlaces, Parsed, Unpacked, Wanted

T = TypeVar("T")
_MOST_CHILDREN = 8  # by default; each may take as much memory as the limit says
_MOST_FILES = 500  # that one child parses before a fresh one takes its place: libraries keep some of what they were given


class ParserPool:
    """Warm children, started when they are needed, replaced when a file was the end of one. May be shared by threads.

    `size` files are parsed at once, others wait for their turn; 0 stands for one for each core.
    """

    def __init__(
        self,
        seconds: float = 120.0,
        memory_mb: int = 2048,
        max_bytes: int = MAX_BYTES,
        *,
        size: int = 0,
        output_mb: int = 256,
        passwords: Sequence[str] = (),
    ) -> None:
        self.size = size or min(cores(), _MOST_CHILDREN)
        self.max_bytes = max_bytes
        self.limits = Limits(seconds, memory_mb, output_mb)
        self._passwords = list(passwords)  # told with each request: neither arguments nor environment may show them
        self._turns = threading.BoundedSemaphore(self.size)
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        # A child ends when the thread that started it does, so all are started by one that lasts.
        self._starter: ThreadPoolExecutor | None = None

    def __enter__(self) -> ParserPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __call__(self, path: Path | None, name: str, data: bytes | None = None) -> Parsed:
        """Parse `data`, or the file at `path` where there is none; DocumentError says why a file can't be taken in."""
        if data is None and path is None:
            raise ValueError("either a path or data must be given")
        if data is None:
            assert path is not None
            data = read_file(path, self.max_bytes)
        return self._do({"do": "parse", "name": name}, data, unpack_parsed)

    def unpack(self, name: str, data: bytes, *, start: int = 0, files: int, size: int) -> Unpacked | None:
        """What stands in the file `name` from its entry `start` on, as many entries as go into one answer; None where the file
        is none that holds others. An archive of more than `files` entries or `size` bytes unpacked is refused (DocumentError).
        """
        header = {"do": "unpack", "name": name, "start": start, "files": files, "size": size}
        return self._do(header, data, unpack_unpacked)

    def places(self, path: Path, name: str, wanted: Sequence[Wanted]) -> list[PagePlaces]:
        """Where parts of the text of the file at `path` stand on its pages; DocumentError says why it can't be read."""
        header = {"do": "places", "name": name, "wanted": pack_wanted(wanted)}
        return self._do(header, read_file(path, self.max_bytes), unpack_pages)

    def close(self) -> None:
        """End all children, also those at work: their callers get a DocumentError. A later call starts others."""
        with self._lock:
            ended, self._idle = [*self._idle, *self._busy], []
            starter, self._starter = self._starter, None
        for child in ended:
            child.end()
        if starter:
            starter.shutdown()

    def _do(self, header: Header, data: bytes, read: Callable[[Header, bytes], T]) -> T:
        if len(data) > self.max_bytes:
            raise too_large(len(data), self.max_bytes)
        header |= {"max_bytes": self.max_bytes, "passwords": self._passwords}
        with self._turns:
            answer, body = self._ask(header, data)
        if "error" in answer:
            raise unpack_error(answer)
        try:
            return read(answer, body)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise BrokenDocument("the parser gave back something unreadable") from error

    def _ask(self, header: Header, data: bytes) -> tuple[Header, bytes]:
        """A child's answer. A child whose memory was short is given one fresh start, as earlier files may have used it up."""
        while True:
            child = self._take()
            fresh = child.files == 0
            try:
                answer = child.ask(header, data)
            except BaseException:
                self._drop(child)
                raise
            if "memory" not in answer[0]:
                self._give_back(child)
                return answer
            self._drop(child)
            if fresh:
                raise TooLarge(f"needed more than {self.limits.memory_mb} MB of memory", hint="Raise RAG_BOT_PARSE_MEMORY_MB.")

    def _take(self) -> Child:
        """A child that is alive and waits; the one used last, so that few are warm where few are needed."""
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.waits():
                    self._busy.add(child)
                    return child
                child.end()
            self._starter = self._starter or ThreadPoolExecutor(1, "parsers")
            starting = self._starter.submit(Child, self.limits)
        child = starting.result()
        with self._lock:
            self._busy.add(child)
        return child

    def _give_back(self, child: Child) -> None:
        with self._lock:
            self._busy.discard(child)
            if child.files < _MOST_FILES and not child.ended:
                self._idle.append(child)
                return
        child.end()

    def _drop(self, child: Child) -> None:
        with self._lock:
            self._busy.discard(child)
        child.end()


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
