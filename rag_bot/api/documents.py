"""`/v1/documents`: add by upload, list, read, fetch the original, remove."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Header, Query, UploadFile
from fastapi.exceptions import RequestValidationError
from starlette.responses import FileResponse, JSONResponse, Response

from ingest.errors import DocumentNotFound, TooLarge
from ingest.sources.archives import MARK
from ingest.types import DocumentInfo, LedgerEntry
from rag_bot.accounts.types import Principal
from rag_bot.api.access import Asker
from rag_bot.api.jobs import shown
from rag_bot.api.problems import Problem, Refused
from rag_bot.api.schemas import PROBLEM, Boxes, Documents, JobObject
from rag_bot.api.service import ReadyService, Service
from rag_bot.readers import PRIVATE

router = APIRouter(tags=["Documents"], responses=PROBLEM)

LONGEST_WAIT = 60.0  # seconds that a client may ask to wait for an upload's end
_WAIT = re.compile(r"wait=(\d{1,4})")
_AGAIN = 10  # seconds until an upload that the service could not take in may be sent again
NAME_BYTES = 255  # the longest name that file systems take
# Types that a browser shows without running anything of the document; others are sent as plain bytes.
SAFE_TYPES = frozenset(
    {
        "application/pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "image/webp",
        "text/csv",
        "text/markdown",
        "text/plain",
    }
)


@router.post(
    "/v1/documents",
    response_model=LedgerEntry,
    responses={
        200: {"description": "The same document is there already."},
        201: {"model": LedgerEntry, "description": "Added, or put in the place of its older version."},
        202: {
            "model": JobObject,
            "description": "Accepted: it is on the disk and is taken in when its turn comes. `Location` leads to the job.",
        },
    },
)
async def upload(
    file: Annotated[UploadFile, File(description="The document.")],
    service: ReadyService,
    asker: Asker,
    folder: Annotated[
        str, Form(max_length=200, description="A folder to put it in, such as `hr/policies`: rules for who may read go by it.")
    ] = "",
    prefer: Annotated[
        str | None,
        Header(description="`respond-async`: answer 202 at once; `wait=5`: after so many seconds (RFC 7240)."),
    ] = None,
) -> Response:
    """Add a document; what became of it is the answer. One that can't be taken in is a 422 problem with the entry in it.

    Documents are taken in one after another. Where this takes longer than RAG_BOT_UPLOAD_WAIT_SECONDS, the answer is 202 with
    a job: see `GET /v1/jobs/{job_id}` and its events. What is accepted is on the disk, and outlives a restart of the service.
    """
    name = "".join(f"{part}/" for part in _folders(folder)) + _name(file.filename or "")
    _check_free(service, asker, name)
    limit = service.bot.settings.max_file_bytes
    if (file.size or 0) > limit:
        raise TooLarge(f"{name} has {file.size:,} bytes; {limit:,} are allowed.", "Split it, or raise RAG_BOT_MAX_FILE_BYTES.")
    preferred, seconds = _patience(prefer, service.bot.settings.upload_wait_seconds)
    owner = service.owner(asker)
    accepted = await service.taking.put(name, file.file, owner or "")
    view = await service.taking.wait(accepted.job.job_id, seconds, owner)
    job, headers = view.job, {"Preference-Applied": preferred} if preferred else {}
    if not job.over:
        return JSONResponse(shown(view), 202, headers | {"Location": f"/v1/jobs/{job.job_id}"})
    if job.problem:
        return _problem(job.problem).response("/v1/documents")
    if job.entry is None:
        raise Refused(Problem(409, "Cancelled", "The upload was cancelled while it waited.", "cancelled"))
    if job.entry.status in ("failed", "quarantined"):
        return _refused(job.entry)
    if job.entry.document_id:
        headers["Location"] = f"/v1/documents/{quote(job.entry.document_id, safe='')}"
    return JSONResponse(asdict(job.entry), 200 if job.entry.status == "unchanged" else 201, headers)


@router.get("/v1/documents", response_model=Documents)
def documents(service: ReadyService, asker: Asker) -> Response:
    """Every document that may be read."""
    may = service.allowed(asker)
    return JSONResponse({"documents": [asdict(info) for info in service.bot.index.documents() if may(info)]})


@router.get("/v1/documents/{document_id}", response_model=DocumentInfo)
def document(document_id: str, service: ReadyService, asker: Asker) -> Response:
    """One document, without its text."""
    return JSONResponse(asdict(_found(service, asker, document_id)))


@router.get(
    "/v1/documents/{document_id}/text",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The text."}},
)
async def text(
    document_id: str,
    service: ReadyService,
    asker: Asker,
    start: Annotated[int, Query(ge=0, description="Where to begin, in characters.")] = 0,
    end: Annotated[int | None, Query(ge=0, description="Where to end; left out: the text's end.")] = None,
) -> Response:
    """A document's text from `start` to `end`, in UTF-8; what lies beyond the text's end is left out."""
    _check_span(start, end)
    _found(service, asker, document_id)
    part = await service.bot.text(document_id, start, end, allowed=service.allowed(asker))
    return Response(part.encode(), media_type="text/plain; charset=utf-8")


@router.get(
    "/v1/documents/{document_id}/file",
    response_class=Response,
    responses={200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}, "description": "The file."}},
)
async def original(document_id: str, service: ReadyService, asker: Asker) -> Response:
    """The original file, for saving."""
    info = _found(service, asker, document_id)
    path = await service.bot.original(document_id, allowed=service.allowed(asker))
    media_type = info.media_type if info.media_type in SAFE_TYPES else "application/octet-stream"
    # Given as a header, the type stays without a charset: the file is in whatever encoding its author used.
    return FileResponse(path, headers={"Content-Type": media_type}, filename=_saved_as(info.source) or path.name)


@router.get("/v1/documents/{document_id}/boxes", response_model=Boxes)
async def boxes(
    document_id: str,
    service: ReadyService,
    asker: Asker,
    start: Annotated[int, Query(ge=0, description="Where to begin, in characters of the text.")],
    end: Annotated[int, Query(ge=0, description="Where to end.")],
) -> Response:
    """Where a span of a document's text stands on its pages, found in the original; of a format without pages, nothing."""
    _check_span(start, end)
    _found(service, asker, document_id)
    places = await service.bot.places(document_id, start, end, allowed=service.allowed(asker))
    return JSONResponse({"pages": [asdict(place) for place in places]})


