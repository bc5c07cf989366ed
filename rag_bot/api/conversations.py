"""`/v1/conversations`: list, read, rename, delete; and `/v1/feedback`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from rag_bot.api.schemas import PROBLEM, ConversationObject, Conversations, FeedbackRequest, RenameRequest, WholeConversation
from rag_bot.api.service import ReadyService

router = APIRouter(tags=["Conversations"], responses=PROBLEM)


@router.get("/v1/conversations", response_model=Conversations)
def conversations(
    service: ReadyService,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 200,
    before: Annotated[str | None, Query(max_length=64, description="The `next` of the page before.")] = None,
) -> Response:
    """Conversations, last used first."""
    found = service.bot.memory.conversations(limit, before)
    following = found[-1].updated_at if len(found) == limit else None
    return JSONResponse({"conversations": [asdict(each) for each in found], "next": following})


@router.get("/v1/conversations/{conversation_id}", response_model=WholeConversation)
def conversation(conversation_id: str, service: ReadyService) -> Response:
    """A conversation with everything said in it."""
    found = service.bot.memory.conversation(conversation_id)
    messages = [asdict(turn) for turn in found.turns]
    return JSONResponse({**asdict(found.conversation), "messages": messages})


@router.patch("/v1/conversations/{conversation_id}", response_model=ConversationObject)
def rename(conversation_id: str, body: RenameRequest, service: ReadyService) -> Response:
    """Give a conversation another title."""
    return JSONResponse(asdict(service.bot.memory.rename(conversation_id, body.title)))


@router.delete("/v1/conversations/{conversation_id}", status_code=204, response_class=Response)
def delete(conversation_id: str, service: ReadyService) -> None:
    """Forget a conversation, its answers and their feedback."""
    service.bot.memory.delete(conversation_id)


@router.post("/v1/feedback", response_model=FeedbackRequest)
def feedback(body: FeedbackRequest, service: ReadyService) -> Response:
    """Say whether an answer was right (`thumb` 1 or -1), why, and where the right one stands. The last word counts."""
    service.bot.memory.feedback(body.answer_id, body.thumb, body.reason, body.right_source)
    return JSONResponse(body.model_dump())
