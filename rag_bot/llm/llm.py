"""One LLM with its manners: bounded in time, counted, and left alone for a while after it has failed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bot.budget import Budget
from rag_bot.errors import LLMBusy, LLMError, LLMTimeout, LLMUnavailable
from rag_bot.llm.thoughts import Thoughts
from rag_bot.observe import Attributes, Span, begin
from rag_bot.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

Message = tuple[str, str]
"""Role (`system`, `user` or `assistant`) and text."""

_BYTES_PER_TOKEN = 3
_ENDINGS = ("finish_reason", "stop_reason", "stopReason")  # how providers say why a reply ended
# What the semantic conventions for generative AI call those that the setting calls otherwise.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "sagemaker": "aws.sagemaker",
}
_FULL = frozenset({"length", "max_tokens", "max_output_tokens"})  # and that it had no more room


def estimated_tokens(text: str) -> int:
    """Tokens of a text where the model's tokenizer is not at hand: more than there are in nearly any language."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens in and out."""

    prompt: float = 0.0
    completion: float = 0.0

    def __call__(self, prompt_tokens: int, completion_tokens: int) -> Usage:
        cost = (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6
        return Usage(prompt_tokens, completion_tokens, cost)


@dataclass(frozen=True, slots=True)
class Engine:
    """A chat model and what is to be known to use it well, as its provider's module makes it.

    `context` is the most tokens of a prompt and its reply together, `count` the tokens of a text. `grammar` says that the
    model takes a GBNF grammar as the keyword `grammar`.
    """

    chat: BaseChatModel
    context: int = 8192
    count: Callable[[str], int] = estimated_tokens
    grammar: bool = False
    close: Callable[[], None] = lambda: None


class Breaker:
    """Opens after `limit` failures in a row and refuses for `seconds`; then one call is tried, and heals it or not.

    A call that fails although another that ended after its beginning went well says nothing: many wait, and some too long.
    """

    def __init__(self, limit: int = 3, seconds: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._seconds, self._clock = limit, seconds, clock
        self._failures = 0
        self._closed_until = 0.0
        self._trying = False
        self._well = -math.inf

    def admit(self) -> float:
        """0 if a call may be made now (and is then to be followed by one of the three below), else seconds to wait."""
        if self._failures < self._limit:
            return 0.0
        wait = self._closed_until - self._clock()
        if wait > 0 or self._trying:
            return max(wait, 1.0)
        self._trying = True
        return 0.0

    def succeeded(self) -> None:
        self._failures, self._trying = 0, False
        self._well = self._clock()

    def failed(self, seconds: float = 0.0) -> None:
        """A call failed that took `seconds`."""
        self._trying = False
        if self._well > self._clock() - seconds:
            return
        self._failures += 1
        self._closed_until = self._clock() + self._seconds

    def abandoned(self) -> None:
        """Nobody waited for the end: nothing is known."""
        self._trying = False

    @property
    def open(self) -> bool:
        return self._failures >= self._limit


class CutOff(LLMError):
    """The reply came to the most tokens that it may have, likely in the middle of a sentence. The LLM is well."""


class LLM:
    """A chat model by the name that users see. Its errors are all `LLMError`s; each says the name and what happened.

    `price` is None where none is known; then it costs nothing.
    """

    def __init__(
        self, name: str, engine: Engine, price: Price | None = None, breaker: Breaker | None = None, provider: str = ""
    ) -> None:
        self.name, self.price = name, price
        self._provider = _PROVIDERS.get(provider, provider.replace("-", "_") or "_OTHER")
        self.context, self.count, self.grammar = engine.context, engine.count, engine.grammar
        self._engine = engine
        self.breaker = breaker or Breaker()

    def close(self) -> None:
        self._engine.close()

    async def ask(self, messages: Sequence[Message], budget: Budget, **options: Any) -> str:
        """The reply, as far as `max_tokens` let it go. Raises LLMError."""
        said = ""
        with suppress(CutOff):
            async with aclosing(self.stream(messages, budget, **options)) as pieces:
                async for piece in pieces:
                    said += piece
        return said

    async def stream(self, messages: Sequence[Message], budget: Budget, **options: Any) -> AsyncGenerator[str, None]:
        """The reply as it comes, without a model's thoughts; what it took is added to `budget.spent` whatever happens.

        `options` go to the chat model (`max_tokens`, `grammar`). Closing the generator stops the model. Raises LLMError;
        CutOff comes after all that was said within `max_tokens`.
        """
        if not budget.left():  # not its fault: the breaker needn't know
            raise LLMTimeout(f"There was no time left to ask the LLM {self.name}.")
        wait = self.breaker.admit()
        if wait:
            raise LLMUnavailable(f"The LLM {self.name} has failed repeatedly; it is tried again in {wait:.0f} s.")
        count, began, fault = _Count(), time.monotonic(), ""
        span = self._span(options)
        try:
            async with aclosing(self._pieces(messages, budget, count, options, span)) as pieces:
                async for text in pieces:
                    yield text
        except CutOff:
            self.breaker.succeeded()
            raise
        except LLMBusy:
            fault = LLMBusy.__name__
            self.breaker.abandoned()
            raise
        except LLMError as error:
            fault = type(error).__name__
            self.breaker.failed(time.monotonic() - began)
            raise
        except Exception as error:  # each provider has errors of its own
            fault = type(error).__name__
            self.breaker.failed(time.monotonic() - began)
            raise LLMError(f"The LLM {self.name} failed: {_reason(error)}") from error
        except BaseException:  # closed or cancelled: nobody waits any more
            self.breaker.abandoned()
            raise
        else:
            self.breaker.succeeded()
        finally:
            if count.begun:
                usage = self._usage(messages, count)
                budget.spend(self.name, usage)
                span.set(count.said(usage))
            span.end(fault)

    def _span(self, options: dict[str, Any]) -> Span:
        """A call as the semantic conventions for generative AI have it, without a text of it."""
        attributes: dict[str, str | int | bool] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._provider,
            "gen_ai.request.model": self.name,
            "gen_ai.request.stream": True,
        }
        if "max_tokens" in options:
            attributes["gen_ai.request.max_tokens"] = options["max_tokens"]
        return begin(f"chat {self.name}", "client", attributes)

    async def _pieces(
        self, messages: Sequence[Message], budget: Budget, count: _Count, options: dict[str, Any], span: Span
    ) -> AsyncGenerator[str, None]:
        thoughts, said = Thoughts(), False
        async with aclosing(self._engine.chat.astream(list(messages), **options)) as chunks:  # type: ignore[type-var]
            while True:
                left = budget.left()
                try:
                    async with asyncio.timeout(left) as bound:
                        if not left:
                            raise TimeoutError  # a model that never waits would not notice the other one
                        with span.inside():  # for this alone: between two chunks the caller's own code runs
                            chunk = await anext(chunks)
                except StopAsyncIteration:
                    break
                except TimeoutError as error:
                    if left and not bound.expired():  # the provider's own
                        raise
                    raise LLMTimeout(f"The LLM {self.name} took too long.") from error
                count.add(chunk)
                text = thoughts.feed(str(chunk.text))
                if text:
                    said = said or bool(text.strip())
                    yield text
        text = thoughts.end()
        if text:
            said = said or bool(text.strip())
            yield text
        if count.full:
            raise CutOff(f"The LLM {self.name} was cut off at the most tokens that it may say.")
        if not said:
            raise LLMError(f"The LLM {self.name} said nothing.")

    def _usage(self, messages: Sequence[Message], count: _Count) -> Usage:
        """As the provider counted; where it was cut off before it said, as counted here."""
        prompt = count.prompt or sum(self._tokens(text) for _, text in messages)
        completion = count.completion or self._tokens("".join(count.texts))
        return (self.price or Price())(prompt, completion)

    def _tokens(self, text: str) -> int:
        """As `count`; estimated where the model was closed meanwhile."""
        try:
            return self.count(text)
        except LLMError:
            return estimated_tokens(text)


class _Count:
    """What a reply's chunks say of the tokens they took, and whether it ended for want of more."""

    def __init__(self) -> None:
        self.begun = self.full = False
        self.prompt = self.completion = 0
        self.ending = self.model = ""
        self.texts: list[str] = []

    def add(self, chunk: BaseMessage) -> None:
        self.begun = True
        self.texts.append(str(chunk.text))
        told = chunk.response_metadata
        self.ending = next((str(told[name]).lower() for name in _ENDINGS if told.get(name)), self.ending)
        self.model = str(told.get("model_name") or self.model)
        self.full = self.full or self.ending in _FULL
        said = getattr(chunk, "usage_metadata", None) or {}
        self.prompt += said.get("input_tokens", 0)
        self.completion += said.get("output_tokens", 0)

    def said(self, usage: Usage) -> Attributes:
        """What the provider told of the reply."""
        found: dict[str, str | int | tuple[str, ...]] = {
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
        }
        if self.ending:
            found["gen_ai.response.finish_reasons"] = (self.ending,)
        if self.model:
            found["gen_ai.response.model"] = self.model
        return found


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