@router.delete("/v1/documents/{document_id}", response_model=LedgerEntry)
async def remove(document_id: str, service: ReadyService, asker: Asker) -> Response:
    """Take a document out of the index. The original file stays where it is."""
    _found(service, asker, document_id)
    return JSONResponse(asdict(await service.bot.remove(document_id)))


def _found(service: Service, asker: Principal, document_id: str) -> DocumentInfo:
    """A document that they may read. Raises DocumentNotFound, in the same words for one that is there and is not theirs."""
    index, may = service.bot.index, service.allowed(asker)
    if index.reads(document_id, may):  # which takes as long for what is another's as for what there is not
        with suppress(DocumentNotFound):
            info = index.document(document_id)
            if may(info):
                return info
    raise DocumentNotFound(f"There is no document {document_id!r} in the index.", "GET /v1/documents shows what there is.")


def _patience(prefer: str | None, usual: float) -> tuple[str, float]:
    """The preference that is honoured, and how many seconds an upload's answer may take to come."""
    preferences = [part.strip().lower() for part in (prefer or "").split(",")]
    for part in preferences:
        if found := _WAIT.fullmatch(part):
            return part, min(float(found[1]), LONGEST_WAIT)
    return ("respond-async", 0.0) if "respond-async" in preferences else ("", usual)


def _problem(told: dict[str, Any]) -> Problem:
    """The problem that ended a job, as it was put down."""
    status, retry_after = int(told["status"]), _AGAIN if told["status"] == 503 else None
    return Problem(status, str(told["title"]), str(told["detail"]), str(told["type"]).rpartition(":")[2], retry_after)


def _check_span(start: int, end: int | None) -> None:
    if end is not None and start > end:
        message = f"{start} lies after end, which is {end}"
        raise RequestValidationError([{"type": "value_error", "loc": ("query", "start"), "msg": message, "input": start}])


def _refused(entry: LedgerEntry) -> Response:
    """The ledger's entry inside a problem; its `status` would be in the way of the problem's own, so it also comes whole."""
    reason = entry.reason or "It could not be taken in."
    extra = {**asdict(entry), "entry": asdict(entry)}
    problem = Problem(422, "The document can't be taken in", reason, f"document-{entry.status}", extra=extra)
    return problem.response("/v1/documents")


def _saved_as(source: str) -> str:
    return PurePosixPath(source.removeprefix("upload:")).name


def _folders(given: str) -> list[str]:
    """The folders of an upload, outermost first."""
    parts = [part.strip() for part in given.replace("\\", "/").split("/") if part.strip()]
    if any(part in (".", "..") or not part.isprintable() or MARK in f"{part}/" for part in parts):
        fault = "a folder is named with printable characters, its parts separated by /"
    elif parts and f"upload:{parts[0]}/".casefold() == PRIVATE.casefold():
        fault = "the folder `private` is kept for what people send in private"
    else:
        return parts
    raise RequestValidationError([{"type": "value_error", "loc": ("body", "folder"), "msg": fault, "input": given}])


def _check_free(service: Service, asker: Principal, name: str) -> None:
    """Refuse what would be put where they may not read, or in place of a document that they may not read."""
    source, may = f"upload:{name}", service.allowed(asker)
    there = service.bot.index.find(source)
    if service.accounts and not may(there or DocumentInfo("", source, name, "", 0, 0, "", "")):
        detail = f"You may not put a document at {name}. Take another name or folder."
        raise Refused(Problem(403, "Not allowed", detail, "not-allowed"))


def _name(given: str) -> str:
    """The file's own name: no folders, nothing that a file system does not take."""
    name = given.replace("\\", "/").rsplit("/", 1)[-1].strip()
    fault = None
    if name in ("", ".", ".."):
        fault = "the file has no name; send filename= with it"
    elif len(name.encode("utf-8", "replace")) > NAME_BYTES:
        fault = f"the file's name is longer than {NAME_BYTES} bytes; rename it"
    elif not name.isprintable():
        fault = f"the file's name {name!r} has characters in it that can't be shown; rename it"
    if fault:
        raise RequestValidationError([{"type": "value_error", "loc": ("body", "file"), "msg": fault, "input": None}])
    return name
