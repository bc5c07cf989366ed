"""One trace from a request to the LLM, sent to a real collector; a collector that is gone or hangs holds nobody up."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rag_bot import observe, telemetry
from rag_bot.errors import BadSetting
from rag_bot.observe import Trace, TraceContext, begin
from tests.e2e.service import running_service
from tests.fakes.openai import OpenAIServer
from tests.fakes.otlp import Collector, collector

KEY = "none"
ABOVE = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
QUESTION = "How many days of paid leave does everyone get a year?"


@dataclass
class World:
    """A service, the LLM that it asks and the collector that it tells."""

    url: str
    llm: OpenAIServer
    collector: Collector
    log: Path

    def post(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, str], Any]:
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, json.loads(error.read())

    def lines(self) -> list[dict[str, Any]]:
        """The log, without the line that says where the service is."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if not line.startswith("rag-bot is at")]

    def lines_of(self, trace_id: str, seconds: float = 20.0) -> list[dict[str, Any]]:
        """The lines of a request, once there is one: it is written after the answer."""
        until = time.monotonic() + seconds
        while not (found := [line for line in self.lines() if line.get("trace_id") == trace_id]):
            assert time.monotonic() < until
            time.sleep(0.05)
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("telemetry")
    folder = home / "handbook"
    folder.mkdir()
    (folder / "leave.md").write_text("# Leave\n\nEveryone gets 26 days of paid leave a year.\n", encoding="utf-8")
    with ExitStack() as stack:
        told = stack.enter_context(collector())
        llm = stack.enter_context(OpenAIServer("small", limit="max_tokens", key=KEY))
        settings = {
            "RAG_BOT_LLM": f"openai-compatible:{llm.url}/v1#small",
            "RAG_BOT_LOG": "json",
            "RAG_BOT_MAX_WRONG": "0.9",
            "OTEL_EXPORTER_OTLP_ENDPOINT": told.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
        }
        service = stack.enter_context(running_service(folder, home, **settings))
        yield World(service.url, llm, told, home / "service.log")


def test_one_trace_runs_from_the_page_to_the_llm(world: World) -> None:
    status, headers, answer = world.post("/v1/chat", {"question": QUESTION}, traceparent=ABOVE.header())
    assert status == 200
    assert answer["model"] == "small"
    assert headers["x-trace-id"] == ABOVE.trace_id
    request = world.collector.wait_for("POST /v1/chat")
    assert (request.trace_id, request.parent_id, request.kind) == (ABOVE.trace_id, ABOVE.span_id, 2)
    assert request.attributes["http.route"] == "/v1/chat"
    assert request.attributes["http.response.status_code"] == 200
    question = world.collector.wait_for("question")
    assert (question.trace_id, question.parent_id) == (ABOVE.trace_id, request.span_id)
    assert question.attributes == {"rag_bot.outcome": "answered", "rag_bot.answered_by": "small"}
    for step in ("embed", "rails", "rewrite", "search", "evidence", "gate", "memory"):
        assert world.collector.wait_for(step).parent_id == question.span_id
    call = world.collector.wait_for("chat small")
    assert (call.trace_id, call.parent_id, call.kind) == (ABOVE.trace_id, question.span_id, 3)
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.provider.name"] == "openai_compatible"
    assert call.attributes["gen_ai.request.model"] == "small"
    assert call.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert call.attributes["gen_ai.usage.input_tokens"] > 0
    assert call.attributes["gen_ai.usage.output_tokens"] > 0
    asked = TraceContext.parse(world.llm.seen[-1].request.headers["traceparent"])
    assert asked == TraceContext(ABOVE.trace_id, call.span_id)
    assert world.collector.resource["service.name"] == "rag-bot"


def test_numbers_are_sent_as_well(world: World) -> None:
    world.post("/v1/chat", {"question": QUESTION})
    until = time.monotonic() + 20
    wanted = {"gen_ai.client.token.usage", "gen_ai.client.operation.duration", "rag_bot_questions"}
    while not wanted <= set(world.collector.metrics) and time.monotonic() < until:
        time.sleep(0.1)
    assert {point["gen_ai.token.type"] for point in world.collector.metrics["gen_ai.client.token.usage"]} == {"input", "output"}
    assert world.collector.metrics["gen_ai.client.operation.duration"][0]["gen_ai.request.model"] == "small"
    assert {"outcome": "answered"} in world.collector.metrics["rag_bot_questions"]
    assert "rag_bot_documents" in world.collector.metrics


