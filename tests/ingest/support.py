"""What the index's tests share: an embedder that counts, and a short way to put a text into an index."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np

from ingest.chunker import Chunker
from ingest.curate.curator import Curator
from ingest.embedder import Embedded, HashEmbedder, Vectors
from ingest.index import Index, document_id
from ingest.inspect import Finding
from ingest.inspect.inspector import share_out
from ingest.parsers import parse
from ingest.settings import IngestSettings
from ingest.types import Document, Hit, LedgerEntry, Span

HASH = IngestSettings(embedder="hash")
READ = ("ingest/index.py", "ingest/derived.py", "ingest/store/connection.py")

TEXTS = {
    "/docs/leave.md": "# Parental leave\n\nParental leave lasts sixteen weeks. Ask for it in writing.\n\n"
    "## Contractors\n\nContractors have no parental leave.\n",
    "/docs/pets.txt": "Dogs may come to the office on Fridays. Cats may not come at all.\n",
    "/docs/rates.csv": "city,night rate\nOslo,140 euros\nLisbon,95 euros\n",
}

# A program that answers each line with the index's version and the names of the documents found.
READER = """
import sys
from pathlib import Path
from ingest.index import Index
with Index.open(Path(sys.argv[1])) as index:
    for question in sys.stdin:
        hits = index.search(question.strip(), 10)
        print(index.version, *sorted(Path(hit.document.source).name for hit in hits), flush=True)
"""


class CountingEmbedder(HashEmbedder):
    """A hash embedder that remembers how many passages it was given."""

    def __init__(self) -> None:
        self.passages = 0

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        self.passages += len(texts)
        return super().embed_passages(texts, spans)


class WordEmbedder(HashEmbedder):
    """Another embedder: the same words in half as many places."""

    dimension = 128
    fingerprint = "words"

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        vectors = HashEmbedder().embed_documents(texts)
        folded = vectors[:, :128] + vectors[:, 128:]
        unit: Vectors = folded / np.linalg.norm(folded, axis=1, keepdims=True)
        return unit

    embed_queries = embed_documents


class BrokenEmbedder(WordEmbedder):
    """One that gives up."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        raise MemoryError


def load_embedder(name: str, settings: IngestSettings, *, write: bool) -> HashEmbedder:
    """In place of the index's own, which knows no other embedder that is quick to load."""
    new = {"hash": HashEmbedder, "words": WordEmbedder, "broken": BrokenEmbedder}[name]()
    new.name = name
    return new


def made(source: str, text: str, findings: tuple[Finding, ...] = ()) -> Document:
    """The document that the file `source` with this text is parsed to."""
    parsed = parse(text.encode(), Path(source).name)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Document(
        document_id(source),
        source,
        parsed.title,
        parsed.media_type,
        sha256,
        parsed.text,
        parsed.blocks,
        findings,
        labels=parsed.labels,
    )


@contextmanager
def at_steps(wanted: Callable[[int], bool], act: Callable[[], object], files: tuple[str, ...] = READ) -> Iterator[list[int]]:
    """Calls `act` whenever the code in some files (of what reads an index) has called or left a function, if the number of that
    step is `wanted`. Yields how many there were."""
    steps = [0]

    def step(frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "return") and frame.f_code.co_filename.endswith(files):
            steps[0] += 1
            if wanted(steps[0]):
                act()  # none of its own steps is counted: the interpreter looks away meanwhile

    sys.setprofile(step)
    try:
        yield steps
    finally:
        sys.setprofile(None)


def put(index: Index, source: str, text: str, limit: int = 200, findings: tuple[Finding, ...] = ()) -> LedgerEntry:
    """Parse, chunk, embed and add a text, without publishing it."""
    document = made(source, text, findings)
    chunker = Chunker(index.embedder.count_tokens, limit=limit, max_tokens=index.embedder.max_tokens)
    chunks = share_out(document, chunker(document))
    texts = [chunker.text_to_embed(document, chunk) for chunk in chunks]
    spans = [chunker.spans_to_embed(text, chunk) for text, chunk in zip(texts, chunks, strict=True)]
    facts = Curator().facts(document, chunks)
    return index.add(document, chunks, index.embedder.embed_passages(texts, spans), None, facts=facts)


def fill(index: Index) -> None:
    """Put the three texts in and publish them."""
    for source, text in TEXTS.items():
        put(index, source, text)
    index.publish()


def as_fourth_schema(store: Path) -> None:
    """Make a store what the fourth version of its schema had, before files were asked for their labels."""
    with sqlite3.connect(store) as db:
        db.execute("DROP INDEX documents_by_change")
        for column in ("labels", "changed"):
            db.execute(f"ALTER TABLE documents DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 4")
    db.close()


def as_second_schema(store: Path) -> None:
    """Make a store what the second version of its schema had, before it was kept where each document stands."""
    as_fourth_schema(store)
    with sqlite3.connect(store) as db:
        for table in ("states", "runs", "curation", "twins", "bands", "contradictions"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version = 2")
    db.close()


def as_first_schema(store: Path) -> None:
    """Make a store what the first version of its schema had, before anything was inspected."""
    as_second_schema(store)
    with sqlite3.connect(store) as db:
        for table, column in (("documents", "masked"), ("documents", "findings"), ("chunks", "findings")):
            db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        db.execute("DROP TABLE quarantine")
        db.execute("PRAGMA user_version = 1")
    db.close()


def found(hits: Sequence[Hit]) -> list[tuple[str, str]]:
    """The hits as (name of the file, text)."""
    return [(Path(hit.document.source).name, hit.chunk.text) for hit in hits]


def names(index: Index) -> list[str]:
    return [Path(info.source).name for info in index.documents()]


def assert_whole(index: Index) -> None:
    """Every document has all its chunks, each at its exact place, and no fault can be found."""
    assert index.verify() == []
    for info in index.documents():
        text, chunks = index.text(info.document_id), index.chunks_of(info.document_id)
        assert (len(text), len(chunks)) == (info.characters, info.chunks)
        assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
        vectors = index.sentence_cosines(index.embed_query("x"), [chunk.id for chunk in chunks])
        assert len(vectors) == len(chunks)
