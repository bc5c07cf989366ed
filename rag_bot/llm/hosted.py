"""Hosted LLMs through LangChain: each provider's own package is an extra, imported when it is chosen."""

from __future__ import annotations

import importlib
import itertools
import math
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag_bot.errors import BadSetting, LLMUnavailable
from rag_bot.llm.llm import Engine
from rag_bot.llm.spec import LLMSpec

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_CONTEXT = 8192  # where nobody knows the model: what small servers (Ollama, llama.cpp) often run with
_SECONDS = 60.0  # of silence on a connection
_THOUGHTS = 2048  # tokens that a model may think before it answers; they are charged to the same limit
_REASONING = re.compile(r"(o\d|gpt-[5-9])(?!.*-chat)")  # OpenAI's models that think, also where no table knows them
_NO_TEMPERATURE = re.compile(r"^o\d|^gpt-[5-9]|claude|^gemini-[3-9]")  # they refuse one, or go round in circles at 0
_loaded = itertools.count()
_COMMON = ("base_url", "context", "effort", "timeout")
_SECRET = re.compile(r"key|token|secret|password|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting of one LLM, read and checked: `temperature` is None where it is not to be sent, `url` may be empty."""

    name: str
    model: str
    url: str
    key: str
    timeout: float
    temperature: float | None
    more: dict[str, str]


@dataclass(frozen=True, slots=True)
class Made:
    """A provider's chat model; `limit` turns the most tokens of a reply into its own keywords, and `headers` those of a
    request; `threaded` says that it can't wait without a thread."""

    chat: BaseChatModel
    limit: Callable[[int], dict[str, Any]] = lambda tokens: {"max_tokens": tokens}
    headers: Callable[[dict[str, str]], dict[str, Any]] = lambda headers: {"extra_headers": headers}
    threaded: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """Where an LLM is hosted. `module` comes with the extra `extra`; the first of the variables `keys` that is set is its
    key, all of `needs` must be set, and what `hidden` hold is secret, too; `leaves` says what leaves the machine, and to
    whom."""

    title: str
    extra: str
    module: str
    make: Callable[[Choice], Made]
    leaves: str
    keys: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    key_needed: bool = True
    options: tuple[str, ...] = ("temperature",)


def load_hosted(spec: LLMSpec) -> Engine:
    """The chat model of a hosted LLM; nothing is sent yet. Raises BadSetting or LLMUnavailable."""
    provider = PROVIDERS[spec.provider]
    choice = _choice(spec, provider)
    context = _number(spec, "context", 0)
    try:
        importlib.import_module(provider.module)
        importlib.import_module("langchain")
    except ModuleNotFoundError as error:
        raise LLMUnavailable(
            f"The LLM {spec.name} needs the package {error.name}, which is not installed.",
            f"pip install 'rag-bot[{provider.extra}]'",
        ) from error
    from rag_bot.llm.hosted_chat import HostedChatModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the providers' packages have to say to programmers
            made = provider.make(choice)
    except (LLMUnavailable, BadSetting):
        raise
    except Exception as error:  # each package has errors of its own
        reason = (str(error).strip().splitlines() or [""])[0].replace(choice.key or "\0", "…")
        raise BadSetting(
            f"The LLM {spec.name} can't be set up: {type(error).__name__}: {reason}", "See docs/llms.md."
        ) from None
    chat = HostedChatModel(
        inner=made.chat,
        llm=spec.name,
        provider=provider.title,
        variables=provider.keys,
        secrets=tuple(value for name in (*provider.keys, *provider.hidden) if (value := os.environ.get(name, "").strip())),
        limit=made.limit,
        threaded=made.threaded,
        headers=made.headers,
    )
    profile = made.chat.profile or {}
    return Engine(chat, int(context) or profile.get("max_input_tokens") or _CONTEXT)


def _choice(spec: LLMSpec, provider: Provider) -> Choice:
    known = (*_COMMON, *provider.options)
    for option in spec.options:
        if _SECRET.search(option) and option not in known:
            where = " or ".join(provider.keys) or "the provider's own place for credentials"
            raise BadSetting(f"RAG_BOT_LLM holds {option!r}: a key never stands there.", f"Put it into {where}.")
        if option not in known:
            raise BadSetting(
                f"RAG_BOT_LLM has the option {option!r}, which {provider.title} does not know.",
                f"Known are {', '.join(known)}.",
            )
    url = (spec.url or spec.options.get("base_url", "")).rstrip("/")
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise BadSetting(f"The base_url {url!r} in RAG_BOT_LLM is no address.", "Write it like http://127.0.0.1:8000/v1.")
    if "@" in urlsplit(url).netloc:
        raise BadSetting("The address in RAG_BOT_LLM holds a password: it never stands there.", "Leave out user and password.")
    if not spec.model:
        raise BadSetting(
            f"RAG_BOT_LLM names no model of {provider.title}.", f"Write it like {spec.provider}:model or http://host/v1#model."
        )
    key = next((value for name in provider.keys if (value := os.environ.get(name, "").strip())), "")
    missing = [name for name in provider.needs if not os.environ.get(name, "").strip()]
    if provider.keys and provider.key_needed and not key:
        missing.insert(0, provider.keys[0])
    if missing:
        raise LLMUnavailable(
            f"The LLM {spec.name} needs {' and '.join(missing)} in the environment.",
            f"Set {missing[0]}, or take another LLM in RAG_BOT_LLM.",
        )
    temperature = None if spec.options.get("temperature") == "" else _number(spec, "temperature", 0.0)
    if "temperature" not in spec.options and _NO_TEMPERATURE.search(spec.model.lower()):
        temperature = None
    more = {option: spec.options[option] for option in (*provider.options, "effort") if option in spec.options}
    return Choice(spec.name, spec.model, url, key, _number(spec, "timeout", _SECONDS), temperature, more)


def _number(spec: LLMSpec, option: str, default: float) -> float:
    text = spec.options.get(option)
    if text is None:
        return default
    try:
        number = float(text)
        if math.isfinite(number) and (number > 0 or (option == "temperature" and number == 0)):
            return number
    except ValueError:
        pass
    raise BadSetting(f"The option {option}={text} in RAG_BOT_LLM is no number that can be used.", f"Write it like {option}=1.")


def _init(model: str, provider: str, choice: Choice, **options: Any) -> BaseChatModel:
    """LangChain's own way to a chat model. What has no value is left to the package, which reads its own variables."""
    from langchain.chat_models import init_chat_model

    # Some packages share the connections of all models with the same timeout, in event loops, too, where they are dead.
    timeout = choice.timeout + next(_loaded) / 1e6
    options = {"timeout": timeout, "temperature": choice.temperature, **options}
    chat: BaseChatModel = init_chat_model(
        model, model_provider=provider, **{name: value for name, value in options.items() if value not in (None, "")}
    )
    # A newer model may refuse a temperature; the package's table of models knows of some.
    if "temperature" in options and (chat.profile or {}).get("temperature") is False:
        chat.temperature = None  # type: ignore[attr-defined]
    return chat


def _room(chat: BaseChatModel, choice: Choice, thinks: bool = False) -> int:
    """Tokens for the thoughts of a model that thinks; such a one is told to think little."""
    levels = (chat.profile or {}).get("reasoning_effort_levels") or (["low"] if thinks else [])
    effort = choice.more.get("effort") or ("low" if "low" in levels else "")
    if effort:
        chat.reasoning_effort = effort  # type: ignore[attr-defined]
    return _THOUGHTS if effort else 0


# --- OpenAI's wire form


def _openai(choice: Choice) -> Made:
    return _completions(choice, _init(choice.model, "openai", choice, api_key=choice.key, base_url=choice.url, **_OPENAI))


def _azure(choice: Choice) -> Made:
    chat = _init(
        choice.model,
        "azure_openai",
        choice,
        api_key=choice.key,
        azure_deployment=choice.model,
        azure_endpoint=choice.url or os.environ.get("AZURE_OPENAI_ENDPOINT", ""),
        api_version=choice.more.get("api_version") or os.environ.get("OPENAI_API_VERSION") or "2024-10-21",
        **_OPENAI,
    )
    return _completions(choice, chat)


def _completions(choice: Choice, chat: BaseChatModel) -> Made:
    room = _room(chat, choice, _REASONING.match(choice.model.lower()) is not None)
    return Made(chat, lambda tokens: {"max_completion_tokens": tokens + room})


# Chat Completions whatever the model: it is what is tested here. The chain of LLMs is what takes a failed one's place. The
# package's own limit between two chunks reads each in a task of its own; one that is cancelled before its first step leaves the
# connection open, and the server goes on writing. The limits of the connection and of the question are ours.
_OPENAI: dict[str, Any] = {"stream_usage": True, "use_responses_api": False, "max_retries": 0, "stream_chunk_timeout": 0}


def _speaks_openai(url: str) -> Callable[[Choice], Made]:
    """A server of OpenAI's form at `url`, where the setting names no other."""

    def make(choice: Choice) -> Made:
        # A word in the key's place: without one, the package would send the key of OpenAI to another's server.
        chat = _init(choice.model, "openai", choice, api_key=choice.key or "none", base_url=choice.url or url, **_OPENAI)
        room = _room(chat, choice)
        # Under the name that all of them know; the package would write it as OpenAI's newest models want it.
        return Made(chat, lambda tokens: {"extra_body": {"max_tokens": tokens + room}})

    return make


def _openai_compatible(choice: Choice) -> Made:
    if not choice.url:
        raise BadSetting(
            "RAG_BOT_LLM names no address of the OpenAI-compatible server.",
            "Write it like openai-compatible:http://127.0.0.1:8000/v1#model.",
        )
    return _speaks_openai("")(choice)


def _databricks(choice: Choice) -> Made:
    host = os.environ["DATABRICKS_HOST"].rstrip("/")
    return _speaks_openai(f"{host if '://' in host else f'https://{host}'}/serving-endpoints")(choice)


# --- the others


def _anthropic(choice: Choice) -> Made:
    options = {"api_key": choice.key, "base_url": choice.url, "max_retries": 0, "temperature": None}
    return _plain(choice, _init(choice.model, "anthropic", choice, **options))


def _plain(choice: Choice, chat: BaseChatModel) -> Made:
    room = _room(chat, choice)
    return Made(chat, lambda tokens: {"max_tokens": tokens + room})


def _google(choice: Choice) -> Made:
    return _gemini(choice, vertexai=False, api_key=choice.key)


def _vertex(choice: Choice) -> Made:
    location = choice.more.get("location") or os.environ.get("GOOGLE_CLOUD_LOCATION") or "global"
    return _gemini(choice, vertexai=True, project=os.environ["GOOGLE_CLOUD_PROJECT"], location=location)


def _gemini(choice: Choice, **options: Any) -> Made:
    # Its package takes 1 for no second try, and 0 for its own default of five.
    options |= {"base_url": choice.url, "max_retries": 1}
    thinks = choice.model.startswith("gemini-2.5")  # by a budget instead of a level
    chat = _init(choice.model, "google_genai", choice, **options, thinking_budget=512 if thinks else None)
    if choice.temperature is None:
        chat.temperature = None  # type: ignore[attr-defined]  # which its package sets by itself
    room = _THOUGHTS if thinks else _room(chat, choice)
    return Made(
        chat,
        lambda tokens: {"max_output_tokens": tokens + room},
        lambda headers: {"http_options": {"headers": headers}},
    )


def _bedrock(choice: Choice) -> Made:
    chat = _init(
        choice.model,
        "bedrock_converse",
        choice,
        timeout=None,
        base_url=choice.url,
        region_name=choice.more.get("region"),
        config=_boto(choice),
    )
    return _threaded(choice, chat)


def _sagemaker(choice: Choice) -> Made:
    from rag_bot.llm.sagemaker import load_endpoint

    chat = load_endpoint(
        choice.model,
        url=choice.url,
        region=choice.more.get("region") or os.environ.get("AWS_REGION"),
        config=_boto(choice),
        temperature=choice.temperature,
    )
    return _threaded(choice, chat)


def _threaded(choice: Choice, chat: BaseChatModel) -> Made:
    from rag_bot.llm.reading import watch

    watch(chat.client)  # type: ignore[attr-defined]
    return replace(_plain(choice, chat), headers=lambda _: {}, threaded=True)  # `watch` adds them


def _boto(choice: Choice) -> object:
    from botocore.config import Config

    return Config(connect_timeout=min(choice.timeout, 10.0), read_timeout=choice.timeout, retries={"total_max_attempts": 1})


_PROMPT = "The prompt (rules, question, passages, earlier turns)"
_AWS: dict[str, Any] = {
    "options": ("region", "temperature"),
    "hidden": ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"),
}

PROVIDERS: dict[str, Provider] = {
    "openai": Provider("OpenAI", "openai", "langchain_openai", _openai, f"{_PROMPT}, to api.openai.com", ("OPENAI_API_KEY",)),
    "openai-compatible": Provider(
        "an OpenAI-compatible server",
        "openai",
        "langchain_openai",
        _openai_compatible,
        f"{_PROMPT}, to the address in the setting; nothing if that is this machine",
        ("OPENAI_COMPATIBLE_API_KEY",),
        key_needed=False,
    ),
    "azure": Provider(
        "Azure OpenAI",
        "azure",
        "langchain_openai",
        _azure,
        f"{_PROMPT}, to your resource at Azure",
        ("AZURE_OPENAI_API_KEY",),
        ("AZURE_OPENAI_ENDPOINT",),
        options=("api_version", "temperature"),
    ),
    "anthropic": Provider(
        "Anthropic",
        "anthropic",
        "langchain_anthropic",
        _anthropic,
        f"{_PROMPT}, to api.anthropic.com",
        ("ANTHROPIC_API_KEY",),
        options=(),  # its API takes no temperature any more
    ),
    "google": Provider(
        "the Gemini API",
        "google",
        "langchain_google_genai",
        _google,
        f"{_PROMPT}, to generativelanguage.googleapis.com",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    ),
    "vertex": Provider(
        "Vertex AI",
        "vertex",
        "langchain_google_genai",
        _vertex,
        f"{_PROMPT}, to your project at Google Cloud",
        needs=("GOOGLE_CLOUD_PROJECT",),
        options=("location", "temperature"),
    ),
    "bedrock": Provider(
        "Amazon Bedrock",
        "bedrock",
        "langchain_aws",
        _bedrock,
        f"{_PROMPT}, to Bedrock in your AWS account's region",
        **_AWS,
    ),
    "sagemaker": Provider(
        "Amazon SageMaker",
        "sagemaker",
        "langchain_aws",
        _sagemaker,
        f"{_PROMPT}, to the endpoint in your AWS account",
        **_AWS,
    ),
    "nvidia": Provider(
        "NVIDIA NIM",
        "nvidia",
        "langchain_openai",
        _speaks_openai("https://integrate.api.nvidia.com/v1"),
        f"{_PROMPT}, to integrate.api.nvidia.com, or to your own NIM",
        ("NVIDIA_API_KEY",),
    ),
    "huggingface": Provider(
        "Hugging Face",
        "huggingface",
        "langchain_openai",
        _speaks_openai("https://router.huggingface.co/v1"),
        f"{_PROMPT}, to router.huggingface.co and the provider it chooses, or to your own TGI",
        ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN"),
    ),
    "databricks": Provider(
        "Databricks",
        "databricks",
        "langchain_openai",
        _databricks,
        f"{_PROMPT}, to your workspace",
        ("DATABRICKS_TOKEN",),
        ("DATABRICKS_HOST",),
    ),
}
