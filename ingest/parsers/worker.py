"""The child process that parses: reads requests from its input until that ends, with limits on what it may take."""

from __future__ import annotations

import math
import os
import stat
import sys
from typing import BinaryIO

from ingest.errors import DocumentError
from ingest.parsers import find_places, parse, too_large
from ingest.parsers.passwords import trying
from ingest.parsers.wire import Header, pack_error, pack_pages, pack_parsed, receive, send, unpack_wanted

try:
    import resource
except ImportError:  # not a Unix: the parent's clock is the only limit
    resource = None  # type: ignore[assignment]


def main() -> None:
    """Answer requests one after another."""
    memory_mb, seconds = int(sys.argv[1]), float(sys.argv[2])
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up between the answers
    _limit_memory(memory_mb)
    while True:
        try:
            header, data = receive(requests)
        except EOFError:
            return
        _limit_time(seconds)
        try:
            answer, body = _answer(header, data)
        except DocumentError as error:
            answer, body = pack_error(error), b""
        except MemoryError:
            answer, body = {"memory": True}, b""
        del data
        _send(answers, answer, body)
        if "memory" in answer:  # what is left of the memory may be in pieces
            return


def _send(answers: BinaryIO, answer: Header, body: bytes) -> None:
    try:
        send(answers, answer, body)
    except BrokenPipeError:
        sys.exit(0)


def _answer(header: Header, data: bytes) -> tuple[Header, bytes]:
    """What is asked for: the file as text, or where in it something stands."""
    limit = int(header["max_bytes"])
    if header["path"] is not None:
        data = _read(header["path"], limit)
    with trying(header["passwords"]):
        if "wanted" in header:
            return pack_pages(find_places(data, unpack_wanted(header))), b""
        return pack_parsed(parse(data, header["name"], max_bytes=limit))


def _read(path: str, limit: int) -> bytes:
    try:
        # Without O_NONBLOCK, opening what has become a pipe since it was found would wait for ever.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DocumentError("is not a regular file")
            if status.st_size > limit:
                raise too_large(status.st_size, limit)
            return file.read(limit + 1)
    except OSError as error:
        raise DocumentError(f"can't be read: {error.strerror or error}") from error


def _limit_memory(memory_mb: int) -> None:
    if resource is None:
        return
    _lower(resource.RLIMIT_AS, memory_mb * 1024 * 1024)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)


def _limit_time(seconds: float) -> None:
    """Processor time from now on. The parent's clock comes first; this one counts when the parent is gone."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + seconds) + 5, keep_hard=True)


def _lower(which: int, value: int, *, keep_hard: bool = False) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(which, (value, hard if keep_hard else value))
    except (ValueError, OSError):  # macOS refuses some of them; the parent's clock still counts
        return


if __name__ == "__main__":
    main()
