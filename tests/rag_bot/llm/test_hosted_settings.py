"""What the setting of a hosted LLM may say, what it needs, and what it is told when something is missing."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from rag_bot.errors import BadSetting, BotError, LLMUnavailable
from rag_bot.llm.hosted import PROVIDERS, load_hosted
from rag_bot.llm.llm import Engine
from rag_bot.llm.spec import parse_llms
from tests.fakes.server import KEY
from tests.rag_bot.llm.providers import AWS, CASES, VARIABLES, asked, llm_of, needed

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def load(setting: str) -> Engine:
    [spec] = parse_llms(setting)
    return load_hosted(spec)


def refused(setting: str) -> BotError:
    with pytest.raises((BadSetting, LLMUnavailable)) as caught:
        load(setting)
    return caught.value


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_package_that_is_not_there_is_answered_with_the_install_line(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    for variable in (*PROVIDERS[provider].keys, *PROVIDERS[provider].needs):
        monkeypatch.setenv(variable, "x")
    monkeypatch.setitem(sys.modules, PROVIDERS[provider].module, None)
    error = refused(f"{provider}:model")
    assert isinstance(error, LLMUnavailable)
    assert PROVIDERS[provider].module in str(error)
    assert error.hint == f"pip install 'rag-bot[{PROVIDERS[provider].extra}]'"


def test_every_extra_is_one_of_the_project() -> None:
    page = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for provider in PROVIDERS.values():
        packages = re.search(rf"^{provider.extra} = (\[.*\])$", page, re.MULTILINE)
        assert packages and provider.module.replace("_", "-") in packages[1] and '"langchain>' in packages[1]


@pytest.mark.parametrize("provider", [name for name, one in PROVIDERS.items() if one.keys and one.key_needed])
def test_a_missing_key_is_named_by_its_variable(provider: str) -> None:
    error = refused(f"{provider}:model")
    assert isinstance(error, LLMUnavailable)
    assert PROVIDERS[provider].keys[0] in str(error) and PROVIDERS[provider].keys[0] in error.hint
    assert all(variable in str(error) for variable in PROVIDERS[provider].needs)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("option", ["api_key", "token", "aws_secret_access_key"])
def test_a_key_in_the_setting_is_refused_and_not_shown(provider: str, option: str) -> None:
    error = refused(f"{provider}:model?{option}={KEY}")
    assert isinstance(error, BadSetting)
    assert option in str(error) and KEY not in f"{error} {error.hint}"
    assert not PROVIDERS[provider].keys or PROVIDERS[provider].keys[0] in error.hint


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    error = refused(f"openai-compatible:http://user:{KEY}@127.0.0.1/v1#model")
    assert isinstance(error, BadSetting) and KEY not in f"{error} {error.hint}"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_option_that_is_not_known_is_named_with_those_that_are(provider: str) -> None:
    error = refused(f"{provider}:model?tempreature=0")
    assert isinstance(error, BadSetting)
    assert "'tempreature'" in str(error)
    assert all(option in error.hint for option in ("base_url", "context", "timeout", *PROVIDERS[provider].options))


@pytest.mark.parametrize(
    "option", ["context=many", "context=-1", "context=0", "timeout=0", "timeout=nan", "timeout=inf", "temperature=warm"]
)
def test_a_number_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    error = refused(f"openai:gpt-4.1-mini?{option}")
    assert isinstance(error, BadSetting) and option in str(error)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://"])
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert isinstance(refused(f"openai:gpt-4.1-mini?base_url={url}"), BadSetting)


@pytest.mark.parametrize("setting", ["openai-compatible:http://127.0.0.1:8000/v1", "openai-compatible:model"])
def test_an_openai_compatible_server_needs_an_address_and_a_model(setting: str) -> None:
    needed("openai-compatible")
    error = refused(setting)
    assert isinstance(error, BadSetting) and "http" in error.hint and "#model" in error.hint


# --- what is known of a model


def test_the_context_is_what_the_setting_says_or_the_table_or_what_small_servers_run_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed("openai")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert load("openai:gpt-4o?context=1000").context == 1000
    assert load("openai:gpt-4o").context == 128_000
    assert load("openai-compatible:http://127.0.0.1:1/v1#nobody-knows-me").context == 8192


async def sent(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> Any:
    """The body of a request with these options."""
    needed(name)
    with CASES[name].server() as server:
        llm = llm_of(name, server, tmp_path, monkeypatch, more)
        await asked(llm)
        return server.seen[-1].request.json


async def test_a_temperature_is_sent_as_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await sent("openai", tmp_path, monkeypatch, ""))["temperature"] == 0
    assert (await sent("openai", tmp_path, monkeypatch, "temperature=0.5"))["temperature"] == 0.5
    assert "temperature" not in await sent("openai", tmp_path, monkeypatch, "temperature=")
    assert (await sent("google", tmp_path, monkeypatch, ""))["generationConfig"]["temperature"] == 0
    assert (await sent("bedrock", tmp_path, monkeypatch, "temperature=0.5"))["inferenceConfig"]["temperature"] == 0.5


@pytest.mark.parametrize("name", ["openai that thinks", "anthropic that thinks"])
async def test_a_model_that_thinks_is_told_to_think_little_and_has_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for more, effort in (("", "low"), ("effort=high", "high")):
        body = await sent(name, tmp_path, monkeypatch, more)
        assert "temperature" not in body
        assert (body.get("reasoning_effort") or body["output_config"]["effort"]) == effort
        assert (body.get("max_completion_tokens") or body["max_tokens"]) > 2000


async def test_the_key_of_openai_is_never_sent_to_the_server_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("openai-compatible without a key")
    case = CASES["openai-compatible without a key"]
    with case.server() as server:
        await asked(llm_of("openai-compatible without a key", server, tmp_path, monkeypatch))
        request = server.seen[-1].request
    assert case.environment["OPENAI_API_KEY"] not in f"{request.headers} {request.body!r}"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_is_sent_while_an_llm_is_set_up(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed(next(name for name, case in CASES.items() if case.provider == provider))

    def no(*_: Any) -> NoReturn:
        raise AssertionError("the network was used")

    for variable in (*PROVIDERS[provider].keys, *PROVIDERS[provider].needs):
        monkeypatch.setenv(variable, "https://ours.example" if variable.endswith(("HOST", "ENDPOINT")) else KEY)
    for variable, value in AWS.items():
        monkeypatch.setenv(variable, value)
    if provider == "vertex":
        from tests.fakes.gemini import GeminiServer

        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(GeminiServer(vertex=True).account(tmp_path)))
    monkeypatch.setattr(socket.socket, "connect", no)
    monkeypatch.setattr(socket, "getaddrinfo", no)
    address = "http://127.0.0.1:1/v1#" if provider == "openai-compatible" else ""
    load(f"{provider}:{address}some-model-of-theirs")


# --- the page


def test_the_page_has_a_line_for_each_provider() -> None:
    page = (ROOT / "docs/llms.md").read_text(encoding="utf-8")
    rows = {row[0]: row[1] for row in re.findall(r"^\| `([a-z-]+):[^|]*\|(.*)\|$", page, re.MULTILINE)}
    assert rows.keys() >= PROVIDERS.keys()
    for name, provider in PROVIDERS.items():
        assert f"rag-bot[{provider.extra}]" in rows[name]
        assert all(f"`{variable}`" in rows[name] for variable in (*provider.keys, *provider.needs))
