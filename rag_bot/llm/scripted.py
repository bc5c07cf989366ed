"""An LLM that says what a file tells it to: for tests and for trying the machinery without a model."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel, ValidationError

from rag_bot.errors import BadSetting, LLMUnavailable


class Reply(BaseModel):
    """What is said to a prompt that holds `when` (any prompt, if empty): a text, or an error, after some seconds."""

    when: str = ""
    say: str = ""
    fail: str = ""
    seconds: float = 0.0


class ScriptedChatModel(BaseChatModel):
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

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = str(messages[-1].content)
        reply = next((reply for reply in self.replies if reply.when in prompt), None)
        if reply is None:
            raise LLMUnavailable("The script has no reply to this.", 'Add {"say": "…"} without "when" at its end.')
        time.sleep(reply.seconds)
        if reply.fail:
            raise LLMUnavailable(reply.fail)
        words, said = len(prompt.split()), len(reply.say.split())
        usage = {"input_tokens": words, "output_tokens": said, "total_tokens": words + said}
        message = AIMessage(content=reply.say, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])
