"""The documents that a data set brings along to an index of their own; an index to a copy that is cut or embedded otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.build import open_pipeline
from ingest.chunker import Chunker
from ingest.index import Index, document_id
from ingest.parsers import parse
from ingest.parsers.builder import TextBuilder
from ingest.settings import IngestSettings
from ingest.types import Document, Parsed
from rag_bot.eval.types import Text

Tell = Callable[[int, int], None]
"""Told how many of how many are done."""

_STEP = 256  # documents embedded together: enough to sort by length


def key_of(texts: Sequence[Text]) -> str:
    """Eight letters that stand for these documents and no others."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update("\0".join([text.name, text.title, str(text.markdown), text.text, "\0"]).encode("utf-8", "replace"))
    return digest.hexdigest()[:8]


def fill(settings: IngestSettings, texts: Sequence[Text], tell: Tell = lambda done, of: None) -> None:
    """Make the index of the settings hold exactly these documents. What is there already is not embedded again, so that what
    was stopped half-way goes on. Raises what `Index.open` raises."""
    with Index.open(settings.index, settings=settings, write=True, create=True) as index:
        known = {info.source: info for info in index.documents()}
        names = {text.name for text in texts}
        for info in known.values():
            if info.source not in names:
                index.remove(info.document_id)
        missing = [text for text in texts if text.name not in known or known[text.name].sha256 != _sha256(text)]
        tell(len(texts) - len(missing), len(texts))
        for at in range(0, len(missing), _STEP):
            _add(index, settings, missing[at : at + _STEP])
            tell(len(texts) - max(0, len(missing) - at - _STEP), len(texts))
        index.publish(force=bool(missing))


def copy(source: Path, settings: IngestSettings, tell: Tell = lambda done, of: None) -> None:
    """Make the index of the settings hold the documents of another, cut and embedded as the settings say.

    Needs no file of the documents; what is there already is not embedded again. Raises what `Index.open` raises.
    """
    own = IngestSettings.model_construct()  # whatever the environment says: the other index keeps its embedder
    with Index.open(source, settings=own) as index, open_pipeline(settings) as pipeline:
        wanted = {info.source: info.sha256 for info in index.documents()}
        pipeline.remove([i.document_id for i in pipeline.index.documents() if wanted.get(i.source) != i.sha256])
        before = pipeline.index.counts()[0]
        tell(before, len(wanted))
        pipeline.take_over(index, lambda progress: tell(progress.files_done, progress.files_total))


def _add(index: Index, settings: IngestSettings, texts: Sequence[Text]) -> None:
    embedder = index.embedder
    chunker = Chunker(embedder.count_tokens, limit=settings.chunk_tokens, max_tokens=embedder.max_tokens)
    documents = [_document(text) for text in texts]
    chunks = [chunker(document) for document in documents]
    shown = [
        [chunker.text_to_embed(document, chunk) for chunk in some] for document, some in zip(documents, chunks, strict=True)
    ]
    spans = [
        chunker.spans_to_embed(text, chunk)
        for some, each in zip(chunks, shown, strict=True)
        for chunk, text in zip(some, each, strict=True)
    ]
    embedded = embedder.embed_passages([text for some in shown for text in some], spans)
    at = 0
    for document, some in zip(documents, chunks, strict=True):
        if some:
            index.add(document, some, embedded[at : at + len(some)])
        at += len(some)


def _document(text: Text) -> Document:
    parsed = _parsed(text)
    title = text.title or parsed.title
    return Document(document_id(text.name), text.name, title, parsed.media_type, _sha256(text), parsed.text, parsed.blocks)


def _parsed(text: Text) -> Parsed:
    if text.markdown:
        return parse(text.text.encode("utf-8", "replace"), "text.md")
    builder = TextBuilder()
    for paragraph in text.text.split("\n\n"):
        builder.text(paragraph)
    return builder.build(text.title or text.name, "text/plain")


def _sha256(text: Text) -> str:
    return hashlib.sha256(f"{text.title}\0{text.markdown}\0{text.text}".encode("utf-8", "replace")).hexdigest()
