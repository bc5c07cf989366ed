"""`/v1/documents`: add by upload, list, read, fetch the original, remove."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, File, Query, UploadFile
from fastapi.exceptions import RequestValidationError
from starlette.responses import FileResponse, JSONResponse, Response

from ingest.errors import DocumentNotFound, TooLarge
from ingest.types import DocumentInfo, LedgerEntry
from rag_bot.api.problems import Problem
from rag_bot.api.schemas import PROBLEM, Boxes, Documents
from rag_bot.api.service import ReadyService, Service

router = APIRouter(tags=["Documents"], responses=PROBLEM)

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
    },
)
async def upload(file: Annotated[UploadFile, File(description="The document.")], service: ReadyService) -> Response:
    """Add a document; what became of it is the answer. One that can't be taken in is a 422 problem with the entry in it."""
    name = _name(file.filename or "")
    limit = service.bot.settings.max_file_bytes
    if (file.size or 0) > limit:
        raise TooLarge(f"{name} has {file.size:,} bytes; {limit:,} are allowed.", "Split it, or raise RAG_BOT_MAX_FILE_BYTES.")
    entry = await service.bot.upload(name, await file.read())
    if entry.status in ("failed", "quarantined"):
        return _refused(entry)
    headers = {"Location": f"/v1/documents/{quote(entry.document_id, safe='')}"} if entry.document_id else None
    return JSONResponse(asdict(entry), 200 if entry.status == "unchanged" else 201, headers)


@router.get("/v1/documents", response_model=Documents)
def documents(service: ReadyService) -> Response:
    """Every document of the index."""
    may = service.bot.everyone
    return JSONResponse({"documents": [asdict(info) for info in service.bot.index.documents() if may(info)]})


@router.get("/v1/documents/{document_id}", response_model=DocumentInfo)
def document(document_id: str, service: ReadyService) -> Response:
    """One document, without its text."""
    return JSONResponse(asdict(_found(service, document_id)))


@router.get(
    "/v1/documents/{document_id}/text",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The text."}},
)
async def text(
    document_id: str,
    service: ReadyService,
    start: Annotated[int, Query(ge=0, description="Where to begin, in characters.")] = 0,
    end: Annotated[int | None, Query(ge=0, description="Where to end; left out: the text's end.")] = None,
) -> Response:
    """A document's text from `start` to `end`, in UTF-8; what lies beyond the text's end is left out."""
    _check_span(start, end)
    _found(service, document_id)
    shown = await service.bot.text(document_id, start, end)
    return Response(shown.encode(), media_type="text/plain; charset=utf-8")


@router.get(
    "/v1/documents/{document_id}/file",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
async def original(document_id: str, service: ReadyService) -> Response:
    """The original file, for saving."""
    info = _found(service, document_id)
    path = await service.bot.original(document_id)
    media_type = info.media_type if info.media_type in SAFE_TYPES else "application/octet-stream"
    # Given as a header, the type stays without a charset: the file is in whatever encoding its author used.
    return FileResponse(path, headers={"Content-Type": media_type}, filename=_saved_as(info.source) or path.name)


@router.get("/v1/documents/{document_id}/boxes", response_model=Boxes)
async def boxes(
    document_id: str,
    service: ReadyService,
    start: Annotated[int, Query(ge=0, description="Where to begin, in characters of the text.")],
    end: Annotated[int, Query(ge=0, description="Where to end.")],
) -> Response:
    """Where a span of a document's text stands on its pages, found in the original; of a format without pages, nothing."""
    _check_span(start, end)
    _found(service, document_id)
    return JSONResponse({"pages": [asdict(place) for place in await service.bot.places(document_id, start, end)]})


@router.delete("/v1/documents/{document_id}", response_model=LedgerEntry)
async def remove(document_id: str, service: ReadyService) -> Response:
    """Take a document out of the index. The original file stays where it is."""
    _found(service, document_id)
    return JSONResponse(asdict(await service.bot.remove(document_id)))


def _found(service: Service, document_id: str) -> DocumentInfo:
    """A document that everyone may read: nobody here knows who asks. Raises DocumentNotFound for any other."""
    info = service.bot.index.document(document_id)
    if not service.bot.everyone(info):
        raise DocumentNotFound(f"There is no document {document_id!r} in the index.", "GET /v1/documents shows what there is.")
    return info


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
