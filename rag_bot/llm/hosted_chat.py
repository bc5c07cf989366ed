"""A provider's chat model with our manners: whole replies or an error, one quick second try, and errors in sentences."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from rag_bot.errors import LLMError, LLMTimeout, LLMUnavailable
from rag_bot.llm.reading import in_task, in_thread
from rag_bot.observe import current

_PAUSE = 0.25  # seconds before the second try, where the server asks for nothing else
_PATIENCE = 2.0  # seconds; a server that wants to be left alone for longer is not asked again
_PASSING = {429, 500, 502, 503, 504, 529}  # states that may be over in a moment
_ENDINGS = ("finish_reason", "stop_reason", "stopReason")  # how providers say why a reply ended
_FILTERED = ("filter", "safety", "recitation", "refusal", "blocklist", "prohibited", "spii", "guardrail")
_TOKEN = re.compile(r"ya29\.\S+")  # Google's passing ones, which its package fetches
_SHOWN = 200  # characters of a provider's own words

_REFUSED = ("was refused by {provider} ({status})", "Check {where}.")
_STATES = {  # what a status means for the LLM, and what to do
    400: ("did not take the request ({status})", "See docs/llms.md for the options of the setting."),
    401: _REFUSED,
    403: _REFUSED,
    404: ("is not known to {provider} ({status})", "Check the model's name and the address in RAG_BOT_LLM."),
    429: ("takes no more for now: too many requests, or the quota is used up", "Wait, or raise the quota."),
    500: ("can't answer: {provider} has a fault of its own ({status})", "Wait, or name another LLM after it in RAG_BOT_LLM."),
}


class HostedChatModel(BaseChatModel):
    """Streams what `inner` says. A stream that ends without saying why was cut off, and is an LLMError.

    `variables` are where its key comes from, `secrets` what no message may hold, `limit` the provider's keywords for the
    most tokens of a reply, `headers` those for a request's headers, which say what trace it is part of.
    """

    inner: BaseChatModel
    llm: str
    provider: str
    variables: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    limit: Callable[[int], dict[str, Any]]
    headers: Callable[[dict[str, str]], dict[str, Any]]
    threaded: bool = False

    @property
    def _llm_type(self) -> str:
        return "hosted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a hosted LLM is streamed")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        *,
        max_tokens: int | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if max_tokens is not None:
            kwargs |= self.limit(max_tokens)
        if place := current():
            kwargs |= self.headers({"traceparent": place.header()})
        begun, tries = False, 2
        while True:
            tries -= 1
            try:
                async with aclosing(self._whole(messages, stop, kwargs)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except LLMError:
                raise
            except Exception as error:  # each provider has errors of its own
                pause = _pause(error)
                if begun or not tries or pause is None:
                    raise self._told(error, begun) from None  # the original may hold a key
            await asyncio.sleep(pause)

    async def _whole(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        ending, empty = "", True
        async with aclosing(self._chunks(messages, stop, options)) as chunks:
            async for chunk in chunks:
                empty = False
                said = {**(chunk.generation_info or {}), **chunk.message.response_metadata}
                ending = next((str(said[name]) for name in _ENDINGS if said.get(name)), ending)
                yield chunk
        if empty:
            raise LLMError(f"The LLM {self.llm} replied something that can't be read: no reply is in it.")
        if not ending:
            raise LLMError(f"The LLM {self.llm} broke off: the connection ended before the reply did.")
        if any(word in ending.lower() for word in _FILTERED):
            raise LLMError(f"The LLM {self.llm} broke off: {self.provider} stopped it ({ending}).")

    def _chunks(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """What the provider's package makes of the reply; its callbacks are left out, since ours are called."""
        if self.threaded:
            return in_thread(lambda: self.inner._stream(messages, stop=stop, **options))
        return in_task(self.inner._astream(messages, stop=stop, **options))

    def _told(self, error: Exception, begun: bool) -> LLMError:
        """An error of the provider's package, after a reply has begun or before, as one of ours, without a key in it."""
        status, said = _status(error), self._without_secrets(_own_words(error))
        name = f"The LLM {self.llm}"
        where = " or ".join(self.variables) or "your account's credentials"
        if _is_a(error, "NoCredentials", "PartialCredentials", "DefaultCredentials", "RefreshError", "TokenRetrieval"):
            return LLMUnavailable(
                f"{name} has no credentials for {self.provider} that can be used: {said}", "See docs/llms.md."
            )
        if status:
            kind = LLMUnavailable if status in (401, 403, 404, 429) or status >= 500 else LLMError
            what, hint = _STATES.get(status, _STATES[500 if status >= 500 else 400])
            return kind(f"{name} {what.format(provider=self.provider, status=status)}: {said}", hint.format(where=where))
        # What can't be reached may come from what timed out, and the other way round: the last to be raised knows.
        timeout = LLMTimeout(f"{name} took too long.")
        if any("Timeout" in kind.__name__ for kind in type(error).__mro__):
            return timeout
        if not begun and _is_a(error, "ConnectError", "APIConnectionError", "EndpointConnectionError", "ClientConnectorError"):
            return LLMUnavailable(f"{name} can't be reached at {self.provider}: {said}", "Check the address and the network.")
        if _is_a(error, "Timeout"):
            return timeout
        if _is_a(error, "Connection", "Protocol", "Payload", "IncompleteRead", "Disconnected", "ReadError"):
            return LLMError(f"{name} broke off: {said}")
        return LLMError(f"{name} replied something that can't be read: {said}")

    def _without_secrets(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return _TOKEN.sub("…", text)[:_SHOWN]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _is_a(error: Exception, *names: str) -> bool:
    """Whether the error or what it came from is of a class, or below one, whose name holds one of these."""
    classes = {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    return any(name in each for name in names for each in classes)


def _status(error: Exception) -> int:
    """The HTTP status that an error stands for; 0 where it stands for none."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        aws = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
        # Google's errors have a code and a status; aiohttp's, for a torn reply, a code that is nobody's answer.
        code = getattr(one, "code", None) if hasattr(one, "status") else None
        for status in (getattr(one, "status_code", None), code, aws):
            if isinstance(status, int) and status >= 400:
                return status
    return 0


def _pause(error: Exception) -> float | None:
    """Seconds until a second try may help; None where it would not, or not soon."""
    if _status(error) not in _PASSING:
        return None
    for one in _chain(error):
        response = getattr(one, "response", None)
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders") if isinstance(response, dict) else None
        headers = headers or getattr(response, "headers", None) or {}
        if after := headers.get("retry-after"):
            try:
                return float(after) if 0 <= float(after) <= _PATIENCE else None
            except ValueError:  # a date
                return None
    return _PAUSE


def _own_words(error: Exception) -> str:
    """What the provider says of an error, on one line."""
    for one in _chain(error):
        body, response = getattr(one, "body", None), getattr(one, "response", None)
        places = [
            body,
            _inside(body, "error"),
            _inside(response, "Error"),
            {"message": getattr(one, "message", None) if hasattr(one, "code") else None},
        ]
        for place in places:
            said = _inside(place, "message") or _inside(place, "Message")
            if isinstance(said, str) and said.strip():
                return " ".join(said.split())
    return " ".join(str(error).split()) or type(error).__name__


def _inside(place: object, name: str) -> object:
    return place.get(name) if isinstance(place, Mapping) else None
