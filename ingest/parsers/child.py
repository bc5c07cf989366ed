"""One child process that parses, as its parent sees it: asked, waited for as long as the limits say, ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ingest.errors import BrokenDocument, DocumentError
from ingest.parsers.wire import LENGTHS, Header, header_of, message, too_much

_MIB = 1024 * 1024
_PIECE = 256 * 1024  # bytes written or read between two looks at the clock
# All of the environment that the child gets: keys and passwords are none of its business.
_PASSED_ON = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "TESSDATA_PREFIX")
_PASSED_ON_BEGINNINGS = ("LC_", "PYTHON", "OMP_", "COVERAGE_")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # the pool has a child for each core


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take: seconds by the clock and (a little more) of the processor, memory, and size of the answer."""

    seconds: float = 120.0
    memory_mb: int = 2048
    output_mb: int = 256


class Child:
    """A running worker. One thread at a time may ask it; any may end it."""

    def __init__(self, limits: Limits, module: str = "ingest.parsers.worker") -> None:
        self.files = 0
        self.ended = False
        self._limits = limits
        self._asking = threading.Lock()
        # -P keeps the folder that the program was started in, which may hold anybody's `csv.py`, out of what is imported.
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        command = [sys.executable, "-P", "-B", "-m", module]
        numbers = (limits.memory_mb, limits.seconds, limits.output_mb, os.getpid())
        self._process = subprocess.Popen(
            [*command, *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ONE_THREAD | _passed_on() | {"PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # an interrupt on the keyboard is the parent's to handle
            bufsize=0,
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)
        os.set_blocking(self._requests.fileno(), False)
        os.set_blocking(self._answers.fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def waits(self) -> bool:
        """Whether it is alive and has said nothing that it was not asked for."""
        if self.ended or self._process.poll() is not None:
            return False
        try:
            return self._answers.read(1) is None
        except (OSError, ValueError):
            return False

    def ask(self, header: Header, data: bytes) -> tuple[Header, bytes]:
        """One request and its answer, within the limits; DocumentError where that fails, and then the child is of no use."""
        clock = _Clock(self._limits.seconds)
        self.files += 1
        try:
            with self._asking:
                self._write(message(header, data), clock)
                answer, body = self._read(clock)
        except TimeoutError as error:
            raise BrokenDocument(f"gave up after {self._limits.seconds:g} s", hint="Raise RAG_BOT_PARSE_SECONDS.") from error
        except (EOFError, OSError) as error:
            raise self._death() from error
        except ValueError as error:
            if self.ended:
                raise self._death() from error
            raise BrokenDocument("the parser gave back something unreadable") from error
        return answer, body

    def end(self) -> None:
        """Stop it and all that it may have started, whatever they are doing."""
        self.ended = True
        with contextlib.suppress(OSError):  # it has ended by itself
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        with self._asking:  # whoever waits for its answer sees the end of it now; what is closed under him, he would not
            for stream in (self._requests, self._answers):
                with contextlib.suppress(OSError):
                    stream.close()

    def _write(self, request: list[bytes], clock: _Clock) -> None:
        """Write the request as fast as the child takes it. What it says before it has read all is read when all is written."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_WRITE)
            for part in request:
                left = memoryview(part)
                while left:
                    clock.wait(selector)
                    left = left[self._requests.write(left[:_PIECE]) or 0 :]

    def _read(self, clock: _Clock) -> tuple[Header, bytes]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            header_length, body_length = LENGTHS.unpack(self._exactly(LENGTHS.size, selector, clock))
            if header_length + body_length > self._limits.output_mb * _MIB:
                raise too_much(header_length + body_length, self._limits.output_mb)
            header = header_of(self._exactly(header_length, selector, clock))
            return header, self._exactly(body_length, selector, clock)

    def _exactly(self, count: int, selector: selectors.BaseSelector, clock: _Clock) -> bytes:
        data = bytearray()
        while len(data) < count:
            clock.wait(selector)
            piece = self._answers.read(min(_PIECE, count - len(data)))
            if piece == b"":
                raise EOFError
            data += piece or b""
        return bytes(data)

    def _death(self) -> DocumentError:
        if self.ended:
            return DocumentError("was not parsed: the program is stopping")
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return BrokenDocument("the parser stopped answering")
        return BrokenDocument(f"the parser crashed ({f'signal {-code}' if code < 0 else f'exit code {code}'})")


class _Clock:
    """The time that is left for one file."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def wait(self, selector: selectors.BaseSelector) -> None:
        """Until the child can be written to or read from; TimeoutError when time is up."""
        left = self._end - time.monotonic()
        if left <= 0 or not selector.select(left):
            raise TimeoutError


def _passed_on() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_BEGINNINGS)}
