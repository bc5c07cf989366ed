"""Traces and numbers over OTLP, where the standard variables of OpenTelemetry name a collector; never a text of anybody's."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from rag_bot import observe
from rag_bot.errors import BadSetting
from rag_bot.observe import Attributes, Kind, TraceContext

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")
_CLOSING_SECONDS = 3.0  # for what has not been sent yet
_QUIET_SECONDS = 300.0  # between two words about a collector that can't be reached
_KEPT_SECONDS = 1.0  # how long one look at the numbers serves all instruments

# Buckets that the semantic conventions for generative AI recommend.
_DURATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)


class Registry(Protocol):
    """Numbers in families, as Prometheus' library keeps them."""

    def collect(self) -> Iterable[Any]: ...


@contextmanager
def running(registry: Registry | None = None) -> Iterator[None]:
    """Send traces, and the numbers of a registry, while this is open. Does nothing where no collector is named.

    Raises BadSetting where the packages for it are not installed.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield
        return
    for name in _PROTOCOLS:
        if os.environ.get(name, "http/protobuf") != "http/protobuf":
            raise BadSetting(f"{name} is {os.environ[name]!r}.", "Only http/protobuf is spoken: unset it, or take that port.")
    try:
        sender = Sender(registry)
    except ModuleNotFoundError as error:
        raise BadSetting(
            f"Traces need the package {error.name}, which is not installed.", "pip install 'rag-bot[otel]'"
        ) from error
    observe.install(sender.tracer)
    try:
        yield
    finally:
        observe.install(observe.Tracer())
        sender.close()


class Sender:
    """OpenTelemetry's SDK with its exporters, apart from anything global."""

    def __init__(self, registry: Registry | None) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        seldom = _Seldom()
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("opentelemetry.")]:
            logging.getLogger(name).addFilter(seldom)
        own = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "rag-bot"), "service.version": _version()}
        resource = Resource.create(own)
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        self._numbers = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        meter = self._numbers.get_meter("rag_bot", _version())
        if registry is not None:
            _observe_all(meter, registry)
        self.tracer = _Tracer(self._traces.get_tracer("rag_bot", _version()), _LLMNumbers(meter))

    def close(self) -> None:
        """Send what is left, for as long as that may take."""

        def finish() -> None:
            self._traces.shutdown()
            self._numbers.shutdown()

        last = threading.Thread(target=finish, name="otlp end", daemon=True)
        last.start()
        last.join(_CLOSING_SECONDS)


class _Tracer(observe.Tracer):
    def __init__(self, tracer: Any, numbers: _LLMNumbers) -> None:
        from opentelemetry import trace

        self._tracer, self._numbers, self._api = tracer, numbers, trace
        self._kinds = {
            "internal": trace.SpanKind.INTERNAL,
            "server": trace.SpanKind.SERVER,
            "client": trace.SpanKind.CLIENT,
        }

    def begin(self, name: str, kind: Kind, parent: TraceContext | None, attributes: Attributes) -> observe.Span:
        api = self._api
        context = None
        if parent is not None:
            flags = api.TraceFlags(api.TraceFlags.SAMPLED if parent.sampled else api.TraceFlags.DEFAULT)
            above = api.SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
            context = api.set_span_in_context(api.NonRecordingSpan(above))
        span = self._tracer.start_span(name, context, self._kinds[kind], dict(attributes))
        found = span.get_span_context()
        place = TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", bool(found.trace_flags.sampled))
        return _Span(place, span, dict(attributes), self._numbers)


class _Span(observe.Span):
    def __init__(self, context: TraceContext, span: Any, attributes: dict[str, Any], numbers: _LLMNumbers) -> None:
        super().__init__(context)
        self._span, self._attributes, self._numbers = span, attributes, numbers
        self._began = time.perf_counter()
        self._ended = False

    def set(self, attributes: Attributes, name: str = "") -> None:
        self._attributes.update(attributes)
        self._span.set_attributes(attributes)
        if name:
            self._span.update_name(name)

    def end(self, error: str = "") -> None:
        if self._ended:
            return
        self._ended = True
        if error:
            from opentelemetry.trace import StatusCode

            self.set({"error.type": error})
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
        if "gen_ai.operation.name" in self._attributes:
            self._numbers.add(time.perf_counter() - self._began, self._attributes)


class _LLMNumbers:
    """What the semantic conventions for generative AI count of each call."""

    _SHOWN = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model")

    def __init__(self, meter: Any) -> None:
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "Duration of a call.", explicit_bucket_boundaries_advisory=_DURATIONS
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens of a call.", explicit_bucket_boundaries_advisory=_TOKENS
        )

    def add(self, seconds: float, attributes: dict[str, Any]) -> None:
        shown = {name: attributes[name] for name in self._SHOWN if name in attributes}
        error = {"error.type": attributes["error.type"]} if "error.type" in attributes else {}
        self._seconds.record(seconds, {**shown, **error})
        for kind in ("input", "output"):
            tokens = attributes.get(f"gen_ai.usage.{kind}_tokens")
            if tokens is not None:
                self._tokens.record(tokens, {**shown, "gen_ai.token.type": kind})


def _observe_all(meter: Any, registry: Registry) -> None:
    """An instrument for each family of the registry; of a histogram the count and the sum, which only grow."""
    from opentelemetry.metrics import Observation

    look = _Kept(registry)
    for family in registry.collect():
        endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_count", "_sum")}.get(family.type, ())
        make = meter.create_observable_gauge if family.type == "gauge" else meter.create_observable_counter
        for ending in endings:

            def read(_: Any, name: str = family.name, ending: str = ending) -> list[Observation]:
                return [Observation(sample.value, sample.labels) for sample in look(name) if sample.name == name + ending]

            make(family.name + ("" if ending == "_total" else ending), [read], description=family.documentation)


class _Kept:
    """The samples of a family, from one look at the whole registry for all that ask within a moment."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._at, self._found = registry, -_KEPT_SECONDS, dict[str, list[Any]]()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> list[Any]:
        with self._lock:
            if time.monotonic() - self._at > _KEPT_SECONDS:
                self._found = {family.name: list(family.samples) for family in self._registry.collect()}
                self._at = time.monotonic()
            return self._found.get(name, [])


class _Seldom(logging.Filter):
    """Lets one word through about each thing that goes wrong with the collector, then none for some minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now, what = self._clock(), str(record.msg)
        if now - self._said.get(what, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        self._said[what] = now
        return True


def _version() -> str:
    try:
        return version("rag-bot")
    except PackageNotFoundError:
        return "0"
