"""`/v1/conversations`: list, read, rename, delete; and `/v1/feedback`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from rag_bot.accounts.types import Principal
from rag_bot.api.access import Asker
from rag_bot.api.schemas import PROBLEM, ConversationObject, Conversations, FeedbackRequest, RenameRequest, WholeConversation
from rag_bot.api.service import ReadyService, Service
from rag_bot.bot import readable
from rag_bot.memory import SavedTurn

router = APIRouter(tags=["Conversations"], responses=PROBLEM)

WITHHELD = "This answer is not shown any more: it cites a document that is gone or that you may not read now."


@router.get("/v1/conversations", response_model=Conversations)
def conversations(
    service: ReadyService,
    asker: Asker,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 200,
    before: Annotated[str | None, Query(max_length=64, description="The `next` of the page before.")] = None,
) -> Response:
    """Conversations, last used first."""
    found = service.bot.memory.conversations(limit, before, service.owner(asker))
    following = found[-1].updated_at if len(found) == limit else None
    return JSONResponse({"conversations": [asdict(each) for each in found], "next": following})


@router.get("/v1/conversations/{conversation_id}", response_model=WholeConversation)
def conversation(conversation_id: str, service: ReadyService, asker: Asker) -> Response:
    """A conversation with everything said in it."""
    found = service.bot.memory.conversation(conversation_id, service.owner(asker))
    messages = [_shown(service, asker, turn) for turn in found.turns]
    return JSONResponse({**asdict(found.conversation), "messages": messages})


@router.patch("/v1/conversations/{conversation_id}", response_model=ConversationObject)
def rename(conversation_id: str, body: RenameRequest, service: ReadyService, asker: Asker) -> Response:
    """Give a conversation another title."""
    return JSONResponse(asdict(service.bot.memory.rename(conversation_id, body.title, service.owner(asker))))


@router.delete("/v1/conversations/{conversation_id}", status_code=204, response_class=Response)
def delete(conversation_id: str, service: ReadyService, asker: Asker) -> None:
    """Forget a conversation, its answers and their feedback."""
    service.bot.memory.delete(conversation_id, service.owner(asker))


@router.post("/v1/feedback", response_model=FeedbackRequest)
def feedback(body: FeedbackRequest, service: ReadyService, asker: Asker) -> Response:
    """Say whether an answer was right (`thumb` 1 or -1), why, and where the right one stands. The last word counts."""
    owner = service.owner(asker)
    service.bot.memory.feedback(body.answer_id, body.thumb, body.reason, body.right_source, owner)
    return JSONResponse(body.model_dump())


def _shown(service: Service, asker: Principal, turn: SavedTurn) -> dict[str, Any]:
    """A turn as its owner may see it now. Rights change after an answer was given, and documents go."""
    shown = asdict(turn)
    cited = {citation["document_id"] for citation in turn.answer["citations"]}
    if not service.accounts or readable(service.bot.index, service.allowed(asker), cited):
        return shown
    nothing = {"answer": WITHHELD, "sentences": [], "citations": [], "notes": [], "question": turn.question}
    return shown | {"answer": {**turn.answer, **nothing}, "withheld": True}
