"""Numbers for Prometheus: questions by outcome, seconds by step, what LLMs took, requests by route, what the index holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_bot.errors import BadQuestion, Busy, NotFound
from rag_bot.types import Answer, DoneEvent, Event, Usage

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
HUNG_UP = 499  # nginx's number for a client that hung up before it was answered
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The service's numbers, in a registry of their own. `spent` says what each LLM has taken since the service began."""

    def __init__(self, spent: Callable[[], Mapping[str, Usage]]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Spent(spent))
        self._questions = Counter("rag_bot_questions", "Questions by outcome.", ["outcome"], registry=self.registry)
        self._steps = Histogram(
            "rag_bot_step_seconds", "Seconds that a step of an answer took.", ["step"], buckets=SECONDS, registry=self.registry
        )
        self._fallbacks = Counter(
            "rag_bot_llm_fallbacks",
            "LLMs that failed and whose place was taken by the next, or by quotes.",
            registry=self.registry,
        )
        self._cut = Counter("rag_bot_sentences_cut", "Written sentences that the sources do not carry.", registry=self.registry)
        self._rails = Counter("rag_bot_rails", "Checks by rail and verdict.", ["rail", "on", "verdict"], registry=self.registry)
        self._rail_steps = Histogram(
            "rag_bot_rail_seconds",
            "Seconds that a rail took for a check.",
            ["rail", "on"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.requests = Counter(
            "rag_bot_requests", "Requests by route and status.", ["method", "route", "status"], registry=self.registry
        )
        self.streams = Gauge("rag_bot_streams_open", "Streams of events that are open.", registry=self.registry)
        self._documents = Gauge("rag_bot_documents", "Documents in the index.", registry=self.registry)
        self._chunks = Gauge("rag_bot_chunks", "Passages in the index.", registry=self.registry)

    async def watch(self, events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
        """The same events; what becomes of the question is counted. Closing this closes them."""
        if not isinstance(events, AsyncGenerator):
            raise TypeError(f"{events!r} can't be closed: it is no async generator, and its work could not be stopped")
        with self.question() as answered:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, DoneEvent):
                        answered(event.answer)
                    yield event

    @contextmanager
    def question(self) -> Iterator[Callable[[Answer], None]]:
        """Count one question: by its answer, which is to be handed to what this gives, or as failed or hung up on.

        A question that is refused as it stands is not counted: nothing was asked of the documents.
        """
        answers: list[Answer] = []
        outcome = ""
        try:
            yield answers.append
        except (BadQuestion, NotFound, Busy):
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "hung_up"
            raise
        except Exception:
            outcome = "error"
            raise
        finally:
            if answers:
                self._answered(answers[0])
            elif outcome:
                self._questions.labels(outcome).inc()

    def _answered(self, answer: Answer) -> None:
        self._questions.labels(answer.outcome).inc()
        for step, milliseconds in answer.timings_ms.items():
            self._steps.labels(step).observe(milliseconds / 1000)
        self._fallbacks.inc(answer.counts.get("fallbacks", 0))
        self._cut.inc(answer.counts.get("sentences_cut", 0))
        for verdict in answer.rails:
            said = "failed" if verdict.failed else "passed" if verdict.allowed else "refused"
            self._rails.labels(verdict.rail, verdict.on, said).inc()
            self._rail_steps.labels(verdict.rail, verdict.on).observe(verdict.ms / 1000)

    def holds(self, documents: int, chunks: int) -> None:
        self._documents.set(documents)
        self._chunks.set(chunks)

    def text(self) -> bytes:
        """Everything in Prometheus' text form."""
        return generate_latest(self.registry)


class _Spent(Collector):
    """Tokens and dollars by model, read when they are asked for: what was spent on answers nobody waited for is in it."""

    def __init__(self, spent: Callable[[], Mapping[str, Usage]]) -> None:
        self._spent = spent

    def collect(self) -> Iterator[CounterMetricFamily]:
        tokens = CounterMetricFamily("rag_bot_llm_tokens", "Tokens that LLMs took in and gave out.", labels=["model", "kind"])
        dollars = CounterMetricFamily("rag_bot_llm_cost_dollars", "US dollars that LLMs cost.", labels=["model"])
        for model, usage in dict(self._spent()).items():
            tokens.add_metric([model, "prompt"], usage.prompt_tokens)
            tokens.add_metric([model, "completion"], usage.completion_tokens)
            dollars.add_metric([model], usage.cost)
        yield tokens
        yield dollars


def route_of(scope: Scope) -> str:
    """The pattern of the route that answered; `other` where none did."""
    return getattr(scope.get("route"), "path", None) or "other"


class CountRequests:
    """Counts every request by its route's pattern, so that ids in addresses don't become labels."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = HUNG_UP

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            route = route_of(scope)
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(method, route, status).inc()
