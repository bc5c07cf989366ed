"""`/health/live`, `/health/ready` and `/metrics`."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from rag_bot.api.schemas import PROBLEM, Live, Readiness
from rag_bot.api.service import AnyService, ReadyService

router = APIRouter(tags=["Operation"])


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", response_model=Live)
async def live() -> Response:
    """The process answers."""
    return JSONResponse({"live": True})


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", response_model=Readiness, responses=PROBLEM)
def ready(service: ReadyService) -> Response:
    """Questions can be answered: the index and the models are there. 503 says what is missing.

    With accounts it says no more: how much there is, is for those who may read it.
    """
    if service.accounts:
        return JSONResponse({"ready": True})
    documents, chunks = service.bot.index.counts()
    return JSONResponse({"ready": True, "documents": documents, "chunks": chunks})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The numbers."}},
)
def metrics(service: AnyService) -> Response:
    """The service's numbers, for Prometheus."""
    return Response(service.numbers(), headers={"Content-Type": CONTENT_TYPE_LATEST})
