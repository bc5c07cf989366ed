"""`POST /v1/chat`, whole or as events, and `POST /v1/search`."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from rag_bot.api.access import Asker
from rag_bot.api.problems import Problem
from rag_bot.api.schemas import PROBLEM, AnswerObject, ChatRequest, Collections, Hits, SearchRequest
from rag_bot.api.service import ReadyService
from rag_bot.api.stream import EventStream, HungUp, described, while_connected
from rag_bot.errors import BadQuestion
from rag_bot.types import BlockedEvent, DoneEvent, Event, SentenceEvent, SourcesEvent, StatusEvent

router = APIRouter(tags=["Questions"], responses=PROBLEM)

COLLECTION = "default"
HUNG_UP = 499  # nginx's number for it; nobody reads it but the metrics


EVENTS = ("status", "sources", "sentence", "blocked", "done", "error")


@router.post(
    "/v1/chat",
    response_model=AnswerObject,
    responses={200: {"content": described(*EVENTS), "description": "The answer."}},
)
async def chat(body: ChatRequest, request: Request, service: ReadyService, asker: Asker) -> Response:
    """Ask a question.

    With `Accept: text/event-stream` the answer comes as events: `status` (the step that has begun), `sources` (the
    passages found), `sentence` (a released sentence with its citations), `blocked`, `error` (a problem object; the last
    event then), and at the end `done` with the answer object. Otherwise the answer object comes whole.
    """
    collection = None if body.collection == COLLECTION else body.collection or None
    if _wants_events(request.headers.getlist("accept")):
        events = service.stream(asker, body.question, body.conversation_id, collection=collection)
        return EventStream(service, events, ChatFrames())
    answering = service.answer(asker, body.question, body.conversation_id, collection=collection)
    try:
        answer = await while_connected(service, request.receive, answering)
    except HungUp:
        return Response(status_code=HUNG_UP)
    return JSONResponse(answer.as_dict())


@router.post("/v1/search", response_model=Hits)
async def search(body: SearchRequest, service: ReadyService, asker: Asker) -> Response:
    """Find passages, without an answer."""
    longest = service.bot.settings.max_question_chars
    if not body.query.strip():
        raise BadQuestion("The query is empty.", "Write what to look for.")
    if len(body.query) > longest:
        raise BadQuestion(f"The query has {len(body.query):,} characters; {longest:,} are allowed.", "Shorten it.")
    collection = None if body.collection == COLLECTION else body.collection or None
    hits = await service.bot.search(body.query, body.k, body.mode, allowed=service.allowed(asker, collection))
    return JSONResponse({"hits": [hit.as_dict() for hit in hits]})


@router.get("/v1/collections", response_model=Collections)
async def collections(service: ReadyService, asker: Asker) -> Response:
    """The collections that may be asked by name; `default` is all that may be read."""
    return JSONResponse({"collections": [COLLECTION, *service.collections(asker)]})


class ChatFrames:
    """Events under the names of the public contract."""

    def event(self, event: Event) -> bytes:
        return frame(event.name, _data(event))

    def problem(self, problem: Problem) -> bytes:
        return frame("error", problem.as_dict())


def frame(name: str, data: dict[str, Any]) -> bytes:
    """One server-sent event. Its JSON is ASCII: some clients take U+2028 and its like for the end of a line."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _data(event: Event) -> dict[str, Any]:
    match event:
        case StatusEvent(step):
            return {"step": step}
        case SourcesEvent(hits):
            return {"hits": [hit.as_dict() for hit in hits]}
        case SentenceEvent(sentence, citations):
            # Whole citations, so that a mark can be opened while the rest of the answer is still on its way.
            return {"text": sentence.text, "citations": [c.as_dict() for c in citations], "supported": sentence.supported}
        case BlockedEvent(verdict):
            return {"rail": verdict.rail, "reason": verdict.reason, "message": verdict.message}
        case DoneEvent(answer):
            return answer.as_dict()


def _wants_events(accept: list[str]) -> bool:
    """Whether `Accept` names event streams, and no other kind of answer that it would rather have."""
    weights = dict(_weight(part) for line in accept for part in line.split(","))
    events = weights.get("text/event-stream", 0.0)
    return events > 0 and events >= weights.get("application/json", 0.0)


def _weight(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        return media_type, float(quality)
    except ValueError:
        return media_type, 1.0
