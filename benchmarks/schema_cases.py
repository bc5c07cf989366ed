"""Requests made from the API's own description, right ones and wrong ones, on every route: does each answer keep to it?"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from benchmarks.serving import Served, command, served

_EXAMPLES = 420  # for each route and phase: over 10,000 cases with accounts
_QUICK = 10
_PASSWORD = "schema cases may come in"
# A request that keeps to the schema may still break a rule that no schema can say: that is what 422 is for. In a form every
# field is a text, so that a number in the place of a file is a file.
_CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "503"]

[[operations]]
include-name = "POST /v1/documents"
[operations.checks]
negative_data_rejection.enabled = false
"""


@dataclass(frozen=True, slots=True)
class Cases:
    """What became of a run: requests made, failures of each kind, errors of the service's own in its log."""

    routes: int
    made: int
    failures: dict[str, int]
    server_errors: int
    report: str


def run(options: Options) -> dict[str, Any]:
    """All phases of schemathesis, once without accounts and once as an admin with a key."""
    examples = _QUICK if options.quick else _EXAMPLES
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, accounts in (("without accounts", False), ("with accounts, as an admin", True)):
            home = Path(folder) / str(accounts)
            home.mkdir()
            found[name] = cases(home, examples, accounts=accounts)
    return _result(found).as_dict()


def cases(home: Path, examples: int, *, accounts: bool) -> Cases:
    """Ask a service about the samples' handbook, in every way that its description allows and in many that it does not."""
    environment = {"RAG_BOT_INDEX": str(home / "index"), "RAG_BOT_EMBEDDER": "hash", "RAG_BOT_LOG": "json"}
    command("ingest.cli", "add", str(ROOT / "samples" / "handbook"), environment=environment)
    headers = []
    if accounts:
        environment |= {"RAG_BOT_AUTH": "on", "RAG_BOT_ADMIN_PASSWORD": _PASSWORD}
        key = command("rag_bot.cli", "keys", "create", "schema", "--role", "admin", environment=environment).strip()
        headers = ["-H", f"Authorization: Bearer {key}"]
    with served(home, environment) as service:
        report = _ask(service, home, examples, headers)
        errors = sum(json.loads(line).get("status", 0) in (500, 502) for line in service.log.read_text().splitlines())
    return _read(report, errors)


def _ask(service: Served, home: Path, examples: int, headers: list[str]) -> str:
    # One worker: Hypothesis reads sources with `ast.parse`, which fails at random in two threads at once on Python 3.11
    # ("AST constructor recursion depth mismatch", python/cpython issue 106905).
    config = home / "schemathesis.toml"
    config.write_text(_CONFIG, encoding="utf-8")
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config)),
            *("run", f"{service.url}/openapi.json", "--phases", "examples,coverage,fuzzing,stateful"),
            *("--max-examples", str(examples), "--seed", "1", "--workers", "1", "--continue-on-failure", "--no-color"),
            *("--suppress-health-check", "all", "--generation-database", "none"),
            *("--request-timeout", "60"),  # an upload waits for ten seconds before it is answered with a job
            *headers,
        ],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def _read(report: str, server_errors: int) -> Cases:
    made, routes = re.search(r"(\d[\d,]*) generated", report), re.search(r"Tested: (\d+)", report)
    if not made or not routes:
        raise SystemExit(f"schemathesis did not come to its end:\n{report[-2000:]}")
    kinds = Counter({kind: int(n) for kind, n in re.findall(r"❌ (ST\d+ [^:\n]+): (\d+)", report)})
    if "🚫 Errors" in report or "ERRORS" in report:
        kinds["could not be asked"] += 1
    return Cases(int(routes[1]), int(made[1].replace(",", "")), dict(kinds), server_errors, report)


def _result(found: dict[str, Cases]) -> Result:
    rows = [
        [name, each.routes, each.made, sum(each.failures.values()), each.server_errors, ", ".join(each.failures) or "none"]
        for name, each in found.items()
    ]
    note = (
        "schemathesis (examples, coverage, fuzzing, stateful), all its checks, against `rag-bot serve` on the handbook. "
        "422 counts as a right answer to a request that keeps to the schema and breaks another rule; no form is refused for a "
        "number in the place of a file."
    )
    return Result(
        {name: {"routes": each.routes, "cases": each.made, "failures": each.failures} for name, each in found.items()},
        [
            Table(
                "Requests made from the API's description",
                ("service", "routes", "cases", "failures", "500s", "kinds"),
                rows,
                note,
            )
        ],
        [
            Asked("requests on every route", sum(each.made for each in found.values()), at_least=10_000),
            Asked("answers that break the description", sum(sum(each.failures.values()) for each in found.values()), at_most=0),
            Asked("errors of the service's own", sum(each.server_errors for each in found.values()), at_most=0),
        ],
    )