def test_a_request_without_a_trace_begins_one_and_a_bad_header_is_none(world: World) -> None:
    for headers in ({}, {"traceparent": "00-0-0-00"}, {"traceparent": f"ff-{ABOVE.trace_id}-{ABOVE.span_id}-01"}):
        _, answered, _ = world.post("/v1/search", {"query": "leave"}, **headers)
        assert len(answered["x-trace-id"]) == 32
        assert answered["x-trace-id"] != ABOVE.trace_id


def test_what_fails_is_found_in_the_log_by_its_trace(world: World) -> None:
    status, headers, _ = world.post("/v1/conversations", {})
    assert status == 405
    status, headers, _ = world.post("/v1/chat", {"question": ""})
    assert status == 422
    (line,) = world.lines_of(headers["x-trace-id"])
    wanted = {"level": "info", "logger": "rag_bot.access", "method": "POST", "route": "/v1/chat", "status": 422}
    assert wanted.items() <= line.items()
    assert line["principal"] == "local"
    assert line["ms"] >= 0
    assert line["time"].endswith("Z")


def test_nothing_that_was_asked_or_said_is_told(world: World) -> None:
    secret = "xylophone"
    world.post("/v1/chat", {"question": f"How many days of leave does the {secret} get?"})
    world.post(f"/v1/{secret}", {})
    urllib.request.urlopen(f"{world.url}/v1/documents?{secret}=1").read()
    time.sleep(1)
    world.collector.wait_for("POST other")
    assert world.lines()
    for told in (world.collector.raw, world.log.read_bytes()):
        for text in (secret, "26 days", "paid leave", "handbook", "127.0.0.1:"):
            assert text.encode() not in told.replace(b"rag-bot is at http://127.0.0.1:", b""), text


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector() as told:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", told.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield told


def test_what_was_not_sent_yet_is_sent_at_the_end(environment: Collector) -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", ["kind"], registry=registry).labels("good").inc(3)
    Gauge("open", "Open.", registry=registry).set(2)
    Histogram("took", "Took.", registry=registry).observe(0.5)
    with telemetry.running(registry):
        trace = Trace()
        with pytest.raises(ZeroDivisionError), trace.step("divide"):
            raise ZeroDivisionError
        trace.end({"rag_bot.outcome": "abandoned"})
    step = environment.wait_for("divide")
    assert step.failed
    assert step.attributes["error.type"] == "ZeroDivisionError"
    assert environment.wait_for("question").span_id == step.parent_id
    assert environment.metrics["things"] == [{"kind": "good"}]
    assert {"open", "took_count", "took_sum"} <= set(environment.metrics)
    assert begin("afterwards").__class__ is observe.Span  # nothing is recorded any more


@pytest.mark.parametrize("fault", ["gone", "silent", "refusing"])
def test_a_collector_that_fails_holds_nobody_up_and_is_told_once(
    environment: Collector, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.silent, environment.status = fault == "silent", 400 if fault == "refusing" else 200
    if fault == "gone":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with telemetry.running():
        for _ in range(200):
            begin("work").end()
            time.sleep(0.001)
        worked = time.monotonic() - began
    assert worked < 10
    assert time.monotonic() - began - worked < telemetry._CLOSING_SECONDS + 5
    told = [record.message for record in caplog.records if record.name.startswith("opentelemetry")]
    assert len(told) == len(set(told)) <= 4


def test_without_a_collector_nothing_is_imported_or_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setattr(telemetry, "Sender", None)
    with telemetry.running():
        assert begin("work").__class__ is observe.Span
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with telemetry.running():
        pass


def test_what_can_not_be_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(BadSetting, match="grpc"), telemetry.running():
        pass
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_PROTOCOL")

    def missing(_: object) -> None:
        raise ModuleNotFoundError("No module named 'opentelemetry'", name="opentelemetry")

    monkeypatch.setattr(telemetry, "Sender", missing)
    with pytest.raises(BadSetting, match="opentelemetry") as caught, telemetry.running():
        pass
    assert caught.value.hint == "pip install 'rag-bot[otel]'"
