"""The LangChain chat model over a llama.cpp worker: messages through the model's own template, replies as they come."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from jinja2 import TemplateError
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from llama_cpp.llama_grammar import json_schema_to_gbnf
from pydantic import ConfigDict

from rag_bot.errors import LLMError
from rag_bot.llm.llama_worker import Ask, Done, Item, Worker

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class Template:
    """Messages to the tokens of a prompt, as the model was trained to read them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._marks = worker.marks
        text = worker.metadata.get("tokenizer.chat_template")
        begin, end = worker.ends
        self._format = Jinja2ChatFormatter(text, eos_token=end, bos_token=begin) if text else None
        # Without a template the model only writes on: it would go on with the next question by itself.
        self.stop: tuple[str, ...] = () if text else ("\nUser:",)

    def __call__(self, messages: Sequence[BaseMessage]) -> list[int]:
        """The prompt's tokens. Raises LLMError."""
        turns = _turns([(_role(message), self._harmless(message.text)) for message in messages])
        tokens = self._worker.tokens(self._render(turns), special=True)
        begin = self._worker.begin
        return tokens if begin is None or tokens[:1] == [begin] else [begin, *tokens]

    def _harmless(self, text: str) -> str:
        """The text with a blank of no width in all that would steer the model: a document may hold `<|im_start|>system`."""
        for mark in self._marks:
            if mark in text:
                text = text.replace(mark, f"{mark[0]}\u200b{mark[1:]}")
        return text

    def _render(self, turns: list[dict[str, str]]) -> str:
        if self._format is None:
            names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
            return "\n\n".join([*(names[turn["role"]] + turn["content"] for turn in turns), "Assistant:"])
        # Some templates know no system text: it then goes before what the user says first.
        as_user = _turns([("user" if turn["role"] == "system" else turn["role"], turn["content"]) for turn in turns])
        fault: Exception | None = None
        for form in (turns, as_user):
            try:
                # Models that can think first are told not to: the first sentence is waited for.
                return str(self._format(messages=form, enable_thinking=False).prompt)  # type: ignore[arg-type, unused-ignore]
            except (TemplateError, ValueError, TypeError) as error:
                fault = error
        raise LLMError(f"The LLM's chat template takes no such conversation: {fault}") from fault


class LlamaCppChatModel(BaseChatModel):
    """Chats with a model in this process. A call may give `max_tokens`, `temperature`, `seed`, and either `grammar` (GBNF)
    or `json_schema` (a dict), which the reply then follows. The last chunk says how the reply ended, what it took in tokens
    (of the prompt, `cache_read` were known from the question before), and how long it waited as `queue_seconds`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    worker: Worker
    template: Template
    model_name: str
    temperature: float = 0.0
    seed: int | None = None

    @property
    def _llm_type(self) -> str:
        return "llama-cpp"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        ask = self._ask(messages, stop, **kwargs)
        arrived: queue.SimpleQueue[Item] = queue.SimpleQueue()
        job = self.worker.ask(ask, arrived.put)
        try:
            while not isinstance(item := arrived.get(), Done):
                yield _chunk(item)
            yield self._last(ask, item)
        finally:
            self.worker.leave(job)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        ask = self._ask(messages, stop, **kwargs)
        arrived: asyncio.Queue[Item] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        job = self.worker.ask(ask, lambda item: loop.call_soon_threadsafe(arrived.put_nowait, item))
        try:
            while not isinstance(item := await arrived.get(), Done):
                yield _chunk(item)
            yield self._last(ask, item)
        finally:
            self.worker.leave(job)

    def _ask(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        grammar: str = "",
        json_schema: dict[str, Any] | None = None,
    ) -> Ask:
        if json_schema is not None:
            grammar = json_schema_to_gbnf(json.dumps(json_schema))
        return Ask(
            self.template(messages),
            self.worker.context if max_tokens is None else max_tokens,
            (*self.template.stop, *(stop or ())),
            self.temperature if temperature is None else temperature,
            self.seed if seed is None else seed,
            grammar,
        )

    def _last(self, ask: Ask, done: Done) -> ChatGenerationChunk:
        read = len(ask.tokens)
        usage = UsageMetadata(
            input_tokens=read,
            output_tokens=done.written,
            total_tokens=read + done.written,
            input_token_details=InputTokenDetails(cache_read=read - done.evaluated),
        )
        about = {
            "finish_reason": done.finish,
            "model_name": self.model_name,
            "queue_seconds": done.queue_seconds,
        }
        message = AIMessageChunk(content="", usage_metadata=usage, chunk_position="last")
        return ChatGenerationChunk(message=message, generation_info=about)


def _chunk(item: Item) -> ChatGenerationChunk:
    if isinstance(item, LLMError):
        raise item
    return ChatGenerationChunk(message=AIMessageChunk(content=str(item)))


def _role(message: BaseMessage) -> str:
    if message.type not in _ROLES:
        raise LLMError(f"A local LLM takes messages of system, user and assistant, not {message.type!r}.")
    return _ROLES[message.type]


def _turns(messages: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Messages as templates want them: many refuse two of the same role in a row."""
    turns: list[dict[str, str]] = []
    for role, text in messages:
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += "\n\n" + text
        else:
            turns.append({"role": role, "content": text})
    return turns
