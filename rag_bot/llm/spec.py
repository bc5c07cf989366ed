"""The setting RAG_BOT_LLM as data: which LLMs, in which order, each with its provider, model, address and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import unquote

from rag_bot.errors import BadSetting

_FILES = (".gguf", ".json")  # other ends may be part of a name, such as qwen2.5
EXAMPLES = "llama-cpp:/models/x.gguf, openai:gpt-5-mini or openai-compatible:http://127.0.0.1:8080/v1#model"


@dataclass(frozen=True, slots=True)
class LLMSpec:
    """One LLM of the setting: `provider:model?option=value&…`, or `provider:http://host/v1?option=value#model`."""

    provider: str
    model: str
    url: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What users see: the model's name, without the folder or host that it stands in."""
        if self.provider in ("llama-cpp", "scripted"):
            path = PurePath(self.model)
            return (path.stem if path.suffix.lower() in _FILES else path.name) or self.provider
        return self.model or self.provider


def parse_llms(setting: str) -> tuple[LLMSpec, ...]:
    """The LLMs of a setting in the order in which they are tried; a last `quote` may be said, and is meant anyway.

    Commas part them; one inside a name is written %2C. Raises BadSetting.
    """
    texts = [text.strip() for text in setting.split(",") if text.strip()]
    if texts and texts[-1] == "quote":
        texts.pop()
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> LLMSpec:
    provider, colon, rest = text.partition(":")
    provider, rest = provider.strip().lower(), rest.strip()
    if not colon or not provider or not rest:
        raise BadSetting(f"The LLM {text!r} is not written as provider:model.", f"Write it like {EXAMPLES}.")
    url = ""
    if rest.startswith(("http://", "https://")):
        rest, _, model = rest.partition("#")
        url, _, query = rest.partition("?")
    else:
        model, _, query = rest.partition("?")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    options = {unquote(name): unquote(value) for name, _, value in pairs}  # a plus sign in a path stays one
    return LLMSpec(provider, unquote(model.strip()), url.rstrip("/"), options)
