"""The Helm chart, rendered by Helm's own engine: what Kubernetes takes, restricted, and refusing what can't work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_bot.settings import Settings
from tests.deploy.support import DEPLOY, ROOT, program

helm = pytest.importorskip("helm_python", reason="pip install helm-python-sdk (Linux on x86-64 and some other platforms)")

CHART = DEPLOY / "helm" / "rag-bot"
SETTINGS = {f"RAG_BOT_{name.upper()}" for name in Settings.model_fields}
KUBERNETES = "1.33"

FULL: dict[str, Any] = {
    "image": {"repository": "registry.example.com/rag-bot", "tag": "1.2.3"},
    "imagePullSecrets": [{"name": "registry"}],
    "replicaCount": 3,
    "sharedState": True,
    "existingSecret": "ask-secrets",
    "config": 'llm = "openai-compatible:http://vllm:8000/v1#local"\nmax_wrong = 0.2\n',
    "readers": '[documents]\n"/documents/hr" = ["hr"]\n',
    "env": {"RAG_BOT_QUESTIONS_PER_DAY": 500, "RAG_BOT_AUDIT": "all"},
    "envFrom": [{"secretRef": {"name": "provider-keys"}}],
    "documents": {"volume": {"persistentVolumeClaim": {"claimName": "documents", "readOnly": True}}, "syncSeconds": 300},
    "persistence": {"size": "50Gi", "storageClassName": "local-nvme"},
    "slack": {"enabled": True},
    "service": {"annotations": {"example.com/a": "b"}},
    "ingress": {"enabled": True, "className": "nginx", "host": "ask.example.com", "tlsSecret": "ask-tls"},
    "resources": {"limits": {"memory": "16Gi", "nvidia.com/gpu": 1}},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}],
        "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "vllm"}}}], "ports": [{"port": 8000}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "podAnnotations": {"example.com/c": "d"},
    "podLabels": {"team": "search"},
    "nodeSelector": {"disk": "nvme"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "runtimeClassName": "nvidia",
    "priorityClassName": "high",
    "extraContainers": [{"name": "side", "image": "busybox:1.37"}],
    "extraInitContainers": [{"name": "fetch", "image": "busybox:1.37"}],
    "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
}
CASES: dict[str, dict[str, Any]] = {"defaults": {}, "full": FULL}


def rendered(values: dict[str, Any], name: str = "ask") -> dict[str, dict[str, Any]]:
    """Each object by `Kind/name`."""
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in _documents(_texts(values, name))}


def _texts(values: dict[str, Any], name: str = "ask") -> dict[str, str]:
    with helm.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values)
        texts: dict[str, str] = chart.render(values, name=name, namespace="prod")
    return texts


def _documents(texts: dict[str, str]) -> Iterator[dict[str, Any]]:
    for path, text in texts.items():
        if not path.endswith("NOTES.txt"):
            yield from (one for one in yaml.safe_load_all(text) if one)


def _containers(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    pod = rendered(values)["StatefulSet/ask-rag-bot"]["spec"]["template"]["spec"]
    return {one["name"]: one for one in [*pod.get("initContainers", []), *pod["containers"]]}


@pytest.mark.parametrize("case", CASES)
def test_helm_has_nothing_to_say(case: str) -> None:
    report = helm.lint(str(CHART), CASES[case], strict=True)
    assert [message for message in report["messages"] if message["severity"] > 1] == report["errors"] == []


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_takes_every_object(case: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate").validate
    kinds = []
    for one in rendered(CASES[case]).values():
        kinds.append(one["kind"])
        if one["kind"] != "ServiceMonitor":  # of the Prometheus operator: not Kubernetes' own
            validate(one, KUBERNETES, strict=True)
    few = ["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "ServiceAccount", "StatefulSet"]
    assert sorted(kinds) == sorted(few if case == "defaults" else [*few, "Ingress", "ServiceMonitor"])


@pytest.mark.parametrize("case", CASES)
def test_what_comes_out_is_well_formed_yaml(case: str) -> None:
    yamllint = program("yamllint", "pip install yamllint")
    off = ", ".join(f"{rule}: disable" for rule in ("line-length", "empty-lines", "trailing-spaces"))
    rules = f"{{extends: relaxed, rules: {{indentation: {{indent-sequences: whatever}}, {off}}}}}"
    for path, text in _texts(CASES[case]).items():
        if text.strip() and not path.endswith("NOTES.txt"):
            command = [yamllint, "--strict", "-d", rules, "-"]
            result = subprocess.run(command, input=text, check=False, capture_output=True, text=True)
            assert result.returncode == 0, f"{path}: {result.stdout}"


@pytest.mark.parametrize("case", CASES)
def test_pods_are_restricted(case: str) -> None:
    pod = rendered(CASES[case])["StatefulSet/ask-rag-bot"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for name, container in _containers(CASES[case]).items():
        if name not in {"side", "fetch"}:
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("case", CASES)
def test_it_names_settings_that_exist_and_no_secret_as_a_variable(case: str) -> None:
    for name, container in _containers(CASES[case]).items():
        variables = {one["name"]: one for one in container.get("env", [])}
        assert {one for one in variables if one.startswith("RAG_BOT_")} - SETTINGS == set()
        assert all("value" in one for one in variables.values())
        assert name in {"side", "fetch"} or variables["RAG_BOT_AUTH"]["value"] == "on"


def test_each_pod_has_a_disk_of_its_own() -> None:
    (claim,) = rendered(FULL)["StatefulSet/ask-rag-bot"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "local-nvme",
        "resources": {"requests": {"storage": "50Gi"}},
    }
    for name in ("first-sync", "rag-bot", "sync", "slack"):
        mounts = {mount["name"]: mount for mount in _containers(FULL)[name]["volumeMounts"]}
        assert mounts["index"]["mountPath"] == "/index" and mounts["documents"]["readOnly"] is True


def test_settings_and_readers_are_files_that_can_be_read() -> None:
    data = rendered(FULL)["ConfigMap/ask-rag-bot"]["data"]
    assert tomllib.loads(data["rag-bot.toml"])["max_wrong"] == 0.2
    assert tomllib.loads(data["readers.toml"])["documents"] == {"/documents/hr": ["hr"]}
    variables = {one["name"]: one["value"] for one in _containers(FULL)["rag-bot"]["env"]}
    assert variables["RAG_BOT_READERS"] == "/etc/rag-bot/readers.toml"
    assert variables["RAG_BOT_PUBLIC_URL"] == "https://ask.example.com"
    assert variables["RAG_BOT_QUESTIONS_PER_DAY"] == "500"
    assert "readers.toml" not in rendered({})["ConfigMap/ask-rag-bot"]["data"]


def test_a_changed_configuration_starts_the_pods_anew_and_changed_readers_do_not() -> None:
    def annotations(**values: Any) -> Any:
        return rendered(values)["StatefulSet/ask-rag-bot"]["spec"]["template"]["metadata"]["annotations"]

    assert annotations(config="passages = 5") != annotations(config="passages = 6")
    assert annotations(readers="[people]") == annotations(readers="[documents]")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"replicaCount": 2}, "sharedState"),
        ({"replicaCount": 2, "sharedState": True}, "documents.volume"),
        ({"replicaCont": 2}, "replicaCont"),
        ({"ingress": {"enabled": True}}, "host"),
        ({"persistence": {"size": "much"}}, "size"),
        ({"existingSecret": ""}, "existingSecret"),
        ({"documents": {"syncSeconds": 1}}, "syncSeconds"),
    ],
)
def test_what_can_not_work_is_refused_with_the_name_of_the_value(values: dict[str, Any], why: str) -> None:
    with pytest.raises(helm.HelmError, match=why):
        rendered(values)


def test_the_schema_is_one_and_knows_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    pytest.importorskip("jsonschema", reason="pip install kubernetes-validate").Draft7Validator.check_schema(schema)
    assert set(values) == set(schema["properties"]) - {"global"}


def test_the_notes_warn_of_uploads_with_several_pods() -> None:
    def notes(values: dict[str, Any]) -> str:
        return next(text for path, text in _texts(values).items() if path.endswith("NOTES.txt"))

    assert "https://ask.example.com" in notes(FULL)
    assert "WARNING: what is uploaded" in notes(FULL)
    assert "WARNING" not in notes({})


def test_names_stay_within_what_kubernetes_takes() -> None:
    for name in ("rag-bot", "x" * 53):
        assert all(len(one["metadata"]["name"]) <= 63 for one in rendered({}, name).values())


def test_the_chart_is_of_the_packages_version() -> None:
    project = tomllib.load(io.BytesIO((ROOT / "pyproject.toml").read_bytes()))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == project["version"]


def _script(name: str, folder: Path, ingest: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a container's script with an `ingest` that is a shell script, in place of ours."""
    (folder / "bin").mkdir()
    stand_in = folder / "bin" / "ingest"
    stand_in.write_text(f"#!/bin/sh\n{ingest}\n", encoding="utf-8")
    stand_in.chmod(0o755)
    script = _containers(FULL)[name]["command"][2].replace("/index/", f"{folder}/")
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    return subprocess.Popen(["sh", "-c", script, *arguments], env=environment, text=True)


