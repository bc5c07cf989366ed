"""The dashboard and the alerts ask for numbers that `/metrics` of a real service has; a real Prometheus can answer them."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.support import DEPLOY, ROOT, program, run
from tests.e2e.service import Service, running_service

KEY = "m" * 32
PROMETHEUS = "Debian: apt-get install prometheus"
SECONDS = 60
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "rag-bot.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
# Of what did not happen here there are no numbers: no LLM was asked, nobody gave a thumb.
MAY_BE_EMPTY = {"Tokens", "US dollars an hour", "What rails refused"}
QUESTIONS = [
    "How many days of annual leave do I have?",
    "How long is parental leave?",
    "Who approves travel?",
    "What is the night rate in Oslo?",
    "How much is the pension contribution?",
    "Which moon of Jupiter is the largest?",
]


@dataclass(frozen=True)
class Watched:
    """A service that has answered some questions, and what its `/metrics` said then."""

    service: Service
    numbers: str

    @property
    def port(self) -> int:
        return urllib.parse.urlsplit(self.service.url).port or 0


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    home, secrets = tmp_path_factory.mktemp("watched"), tmp_path_factory.mktemp("secrets")
    (secrets / "rag_bot_metrics_key").write_text(KEY + "\n", encoding="utf-8")
    settings = {"RAG_BOT_AUTH": "on", "CREDENTIALS_DIRECTORY": str(secrets)}
    with running_service(ROOT / "samples" / "handbook", home, **settings) as service:
        made = run([sys.executable, "-m", "rag_bot.cli", "keys", "create", "tests", "--json", "--index", service.index])
        assert made.returncode == 0, made.stderr
        key = json.loads(made.stdout)["key"]
        for question in [*QUESTIONS, *QUESTIONS]:
            body = json.dumps({"question": question}).encode()
            _get(f"{service.url}/v1/chat", key, body)
        _get(f"{service.url}/v1/chat", key, json.dumps({"question": QUESTIONS[0]}).encode(), accept="text/event-stream")
        _half_a_fortnight_old(service.index)
        yield Watched(service, _numbers(service))


def _half_a_fortnight_old(index: Path) -> None:
    """Half of the questions were asked ten days ago, so that there is a before."""
    ago = (datetime.now(UTC) - timedelta(days=10)).isoformat(timespec="microseconds")
    with sqlite3.connect(index / "state.sqlite3") as state:
        state.execute("UPDATE turns SET at = ? WHERE id <= ?", (ago, len(QUESTIONS)))
    state.close()


def _numbers(service: Service) -> str:
    """What `/metrics` says once it has looked at the last 30 days, which it does in the background."""
    deadline = time.monotonic() + SECONDS
    while True:
        text = _get(f"{service.url}/metrics", KEY)
        if "rag_bot_question_nearness{" in text:
            return text
        assert time.monotonic() < deadline, text
        time.sleep(0.2)


def _get(url: str, key: str, body: bytes | None = None, accept: str = "*/*") -> str:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": accept}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=SECONDS) as response:
        return str(response.read().decode())


# --- names


def expressions() -> list[tuple[str, str]]:
    """Each query of the dashboard and of the alerts, with what it is called, as Prometheus is to be asked."""
    of_panels = [
        (panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*"))
        for panel in PANELS
        for target in panel["targets"]
    ]
    return [*of_panels, *((rule["alert"], rule["expr"]) for rule in ALERTS)]


@pytest.mark.parametrize(("name", "expression"), expressions())
def test_queries_name_numbers_and_labels_that_there_are(watched: Watched, name: str, expression: str) -> None:
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(watched.numbers):
        plain = f"{family.name}_total" if family.type == "counter" else family.name
        names = [f"{plain}_{end}" for end in ("bucket", "count", "sum")] if family.type == "histogram" else [plain]
        for one in names:
            labels[one] = {label for sample in family.samples if sample.name == one for label in sample.labels}
    used = re.findall(r"\b(rag_bot_\w+)(?:\{([^}]*)\})?", expression)
    assert used or name == "RagBotDown"
    assert {one for one, _ in used} - set(labels) == set()
    known = set.union({"instance", "job", "le"}, *(labels[one] for one, _ in used))
    if all(labels[one] for one, _ in used) or name not in MAY_BE_EMPTY:
        wanted = {label for _, inside in used for label in re.findall(r"(\w+)\s*[=!]", inside)}
        wanted |= {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in re.findall(r"\w+", group)}
        assert wanted - known == set()


def test_the_dashboard_is_whole() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    (source,) = sources["datasources"]
    for panel in PANELS:
        assert panel["title"] and panel["description"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}
        assert {target["datasource"]["type"] for target in panel["targets"]} == {source["type"]}


def test_every_alert_says_what_and_how_bad() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]


# --- Prometheus


def _configuration(folder: Path, target: str) -> Path:
    """Our configuration with another target and key, and quicker; without what is looked up by name."""
    configuration = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    (folder / "key").write_text(KEY, encoding="utf-8")
    (folder / "alerts.yml").write_bytes((DEPLOY / "alerts.yml").read_bytes())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    job = configuration["scrape_configs"][0]
    job["authorization"]["credentials_file"] = str(folder / "key")
    job["static_configs"] = [{"targets": [target]}]
    configuration["scrape_configs"] = [job]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    return path


def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    promtool = program("promtool", PROMETHEUS)
    result = run([promtool, "check", "rules", "--lint=all", "--lint-fatal", DEPLOY / "alerts.yml"])
    assert result.returncode == 0, result.stdout + result.stderr
    text = (DEPLOY / "prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "key").write_text(KEY, encoding="utf-8")
    (tmp_path / "alerts.yml").write_bytes((DEPLOY / "alerts.yml").read_bytes())
    whole = tmp_path / "prometheus.yml"
    whole.write_text(text.replace("/run/secrets/rag_bot_metrics_key", str(tmp_path / "key")), encoding="utf-8")
    result = run([promtool, "check", "config", whole])
    assert result.returncode == 0, result.stdout + result.stderr


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that watches a service."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", timeout=SECONDS) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{parameters}: {error.read().decode()}")

    def query(self, expression: str) -> list[Any]:
        result: list[Any] = self.ask("/api/v1/query", query=expression)["result"]
        return result


@pytest.fixture(scope="module")
def prometheus(watched: Watched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    binary = program("prometheus", PROMETHEUS)
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        binary,
        f"--config.file={_configuration(folder, f'127.0.0.1:{watched.port}')}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            server = Prometheus(f"http://127.0.0.1:{port}")
            _wait_for_scrapes(server, process, log)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=SECONDS)


def _wait_for_scrapes(server: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            found = server.query("count_over_time(up[1m])")
        except (urllib.error.URLError, OSError):
            found = []
        if found and int(found[0]["value"][1]) >= 3:
            return
        time.sleep(0.3)
    raise AssertionError(f"Prometheus has read nothing:\n{log.read_text(errors='replace')[-4000:]}")


def test_prometheus_reads_the_numbers_with_the_key_alone(watched: Watched, prometheus: Prometheus) -> None:
    (target,) = prometheus.ask("/api/v1/targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    (ready,) = prometheus.query("rag_bot_ready")
    assert ready["value"][1] == "1"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        _get(f"{watched.service.url}/metrics", "rb_not_a_key")


@pytest.mark.parametrize(("name", "expression"), expressions())
def test_prometheus_can_answer_every_query(prometheus: Prometheus, name: str, expression: str) -> None:
    result = prometheus.query(expression)
    if name in {panel["title"] for panel in PANELS} - MAY_BE_EMPTY:
        assert result, f"{name} shows nothing: {expression}"


def test_every_alert_is_evaluated_and_none_of_those_that_wake_people_fires(prometheus: Prometheus) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        rules = prometheus.ask("/api/v1/rules")["groups"][0]["rules"]
        if all(rule["health"] != "unknown" for rule in rules):
            break
        assert time.monotonic() < deadline, rules
        time.sleep(0.3)
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in ALERTS}
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    loud = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "critical"} - {"RagBotDiskFull"}
    assert [rule["name"] for rule in rules if rule["name"] in loud and rule["state"] != "inactive"] == []
