"""A collector of OpenTelemetry over a real socket: takes protobuf over HTTP, and nothing else."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

FORMS: dict[str, Any] = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


@dataclass(frozen=True)
class GivenSpan:
    """A span as it was sent."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    failed: bool


@dataclass
class Collector:
    """What was sent to it: `raw` is all of it. With `silent` it never answers, with `status` it refuses."""

    url: str = ""
    spans: list[GivenSpan] = field(default_factory=list)
    metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    raw: bytes = b""
    silent: bool = False
    status: int = 200
    asked: int = 0

    def take(self, path: str, body: bytes) -> None:
        message = FORMS[path].FromString(body)
        self.raw += body
        for group in getattr(message, "resource_spans", ()):
            self.resource = _values(group.resource.attributes)
            self.spans += [_span(span) for scope in group.scope_spans for span in scope.spans]
        for group in getattr(message, "resource_metrics", ()):
            for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
                points = getattr(metric, metric.WhichOneof("data")).data_points
                self.metrics[metric.name] = [_values(point.attributes) for point in points]

    def wait_for(self, name: str, seconds: float = 20.0) -> GivenSpan:
        """The first span of a name, once it is there."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = next((span for span in self.spans if span.name == name), None)
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"no span {name!r} among {[span.name for span in self.spans]}")


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that runs in threads of its own."""
    found = Collector()
    gone = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.asked += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.silent:
                gone.wait(60)
                return
            status = found.status
            if self.path not in FORMS:
                status = 404
            elif self.headers["Content-Type"] != "application/x-protobuf":
                status = 415
            elif status == 200:
                try:
                    found.take(self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                except DecodeError:
                    status = 400
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        gone.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    which = value.WhichOneof("value")
    return [_value(one) for one in value.array_value.values] if which == "array_value" else getattr(value, which)


def _span(span: Any) -> GivenSpan:
    failed = span.status.code == 2
    return GivenSpan(
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _values(span.attributes),
        failed,
    )
