"""Parses in a child process with limits on time and memory: no file can hang, starve or crash the program itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from ingest.errors import BrokenDocument, TooLarge
from ingest.parsers import MAX_BYTES, too_large
from ingest.parsers.wire import Header, pack_wanted, receive, send, unpack_error, unpack_pages, unpack_parsed
from ingest.types import PagePlaces, Parsed, Wanted

_MIB = 1024 * 1024
_PASSWORDS = "RAG_BOT_PASSWORDS"


class ParserPool:
    """One warm child, started with the first file, replaced when a file was the end of it. May be shared by threads."""

    def __init__(
        self, seconds: float = 120.0, memory_mb: int = 2048, max_bytes: int = MAX_BYTES, passwords: Sequence[str] = ()
    ) -> None:
        self.seconds = seconds
        self.memory_mb = memory_mb
        self.max_bytes = max_bytes
        self._passwords = list(passwords)  # told with each request: neither arguments nor environment may show them
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def __enter__(self) -> ParserPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __call__(self, path: Path | None, name: str, data: bytes | None = None) -> Parsed:
        """Parse `data`, or the file at `path` where there is none; DocumentError says why a file can't be taken in."""
        if data is None and path is None:
            raise ValueError("either a path or data must be given")
        if data is not None and len(data) > self.max_bytes:
            raise too_large(len(data), self.max_bytes)
        answer, body = self._request({"name": name, "path": str(path) if data is None else None}, data)
        try:
            return unpack_parsed(answer, body)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise BrokenDocument("the parser gave back something unreadable") from error

    def places(self, path: Path, name: str, wanted: Sequence[Wanted]) -> list[PagePlaces]:
        """Where parts of the text of the file at `path` stand on its pages; DocumentError says why it can't be read."""
        answer, _ = self._request({"name": name, "path": str(path), **pack_wanted(wanted)})
        try:
            return unpack_pages(answer)
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenDocument("the parser gave back something unreadable") from error

    def _request(self, header: Header, data: bytes | None = None) -> tuple[Header, bytes]:
        header = {**header, "max_bytes": self.max_bytes, "passwords": self._passwords}
        with self._lock:
            answer, body = self._ask(header, data or b"")
        if "error" in answer:
            raise unpack_error(answer)
        return answer, body

    def close(self) -> None:
        """End the child; a later call starts another."""
        with self._lock:
            self._drop()

    def _ask(self, header: Header, data: bytes) -> tuple[Header, bytes]:
        """The child's answer. A child whose memory was short is given one fresh start, as earlier files may have used it up."""
        while True:
            fresh = self._child is None
            child = self._child = self._child or _Child(self.seconds, self.memory_mb)
            try:
                answer = child.ask(header, data)
            except BaseException:
                self._drop()
                raise
            if "memory" not in answer[0]:
                return answer
            self._drop()
            if fresh:
                raise TooLarge(f"needed more than {self.memory_mb} MB of memory", hint="Raise RAG_BOT_PARSE_MEMORY_MB.")

    def _drop(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """A running worker."""

    def __init__(self, seconds: float, memory_mb: int) -> None:
        self._seconds = seconds
        # As much as the child could hold: more can't be an answer.
        self._limit = memory_mb * _MIB
        # -P keeps the folder that the program was started in, which may hold anybody's `csv.py`, out of what is imported.
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ingest.parsers.worker", str(memory_mb), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**{k: v for k, v in os.environ.items() if k != _PASSWORDS}, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # an interrupt on the keyboard is the parent's to handle
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)

    def ask(self, header: Header, data: bytes) -> tuple[Header, bytes]:
        """One request and its answer, within the time."""
        expired = threading.Event()

        def give_up() -> None:
            expired.set()
            self._process.kill()

        timer = threading.Timer(self._seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            send(self._requests, header, data)
            answer = receive(self._answers, self._limit)
        except (OSError, EOFError, ValueError) as error:
            if not expired.is_set() and isinstance(error, ValueError):
                raise BrokenDocument("the parser gave back something unreadable") from error
            raise self._reason(expired.is_set()) from error
        finally:
            timer.cancel()
            timer.join()
        return answer

    def _reason(self, expired: bool) -> BrokenDocument:
        if expired:
            return BrokenDocument(f"gave up after {self._seconds:g} s", hint="Raise RAG_BOT_PARSE_SECONDS.")
        code = self._process.wait()
        return BrokenDocument(f"the parser crashed ({f'signal {-code}' if code < 0 else f'exit code {code}'})")

    def end(self) -> None:
        """Stop it, whatever it is doing."""
        self._process.kill()
        for stream in (self._requests, self._answers):
            with contextlib.suppress(OSError):  # a request that it did not take any more
                stream.close()
        self._process.wait()
