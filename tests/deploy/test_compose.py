"""docker-compose.yml: of the right form, hardened in every service, started without a file of settings."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from rag_bot.settings import Settings
from tests.deploy.support import DEPLOY, ROOT, program, run

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
SETTINGS = {f"RAG_BOT_{name.upper()}" for name in Settings.model_fields}


def test_the_file_has_the_form_of_the_compose_specification() -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="pip install compose-spec (wheels for some platforms only)")
    form = _all_filled(COMPOSE)
    # Its own reader knows no merge keys, and is strict; its models know more of the values, and pass over unknown keys.
    assert set(compose_spec.PyCompose.from_yaml(json.dumps(form)).services) == set(SERVICES)
    compose_spec.ComposeSpecification.model_validate(form)
    form["services"]["ingest"]["read_onyl"] = True
    with pytest.raises(ValueError, match="read_onyl"):
        compose_spec.PyCompose.from_yaml(json.dumps(form))


def test_docker_compose_can_read_it() -> None:
    docker = program("docker", "with Compose 2.24 or newer")
    if run([docker, "compose", "version"]).returncode:
        pytest.skip("docker has no Compose: install its plugin, 2.24 or newer")
    result = run([docker, "compose", "--profile", "*", "config", "--quiet"])
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_and_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in {"0", "root"}
    assert service["mem_limit"] and service["cpus"] and service["pids_limit"]
    assert "privileged" not in service and "network_mode" not in service
    assert name == "ingest" or service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_and_only_ours_is_built(name: str) -> None:
    image = _filled(SERVICES[name]["image"])
    tag = image.rpartition(":")[2]
    assert (tag in {"cpu", "gpu"}) == ("build" in SERVICES[name])
    assert "build" in SERVICES[name] or re.search(r"\d", tag), f"{image} has no version"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    assert [port for port in map(_filled, SERVICES[name].get("ports", [])) if not port.startswith("127.0.0.1:")] == []


def test_what_holds_words_and_models_reaches_no_other_network() -> None:
    assert COMPOSE["networks"]["back"]["internal"] is True
    for name in ("llama-cpp", "vllm", "postgres"):
        assert set(SERVICES[name]["networks"]) == {"back"}
        assert "ports" not in SERVICES[name]


def test_both_llms_answer_to_the_name_that_the_settings_example_gives() -> None:
    example = (ROOT / "rag-bot.env.example").read_text(encoding="utf-8")
    assert "RAG_BOT_LLM=openai-compatible:http://llm:8080/v1#local" in example
    for name in ("llama-cpp", "vllm"):
        assert SERVICES[name]["networks"]["back"]["aliases"] == ["llm"]
        command = SERVICES[name]["command"]
        assert "8080" in command and "local" in command


def test_every_variable_has_a_default_and_stands_in_the_example() -> None:
    used = re.findall(r"\$\{(\w+)(:?-)?", TEXT)
    assert used and {name for name, default in used if not default} == set()
    assert {name for name, _ in used} - set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE, re.M)) == set()


def test_the_example_gives_the_defaults_of_the_images() -> None:
    for name, default in re.findall(r"\$\{(\w+_TAG):-([^}]+)\}", TEXT):
        assert f"# {name}={default}\n" in EXAMPLE


def test_every_secret_is_a_setting_or_a_password_and_is_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("made") / "secrets"
    assert run(["env", f"SECRETS={folder}", "sh", DEPLOY / "secrets.sh"]).returncode == 0
    declared = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
    assert {path.name for path in folder.iterdir()} == set(declared)
    assert all(file == f"${{SECRETS:-./secrets}}/{name}" for name, file in declared.items())
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert used == set(declared)
    assert {name.upper() for name in declared if name.startswith("rag_bot_")} - SETTINGS == set()


def test_the_examples_name_settings_that_exist() -> None:
    text = (ROOT / "rag-bot.env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?(RAG_BOT_\w+)=", text, re.M))
    assert named and named - SETTINGS == set()


def _filled(text: str) -> str:
    return re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", text)


def _all_filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _all_filled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_all_filled(one) for one in value]
    return _filled(value) if isinstance(value, str) else value
