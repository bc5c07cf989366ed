"""Passages of a data set to an index, with the project's own chunker, embedder and index."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import cache
from benchmarks.data import Passage
from ingest.chunker import Chunker
from ingest.embedder import Embedded, Embedder, load_embedder
from ingest.index import Index, document_id
from ingest.parsers.builder import TextBuilder
from ingest.settings import IngestSettings
from ingest.types import Chunk, Document, Span

_STEP = 2048  # documents whose vectors are held at a time


@dataclass(frozen=True, slots=True)
class Prepared:
    """A passage as a document with its chunks, the texts to embed, and where in these the sentences stand."""

    document: Document
    chunks: list[Chunk]
    texts: list[str]
    spans: list[list[Span]]


def document(passage: Passage) -> Document:
    """A passage as a parsed document of its own; its source is its id."""
    builder = TextBuilder()
    for paragraph in passage.text.split("\n\n"):
        builder.text(paragraph)
    if passage.table:
        builder.table(passage.table)
    parsed = builder.build(passage.title, "text/plain")
    sha256 = hashlib.sha256(f"{passage.text}{passage.table or ''}".encode()).hexdigest()
    return Document(document_id(passage.id), passage.id, parsed.title, parsed.media_type, sha256, parsed.text, parsed.blocks)


def prepare(passages: Sequence[Passage], embedder: Embedder, limit: int) -> list[Prepared]:
    """Each passage chunked, ready to be embedded."""
    chunker = Chunker(embedder.count_tokens, limit=limit, max_tokens=embedder.max_tokens)
    prepared = []
    for one in passages:
        made = document(one)
        chunks = chunker(made)
        texts = [chunker.text_to_embed(made, chunk) for chunk in chunks]
        spans = [chunker.spans_to_embed(text, chunk) for text, chunk in zip(texts, chunks, strict=True)]
        prepared.append(Prepared(made, chunks, texts, spans))
    return prepared


Embed = Callable[[Sequence[str], Sequence[Sequence[Span]]], Embedded]


def index_of(
    passages: Sequence[Passage],
    name: str,
    *,
    embedder: Embedder | None = None,
    limit: int | None = None,
    embed: Embed | None = None,
) -> Index:
    """A fresh index of the passages, open for reading. `embed` stands in for the embedder, whose vectors are kept."""
    embedder = embedder or load_embedder("minilm")
    embed = embed or partial(cache.embed, embedder=embedder, name=name)
    folder = cache.FOLDER / "indexes" / name
    shutil.rmtree(folder, ignore_errors=True)
    prepared = prepare(passages, embedder, limit or IngestSettings().chunk_tokens)
    with Index.open(folder, write=True, create=True, embedder=embedder) as index:
        for at in range(0, len(prepared), _STEP):
            _write(index, prepared[at : at + _STEP], embed)
        index.publish(force=True)
    return Index.open(folder, embedder=embedder)


def _write(index: Index, prepared: Sequence[Prepared], embed: Embed) -> None:
    texts = [text for one in prepared for text in one.texts]
    spans = [some for one in prepared for some in one.spans]
    embedded = embed(texts, spans)
    at = 0
    for one in prepared:
        if one.chunks:
            index.add(one.document, one.chunks, embedded[at : at + len(one.chunks)])
        at += len(one.chunks)
