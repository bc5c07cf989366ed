"""OpenAI's wire form: `POST /v1/chat/completions`, streamed or whole, and `GET /v1/models`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response

from rag_bot.api.access import Asker
from rag_bot.api.chat import HUNG_UP
from rag_bot.api.problems import Problem, Refused
from rag_bot.api.schemas import ChatMessage, Completion, CompletionRequest, Model, Models
from rag_bot.api.service import ReadyService, Service
from rag_bot.api.stream import EventStream, HungUp, described, while_connected
from rag_bot.marks import piece
from rag_bot.types import Answer, DoneEvent, Event, Sentence, SentenceEvent, Turn

ERROR: dict[int | str, dict[str, Any]] = {
    "default": {"description": "What went wrong, in the form that OpenAI's clients read: an object `error` with a `message`."}
}
router = APIRouter(tags=["OpenAI's wire form"], responses=ERROR)


@router.post(
    "/v1/chat/completions",
    response_model=Completion,
    responses={200: {"content": described("message"), "description": "The answer."}},
)
async def completions(body: CompletionRequest, request: Request, service: ReadyService, asker: Asker) -> Response:
    """Answer the last message, from the documents alone; the messages before it are the conversation.

    The message, and the last chunk of a stream, also carry `rag`: the answer object with its citations. Nothing is stored.
    """
    question, turns = _conversation(body.messages)
    if body.stream:
        usage = body.stream_options is not None and body.stream_options.include_usage is True
        frames = CompletionFrames(service.bot.model, usage)
        return EventStream(service, service.stream(asker, question, turns=turns), frames)
    try:
        answer = await while_connected(service, request.receive, service.answer(asker, question, turns=turns))
    except HungUp:
        return Response(status_code=HUNG_UP)
    return JSONResponse(_completion(answer))


@router.get("/v1/models", response_model=Models)
async def models(service: ReadyService) -> Response:
    """The models that can be asked: the one that answers here."""
    return JSONResponse({"object": "list", "data": [_model(service)]})


@router.get("/v1/models/{model:path}", response_model=Model)
async def model(model: str, service: ReadyService) -> Response:
    """One model."""
    if model != service.bot.model:
        detail = f"There is no model {model!r}; there is {service.bot.model!r}."
        raise Refused(Problem(404, "No such model", detail, "model-not-found", param="model"))
    return JSONResponse(_model(service))


class CompletionFrames:
    """Events as OpenAI's chunks: the role, a delta for each sentence, the end with the answer object, `[DONE]`."""

    def __init__(self, model: str, usage: bool) -> None:
        self._head = {"id": "", "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
        self._id = f"chatcmpl-{time.time_ns():x}"
        self._usage = usage
        self._sent = ""
        self._last: Sentence | None = None
        self._begun = False

    def event(self, event: Event) -> bytes:
        begin = b"" if self._begun else self._delta({"role": "assistant", "content": ""})
        self._begun = True
        if isinstance(event, SentenceEvent):
            before, self._last = self._last, event.sentence
            return begin + self._text(piece(event.sentence, before))
        if isinstance(event, DoneEvent):
            return begin + self._end(event.answer)
        return begin

    def problem(self, problem: Problem) -> bytes:
        return _frame(problem.as_openai())

    def _text(self, text: str) -> bytes:
        self._sent += text
        return self._delta({"content": text})

    def _end(self, answer: Answer) -> bytes:
        # What no sentence event carried (a refusal's words, say) is still part of the answer.
        rest = answer.answer[len(self._sent) :] if answer.answer.startswith(self._sent) else ""
        body = (self._text(rest) if rest else b"") + self._delta({}, "stop", rag=answer.as_dict())
        if self._usage:
            body += self._chunk([], usage=_usage(answer), rag=answer.as_dict())
        return body + b"data: [DONE]\n\n"

    def _delta(self, delta: dict[str, str], finish: str | None = None, **more: Any) -> bytes:
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more)

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        # With usage asked for, every chunk has the field, null in all but the last.
        usage = {"usage": None} if self._usage else {}
        return _frame({**self._head, "id": self._id, "choices": choices, **usage, **more})


def _conversation(messages: Sequence[ChatMessage]) -> tuple[str, list[Turn]]:
    """The question, and the exchanges before it. Instructions (`system`, `developer`) are left aside."""
    spoken = [message for message in messages if message.role in ("user", "assistant")]
    if not spoken or spoken[-1].role != "user":
        fault = f"the last message must be the user's question; it is from {(spoken or messages)[-1].role!r}"
        raise RequestValidationError([{"type": "value_error", "loc": ("body", "messages"), "msg": fault, "input": None}])
    turns: list[Turn] = []
    for message in spoken[:-1]:
        if message.role == "user":
            turns.append(Turn(message.text, ""))
        elif turns and not turns[-1].answer:
            turns[-1] = Turn(turns[-1].question, message.text)
    return spoken[-1].text, turns


def _completion(answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.answer, "refusal": None, "rag": answer.as_dict()}
    return {
        "id": f"chatcmpl-{answer.answer_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _usage(answer),
    }


def _usage(answer: Answer) -> dict[str, int]:
    asked, given = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return {"prompt_tokens": asked, "completion_tokens": given, "total_tokens": asked + given}


def _model(service: Service) -> dict[str, Any]:
    return {"id": service.bot.model, "object": "model", "created": 0, "owned_by": "rag-bot"}


def _frame(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
