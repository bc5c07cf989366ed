"""LLMs: a LangChain chat model chosen by the setting RAG_BOT_LLM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rag_bot.errors import BadSetting

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def load_llm(spec: str) -> BaseChatModel:
    """The chat model that a setting such as `scripted:replies.json` means. Raises BadSetting or LLMUnavailable."""
    kind, _, rest = spec.partition(":")
    if kind == "scripted" and rest:
        from rag_bot.llm.scripted import ScriptedChatModel

        return ScriptedChatModel.from_file(Path(rest))
    raise BadSetting(
        f"RAG_BOT_LLM={spec!r} names no LLM that this version knows.",
        "Leave it out to answer with quotes alone, or use scripted:FILE to try the machinery.",
    )
