"""Each hosted provider with a server that speaks its wire form, for the tests of hosted LLMs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rag_bot.budget import Budget
from rag_bot.llm.hosted import PROVIDERS, load_hosted
from rag_bot.llm.llm import LLM
from rag_bot.llm.spec import parse_llms
from tests.fakes import aws, gemini
from tests.fakes.anthropic import AnthropicServer
from tests.fakes.openai import OpenAIServer
from tests.fakes.server import KEY, FakeServer

AWS = {
    "AWS_ACCESS_KEY_ID": aws.ACCESS,
    "AWS_SECRET_ACCESS_KEY": aws.SECRET,
    "AWS_SESSION_TOKEN": aws.SESSION,
    "AWS_REGION": aws.REGION,
}
MESSAGES = [("system", "Be short."), ("user", "Hello."), ("assistant", "Good day."), ("user", "How many days?")]


@dataclass(frozen=True)
class Case:
    """A provider's setting (`{url}` is the server's address) and the environment that it needs."""

    server: Callable[[], FakeServer]
    setting: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def provider(self) -> str:
        return self.setting.partition(":")[0]


def _small(key: str = KEY) -> FakeServer:
    return OpenAIServer("small", limit="max_tokens", key=key)


CASES = {
    "openai": Case(OpenAIServer, "openai:gpt-4.1-mini?base_url={url}/v1", {"OPENAI_API_KEY": KEY}),
    "openai that thinks": Case(
        lambda: OpenAIServer("gpt-5-mini"), "openai:gpt-5-mini?base_url={url}/v1", {"OPENAI_API_KEY": KEY}
    ),
    "openai by its own variable": Case(
        OpenAIServer, "openai:gpt-4.1-mini", {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "{url}/v1"}
    ),
    "openai-compatible": Case(_small, "openai-compatible:{url}/v1#small", {"OPENAI_COMPATIBLE_API_KEY": KEY}),
    "openai-compatible without a key": Case(
        lambda: _small("none"), "openai-compatible:{url}/v1#small", {"OPENAI_API_KEY": "sk-of-another-0123456789"}
    ),
    "azure": Case(
        lambda: OpenAIServer("ours", "/openai/deployments/ours/chat/completions", azure=True),
        "azure:ours",
        {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "{url}"},
    ),
    "anthropic": Case(AnthropicServer, "anthropic:claude-haiku-4-5?base_url={url}", {"ANTHROPIC_API_KEY": KEY}),
    "anthropic that thinks": Case(
        lambda: AnthropicServer("claude-opus-5-5"), "anthropic:claude-opus-5-5?base_url={url}", {"ANTHROPIC_API_KEY": KEY}
    ),
    "anthropic by its own variable": Case(
        AnthropicServer, "anthropic:claude-haiku-4-5", {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "{url}"}
    ),
    "google": Case(gemini.GeminiServer, f"google:{gemini.MODEL}?base_url={{url}}", {"GOOGLE_API_KEY": KEY}),
    "vertex": Case(
        lambda: gemini.GeminiServer(vertex=True),
        f"vertex:{gemini.MODEL}?base_url={{url}}&location={gemini.LOCATION}",
        {"GOOGLE_CLOUD_PROJECT": gemini.PROJECT, "GOOGLE_APPLICATION_CREDENTIALS": "{account}"},
    ),
    "bedrock": Case(aws.BedrockServer, f"bedrock:{aws.MODEL}?base_url={{url}}", AWS),
    "sagemaker": Case(aws.SageMakerServer, f"sagemaker:{aws.ENDPOINT}?base_url={{url}}", AWS),
    "nvidia": Case(_small, "nvidia:small?base_url={url}/v1", {"NVIDIA_API_KEY": KEY}),
    "huggingface": Case(_small, "huggingface:{url}/v1#small", {"HF_TOKEN": KEY}),
    "databricks": Case(
        lambda: OpenAIServer("small", "/serving-endpoints/chat/completions", limit="max_tokens"),
        "databricks:small",
        {"DATABRICKS_TOKEN": KEY, "DATABRICKS_HOST": "{url}"},
    ),
}
FORMS = ("openai", "azure", "anthropic", "google", "vertex", "bedrock", "sagemaker")
"""One case for each wire form and client library."""

VARIABLES = {
    *(name for case in CASES.values() for name in case.environment),
    *(name for provider in PROVIDERS.values() for name in (*provider.keys, *provider.needs, *provider.hidden)),
    *("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "OPENAI_API_BASE", "OPENAI_ORG_ID", "LANGSMITH_GATEWAY"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
}


def needed(name: str) -> None:
    """Skips a test whose provider's package is not installed."""
    provider = PROVIDERS[CASES[name].provider]
    pytest.importorskip("langchain", reason=f"needs the extra `{provider.extra}`")
    pytest.importorskip(provider.module, reason=f"needs the extra `{provider.extra}`")


def llm_of(name: str, server: FakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> LLM:
    """The LLM of a case, set up as a user would, against the server; `more` are options such as `&timeout=1`."""
    case = CASES[name]
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    account = server.account(folder) if isinstance(server, gemini.GeminiServer) and server.vertex else ""
    for variable, value in case.environment.items():
        monkeypatch.setenv(variable, value.format(url=server.url, account=account))
    setting = case.setting.format(url=server.url)
    if more:
        address, hash_, model = setting.partition("#")
        setting = f"{address}{'&' if '?' in address else '?'}{more}{hash_}{model}"
    [spec] = parse_llms(setting)
    return LLM(spec.name, load_hosted(spec))


async def asked(
    llm: LLM, first: float = 5.0, whole: float = 10.0, **options: Any
) -> tuple[list[str], Budget, Exception | None]:
    """The pieces of a reply, the budget that it was paid from, and the error that it ended with."""
    budget, pieces = Budget(first, whole), []
    stream = llm.stream(MESSAGES, budget, **{"max_tokens": 50, **options})
    while True:
        try:
            pieces.append(await anext(stream))
        except StopAsyncIteration:
            return pieces, budget, None
        except Exception as error:
            return pieces, budget, error
