"""SageMaker endpoints that take chat messages in OpenAI's form, as JumpStart's text generation containers do."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import boto3
from langchain_aws.chat_models.sagemaker_endpoint import ChatModelContentHandler, ChatSagemakerEndpoint
from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import UsageMetadata

from rag_bot.errors import LLMError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def load_endpoint(name: str, *, url: str, region: str | None, config: object, temperature: float | None) -> BaseChatModel:
    """The endpoint `name`; without `url` and `region`, those of the AWS account's own settings hold."""
    # Its package logs each error whole, with its traceback; ours is a sentence without secrets.
    logging.getLogger(ChatSagemakerEndpoint.__module__).disabled = True
    options = {} if temperature is None else {"temperature": temperature}
    chat: BaseChatModel = ChatSagemakerEndpoint(
        endpoint_name=name,
        client=boto3.client("sagemaker-runtime", region_name=region, endpoint_url=url or None, config=config),
        content_handler=_Messages(),
        model_kwargs=options,
    )
    return chat


class _Messages(ChatModelContentHandler):  # type: ignore[misc]  # the package may be absent where types are checked
    """Messages to a request's body, and a line of the reply to a chunk; lines may be server-sent events or bare JSON."""

    content_type = "application/json"
    accepts = "application/json"

    def transform_input(self, prompt: list[dict[str, Any]], model_kwargs: dict[str, Any]) -> bytes:
        body = {"messages": prompt, "stream": True, "stream_options": {"include_usage": True}, **model_kwargs}
        return json.dumps(body).encode()

    def transform_output(self, output: bytes) -> AIMessageChunk:
        line = output.decode().strip().removeprefix("data:").strip()
        if not line or line == "[DONE]":
            return AIMessageChunk(content="")
        data = json.loads(line)
        if "choices" not in data:
            raise LLMError(f"The endpoint says: {data.get('error') or data.get('message') or line}"[:300])
        choice = data["choices"][0] if data["choices"] else {}
        reason = choice.get("finish_reason")
        return AIMessageChunk(
            content=choice.get("delta", {}).get("content") or "",
            response_metadata={"finish_reason": reason} if reason else {},
            # Its package drops a chunk that holds neither text nor usage, and with it the reason for the end.
            usage_metadata=_usage(data.get("usage") or {}) if reason or data.get("usage") else None,
        )


def _usage(said: dict[str, int]) -> UsageMetadata:
    prompt, completion = said.get("prompt_tokens", 0), said.get("completion_tokens", 0)
    return UsageMetadata(input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion)
