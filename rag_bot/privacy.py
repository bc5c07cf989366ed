"""What leaves this machine under which setting, and to whom: read from the settings alone, before anything is sent."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from rag_bot.llm.hosted import PROVIDERS
from rag_bot.llm.spec import LLMSpec, parse_llms
from rag_bot.settings import Settings

Level = Literal[0, 1, 2]
"""How far what is asked and read goes: 0 it stays here, 1 to a server or cloud account of one's own, 2 to another company."""

LEVELS = ("stays on this machine", "goes to your own servers or cloud account", "goes to another company")

# Whose machines a provider's are, where the setting names no address.
OWN_ACCOUNT = frozenset(("azure", "vertex", "bedrock", "sagemaker", "databricks", "openai-compatible"))
OTHERS = frozenset(("openai", "anthropic", "google", "nvidia", "huggingface"))
# Variables by which a provider's own package is sent elsewhere.
_ELSEWHERE = {
    "openai": ("OPENAI_API_BASE", "OPENAI_BASE_URL"),
    "anthropic": ("ANTHROPIC_API_URL", "ANTHROPIC_BASE_URL"),
    "google": ("GOOGLE_GEMINI_BASE_URL",),
    "vertex": ("GOOGLE_VERTEX_BASE_URL",),
    "bedrock": ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"),
    "sagemaker": ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "AWS_ENDPOINT_URL"),
}
_CARRIED_EMBEDDERS = ("minilm", "hash")


@dataclass(frozen=True, slots=True)
class Outflow:
    """Something that leaves: under which setting, what, to whom, and when. `level` is 0 for what tells nothing of questions or
    documents, such as the name of a model that is fetched."""

    setting: str
    what: str
    to: str
    when: str
    level: Level


def outflows(settings: Settings) -> list[Outflow]:
    """All that leaves this machine with these settings; nothing where the list is empty. Raises BadSetting."""
    return [*_embedder(settings), *_llms(settings), *_judge(settings), *_state(settings)]


def level(flows: Sequence[Outflow]) -> Level:
    """The farthest that anything goes."""
    return max((flow.level for flow in flows), default=0)


def receiver(spec: LLMSpec) -> tuple[str, Level]:
    """Who gets what an LLM is sent; nothing where it stays on this machine."""
    provider = PROVIDERS.get(spec.provider)
    if provider is None:  # llama-cpp, scripted: in this process
        return "", 0
    address = spec.url or spec.options.get("base_url", "") or _variable(spec.provider)
    if address:
        host = urlsplit(address).hostname or address
        return ("", 0) if _is_here(host) else (host, 1)
    to = provider.leaves.partition(", to ")[2]
    return to, 1 if spec.provider in OWN_ACCOUNT else 2


def _llms(settings: Settings) -> Iterator[Outflow]:
    if settings.answer == "quote":
        return
    for number, spec in enumerate(parse_llms(settings.llm)):
        to, far = receiver(spec)
        if not to:
            continue
        if settings.answer == "quote-llm":
            what = "the question, and sentences of the passages found with the titles of their documents"
        else:
            what = f"the question, up to {settings.passages} passages with titles and headings, and earlier turns"
        when = "each question that is answered" if number == 0 else "each question on which the LLMs before it failed"
        yield Outflow(f"RAG_BOT_LLM ({spec.provider}:{spec.name})", what, to, when, far)
        if number == 0 and settings.rewrite_seconds:
            asked = "the question and the conversation's last turns"
            yield Outflow("RAG_BOT_REWRITE_SECONDS", asked, to, "each follow-up, answered or refused", far)


def _judge(settings: Settings) -> Iterator[Outflow]:
    if settings.answer == "quote" or not parse_llms(settings.llm):
        return
    for spec in parse_llms(settings.judge):
        to, far = receiver(spec)
        if to:
            yield Outflow(
                f"RAG_BOT_JUDGE ({spec.provider}:{spec.name})",
                "each written sentence and the quotes that prove it",
                to,
                "each sentence that an LLM has written",
                far,
            )


def _embedder(settings: Settings) -> Iterator[Outflow]:
    name = settings.embedder
    if name not in _CARRIED_EMBEDDERS and not Path(name).expanduser().exists():
        yield Outflow(
            f"RAG_BOT_EMBEDDER ({name})",
            "the name of the model; neither questions nor documents",
            "huggingface.co",
            "once, when it is fetched (HF_HUB_OFFLINE=1 forbids it)",
            0,
        )


def _state(settings: Settings) -> Iterator[Outflow]:
    host = urlsplit(settings.state_url).hostname  # never the rest: it may hold a password
    if host and not settings.state_url.startswith("sqlite") and not _is_here(host):
        yield Outflow("RAG_BOT_STATE", "questions, answers with their quotes, feedback", host, "each question", 1)


def _variable(provider: str) -> str:
    return next((value for name in _ELSEWHERE.get(provider, ()) if (value := os.environ.get(name, "").strip())), "")


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