def test_the_sync_container_goes_on_after_a_failure_and_ends_when_told_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = _script("sync", tmp_path, f'echo "$@" >>{log}; exit 1', "/documents", "0")
    while not log.exists() or log.read_text(encoding="utf-8").count("sync /documents\n") < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("exits", "listed", "code"), [(0, "[]", 0), (1, '[{"document_id": "d"}]', 0), (1, "[]", 1), (1, "", 1)], ids=str
)
def test_a_pod_starts_with_the_documents_it_has(tmp_path: Path, exits: int, listed: str, code: int) -> None:
    ingest = f"""[ "$1" = list ] && {{ echo '{listed}'; exit 0; }}; exit {exits}"""
    assert _script("first-sync", tmp_path, ingest, "/documents").wait(timeout=60) == code


def test_what_the_pod_looks_for_is_in_a_list_of_documents(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Dogs\n\nDogs may come on Fridays.\n", encoding="utf-8")
    environment = {**os.environ, "RAG_BOT_INDEX": str(tmp_path / "index"), "RAG_BOT_EMBEDDER": "hash"}

    def ingest(*arguments: str) -> str:
        command = [sys.executable, "-m", "ingest.cli", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout

    ingest("sync", str(tmp_path / "nowhere"))
    assert "document_id" not in ingest("list", "--json")
    ingest("add", str(tmp_path / "a.md"))
    assert "document_id" in ingest("list", "--json")
