"""Passages of a data set to an index, with the project's own chunker, embedder and index; vectors are kept between runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.data import Passage
from ingest.chunker import Chunker
from ingest.embedder import Embedder, Vectors, load_embedder
from ingest.index import Index, document_id
from ingest.parsers.builder import TextBuilder
from ingest.settings import IngestSettings
from ingest.types import Chunk, Document

CACHE = Path(os.environ.get("RAG_BOT_BENCH_CACHE", ".cache/benchmarks"))


def document(passage: Passage) -> Document:
    """A passage as a parsed document of its own; its source is its id."""
    builder = TextBuilder()
    for paragraph in passage.text.split("\n\n"):
        builder.text(paragraph)
    parsed = builder.build(passage.title, "text/plain")
    sha256 = hashlib.sha256(passage.text.encode()).hexdigest()
    return Document(document_id(passage.id), passage.id, parsed.title, parsed.media_type, sha256, parsed.text, parsed.blocks)


def prepare(passages: Sequence[Passage], embedder: Embedder, limit: int) -> list[tuple[Document, list[Chunk], list[str]]]:
    """Each passage's document, its chunks and the texts to embed."""
    chunker = Chunker(embedder.count_tokens, limit=limit, max_tokens=embedder.max_tokens)
    prepared = []
    for one in passages:
        made = document(one)
        chunks = chunker(made)
        texts = [chunker.text_to_embed(made, chunk) for chunk in chunks]
        prepared.append((made, chunks, texts))
    return prepared


def embed(texts: Sequence[str], embedder: Embedder, name: str) -> Vectors:
    """Vectors of the texts, from the cache where the same texts were embedded before."""
    digest = hashlib.sha256((embedder.fingerprint + "\0".join(texts)).encode()).hexdigest()[:16]
    path = CACHE / "vectors" / f"{name}-{digest}.npy"
    if path.exists():
        return np.asarray(np.load(path), dtype=np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    vectors = np.zeros((len(texts), embedder.dimension), dtype=np.float32)
    step = 1024
    for at in range(0, len(texts), step):
        vectors[at : at + step] = embedder.embed_documents(texts[at : at + step])
        print(f"\r{name}: {min(at + step, len(texts)):,} of {len(texts):,} chunks embedded", end="", file=sys.stderr)
    print(file=sys.stderr)
    np.save(path, vectors)
    return vectors


def index_of(passages: Sequence[Passage], name: str, *, embedder: Embedder | None = None, limit: int | None = None) -> Index:
    """A fresh index of the passages, open for reading."""
    settings = IngestSettings()
    embedder = embedder or load_embedder("minilm")
    prepared = prepare(passages, embedder, limit or settings.chunk_tokens)
    vectors = embed([text for _, _, texts in prepared for text in texts], embedder, name)
    folder = CACHE / "indexes" / name
    shutil.rmtree(folder, ignore_errors=True)
    with Index.open(folder, write=True, create=True, embedder=embedder) as index:
        at = 0
        for made, chunks, _ in prepared:
            if chunks:
                index.add(made, chunks, vectors[at : at + len(chunks)])
            at += len(chunks)
        index.publish(force=True)
    return Index.open(folder, embedder=embedder)
