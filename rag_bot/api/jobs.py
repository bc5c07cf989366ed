"""`/v1/jobs`: how an upload goes, once or as events, and its cancelling."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from rag_bot.api.access import Asker
from rag_bot.api.chat import frame
from rag_bot.api.problems import Problem, Refused
from rag_bot.api.schemas import PROBLEM, JobObject
from rag_bot.api.service import AnyService
from rag_bot.api.stream import EventStream, described
from rag_bot.api.taking import View

router = APIRouter(tags=["Jobs"], responses=PROBLEM)


def shown(view: View) -> dict[str, Any]:
    """A job as the API shows it."""
    progress = {"ahead": view.ahead, "chunks_done": view.chunks_done, "chunks_total": view.chunks_total}
    shown = asdict(view.job) | progress
    del shown["owner"]
    return shown


@router.get("/v1/jobs/{job_id}", response_model=JobObject)
async def job(job_id: str, service: AnyService, asker: Asker) -> Response:
    """How an upload goes, and what became of it."""
    return JSONResponse(shown(await service.taking.view(job_id, service.owner(asker))))


@router.get(
    "/v1/jobs/{job_id}/events",
    response_class=Response,
    responses={200: {"content": described("state", "done", "error"), "description": "The events."}},
)
async def events(job_id: str, service: AnyService, asker: Asker) -> Response:
    """How an upload goes, as server-sent events.

    `state` comes at once and each time that something has changed, `done` at the end; both hold the job object, the last one
    with the ledger's `entry`. `error` (a problem object) is last where the service stops: ask again when it is back.
    """
    return EventStream(service, service.taking.follow(job_id, service.owner(asker)), JobFrames())


@router.delete(
    "/v1/jobs/{job_id}",
    response_model=JobObject,
    responses={409: {**PROBLEM["default"], "description": "It is over already."}},
)
async def cancel(job_id: str, service: AnyService, asker: Asker) -> Response:
    """Cancel an upload that waits or is being taken in. One that is in the index already is removed as a document."""
    view = await service.taking.cancel(job_id, service.owner(asker))
    if view.job.over and view.job.state != "cancelled":
        detail = f"The job is over ({view.job.state}). To remove the document: DELETE /v1/documents/{{document_id}}."
        raise Refused(Problem(409, "The job is over", detail, "job-over", extra={"job": shown(view)}))
    return JSONResponse(shown(view))


class JobFrames:
    """A job's views as events."""

    def event(self, event: View) -> bytes:
        return frame("done" if event.job.over else "state", shown(event))

    def problem(self, problem: Problem) -> bytes:
        return frame("error", problem.as_dict())
