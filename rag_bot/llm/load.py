"""The setting RAG_BOT_LLM to LLMs that can be asked. Providers are imported only when they are chosen."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from rag_bot.errors import BadSetting
from rag_bot.llm.llm import LLM, Engine
from rag_bot.llm.prices import Prices
from rag_bot.llm.spec import EXAMPLES, LLMSpec, parse_llms
from rag_bot.settings import Settings


def load_llms(setting: str, settings: Settings) -> tuple[LLM, ...]:
    """The LLMs of `setting` (RAG_BOT_LLM or RAG_BOT_JUDGE) in order. Raises BadSetting or LLMUnavailable."""
    prices = Prices.load(settings.prices)
    with ExitStack() as opened:
        llms = []
        for spec in parse_llms(setting):
            llms.append(load_llm(spec, settings, prices))
            opened.callback(llms[-1].close)
        opened.pop_all()  # all are there: they stay open
    return tuple(llms)


def load_llm(spec: LLMSpec, settings: Settings, prices: Prices) -> LLM:
    """One LLM. Raises BadSetting or LLMUnavailable."""
    return LLM(spec.name, load_engine(spec, settings), prices.of(spec), provider=spec.provider)


def load_engine(spec: LLMSpec, settings: Settings) -> Engine:
    """The chat model of one LLM. Raises BadSetting or LLMUnavailable."""
    if spec.provider == "scripted":
        from rag_bot.llm.scripted import ScriptedChatModel

        return Engine(ScriptedChatModel.from_file(Path(spec.model)))
    if spec.provider == "llama-cpp":
        from rag_bot.llm.llama_cpp import load_llama

        return load_llama(spec, settings)
    from rag_bot.llm.hosted import PROVIDERS, load_hosted

    if spec.provider in PROVIDERS:
        return load_hosted(spec)
    raise BadSetting(
        f"This version knows no provider {spec.provider!r} of LLMs.",
        f"Known are llama-cpp, scripted, {', '.join(PROVIDERS)}. Write it like {EXAMPLES}.",
    )
