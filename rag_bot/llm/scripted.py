"""An LLM that says what a file tells it to: for tests and for trying the machinery without a model."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import BaseModel, ValidationError

from rag_bot.errors import BadSetting, LLMUnavailable

_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")


class Reply(BaseModel):
    """What is said to a prompt that holds `when` (any prompt, if empty), after `seconds`, word by word with a `pause` in
    seconds after each; with `fail`, an error follows."""

    when: str = ""
    say: str = ""
    fail: str = ""
    seconds: float = 0.0
    pause: float = 0.0


class SayingChatModel(BaseChatModel):
    """Says, word by word, what `reply_to` has for the last message."""

    def reply_to(self, prompt: str) -> Reply:
        """What is said to a prompt."""
        raise NotImplementedError

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        reply = self.reply_to(str(messages[-1].content))
        time.sleep(reply.seconds)
        for word in _WORD.findall(reply.say):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
            time.sleep(reply.pause)
        yield self._end(reply, messages)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        reply = self.reply_to(str(messages[-1].content))
        await asyncio.sleep(reply.seconds)
        for word in _WORD.findall(reply.say):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
            await asyncio.sleep(reply.pause)
        yield self._end(reply, messages)

    @staticmethod
    def _end(reply: Reply, messages: list[BaseMessage]) -> ChatGenerationChunk:
        if reply.fail:
            raise LLMUnavailable(reply.fail)
        words, said = sum(len(str(message.content).split()) for message in messages), len(reply.say.split())
        usage = UsageMetadata(input_tokens=words, output_tokens=said, total_tokens=words + said)
        return ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))


class ScriptedChatModel(SayingChatModel):
    """Says the first of its replies that fits the last message; one that no reply fits is an error."""

    replies: list[Reply]
    name: str | None = "scripted"

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a JSON list of replies: `[{"when": "holiday", "say": "2"}, {"say": "none"}]`."""
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            return cls(replies=[Reply.model_validate(row) for row in rows])
        except (OSError, ValueError, TypeError, ValidationError) as error:
            raise BadSetting(
                f"The script {path} of RAG_BOT_LLM can't be used: {str(error).splitlines()[0]}",
                'It must be a JSON list such as [{"when": "holiday", "say": "2"}].',
            ) from error

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def reply_to(self, prompt: str) -> Reply:
        reply = next((reply for reply in self.replies if reply.when in prompt), None)
        if reply is None:
            raise LLMUnavailable("The script has no reply to this.", 'Add {"say": "…"} without "when" at its end.')
        return reply
