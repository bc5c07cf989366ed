"""The child process that parses: reads requests from its input until that ends, with limits on what it may take and do."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import BinaryIO

from ingest.errors import DocumentError
from ingest.parsers import find_places, parse
from ingest.parsers.ocr import until
from ingest.parsers.passwords import trying
from ingest.parsers.sandbox import close_up, die_with
from ingest.parsers.wire import (
    Header,
    pack_error,
    pack_pages,
    pack_parsed,
    pack_unpacked,
    receive,
    send,
    too_much,
    unpack_wanted,
)

try:
    import resource
except ImportError:  # not a Unix: the parent's clock is the only limit
    resource = None  # type: ignore[assignment]

_MIB = 1024 * 1024
_FOR_OCR = 0.7  # of a file's time; what comes after it takes some, and a page that was begun is read to its end


def main() -> None:
    """Answer requests one after another."""
    memory_mb, seconds, output_mb, parent = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    die_with(parent)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up between the answers
    _limit_memory(memory_mb)
    close_up()
    while True:
        try:
            header, data = receive(requests)
        except EOFError:
            return
        _limit_time(seconds)
        try:
            with trying(header.get("passwords", ())), until(time.monotonic() + _FOR_OCR * seconds):
                answer, body = _answer(header, data)
            if len(body) > output_mb * _MIB:
                raise too_much(len(body), output_mb)
        except DocumentError as error:
            answer, body = pack_error(error), b""
        except MemoryError:
            answer, body = {"memory": True}, b""
        del data
        _send(answers, answer, body)
        if "memory" in answer:  # what is left of the memory may be in pieces
            return


def _answer(header: Header, data: bytes) -> tuple[Header, bytes]:
    limit = int(header["max_bytes"])
    if header["do"] == "parse":
        return pack_parsed(parse(data, header["name"], max_bytes=limit))
    if header["do"] == "places":
        return pack_pages(find_places(data, header["name"], unpack_wanted(header["wanted"]))), b""
    from ingest.parsers.containers import unpack

    return pack_unpacked(unpack(data, header["name"], header["start"], header["files"], header["size"], limit))


def _send(answers: BinaryIO, answer: Header, body: bytes) -> None:
    try:
        send(answers, answer, body)
    except BrokenPipeError:
        sys.exit(0)


def _limit_memory(memory_mb: int) -> None:
    if resource is None:
        return
    _lower(resource.RLIMIT_AS, memory_mb * _MIB)
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
