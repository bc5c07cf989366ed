"""What is seen of a question while it is answered: its steps and their time, spans of one trace from the page to the LLM.

Without a tracer (`install`) nothing is recorded, and the trace's id is handed on all the same: to logs, answers and LLMs.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

Kind: TypeAlias = Literal["internal", "server", "client"]
Attributes: TypeAlias = Mapping[str, str | int | float | bool | tuple[str, ...]]

T = TypeVar("T")

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where in which trace something happens, as the header `traceparent` says it (W3C Trace Context, level 1)."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @classmethod
    def new(cls) -> TraceContext:
        """The beginning of a trace."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    @classmethod
    def parse(cls, header: str) -> TraceContext | None:
        """What a header says; None for one that can't be read."""
        found = _HEADER.fullmatch(header.strip())
        if not found or found[1] == "ff" or (found[1] == "00" and found[5]) or not int(found[2], 16) or not int(found[3], 16):
            return None
        return cls(found[2], found[3], bool(int(found[4], 16) & 1))

    def header(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)


def current() -> TraceContext | None:
    """The trace that this is part of, if it is known."""
    return _current.get()


class Span:
    """A piece of work that has begun, at `context`. This one is recorded nowhere."""

    def __init__(self, context: TraceContext) -> None:
        self.context = context

    def set(self, attributes: Attributes, name: str = "") -> None:
        """Say more of it."""

    def end(self, error: str = "") -> None:
        """It is over; `error` says what kind of failure ended it. Only the first end counts."""

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is done in here is part of it."""
        before = _current.get()
        _current.set(self.context)
        try:
            yield
        finally:
            _current.set(before)  # not `reset`: a generator may be closed from another task


async def within(span: Span, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same items, each made inside a span; what is done with them is not. Closing this closes them."""
    async with aclosing(items):
        while True:
            try:
                with span.inside():
                    item = await anext(items)
            except StopAsyncIteration:
                return
            yield item


class Tracer:
    """Begins spans. This one records none."""

    def begin(self, name: str, kind: Kind, parent: TraceContext | None, attributes: Attributes) -> Span:
        return Span(parent or TraceContext.new())


_installed = [Tracer()]


def install(tracer: Tracer) -> None:
    """Have spans recorded."""
    _installed[0] = tracer


def begin(
    name: str, kind: Kind = "internal", attributes: Attributes | None = None, *, below: TraceContext | None = None
) -> Span:
    """Begin a span below another one, else below the current one, else a trace."""
    return _installed[0].begin(name, kind, below or current(), attributes or {})


class Trace:
    """Collects the steps of one question."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._steps: dict[str, float] = {}
        self.span = begin("question")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside; a step done twice is added up."""
        span = begin(name, below=self.span.context)
        began = time.perf_counter()
        error = ""
        try:
            with span.inside():
                yield
        except BaseException as problem:
            error = type(problem).__name__
            raise
        finally:
            self._steps[name] = self._steps.get(name, 0.0) + (time.perf_counter() - began) * 1000
            span.end(error)

    def mark(self, name: str) -> None:
        """Note, once, how long after the beginning something happened."""
        self._steps.setdefault(name, (time.perf_counter() - self._began) * 1000)

    def end(self, attributes: Attributes) -> None:
        """The question is over."""
        self.span.set(attributes)
        self.span.end()

    def timings_ms(self) -> dict[str, float]:
        """Each step's milliseconds, and `total` since the beginning."""
        total = (time.perf_counter() - self._began) * 1000
        return {name: round(ms, 3) for name, ms in {**self._steps, "total": total}.items()}
