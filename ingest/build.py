"""Settings to a pipeline: the one place where ingestion's classes are chosen."""

from __future__ import annotations

import shutil
from pathlib import Path

from ingest.chunker import Chunker
from ingest.curate.curator import Curator
from ingest.embedder import Embedder
from ingest.index import Index
from ingest.inspect.inspector import Inspector, Policies
from ingest.parsers.pool import ParserPool
from ingest.pipeline import Pipeline, ProgressCallback
from ingest.settings import IngestSettings
from ingest.sources.archives import ArchiveLimits
from ingest.sources.files import find
from ingest.types import Report


def open_pipeline(
    settings: IngestSettings, *, path: Path | None = None, embedder: Embedder | None = None, create: bool = True
) -> Pipeline:
    """The index of the settings (or in the folder `path`), open for writing, with what fills it.

    `embedder` shares one that is loaded already. Raises what `Index.open` raises.
    """
    index = Index.open(path or settings.index, settings=settings, write=True, create=create, embedder=embedder)
    pool = open_parsers(settings)

    def chunker(index: Index) -> Chunker:
        embedder = index.embedder
        return Chunker(embedder.count_tokens, limit=settings.chunk_tokens, max_tokens=embedder.max_tokens)

    inspector = make_inspector(settings)
    return Pipeline(
        index,
        find=find,
        parse=pool,
        chunker=chunker,
        max_bytes=settings.max_file_bytes,
        inspect=inspector,
        unpack=pool.unpack,
        archives=ArchiveLimits(settings.archive_files, settings.archive_bytes, settings.archive_depth),
        curate=Curator(),
    )


def open_parsers(settings: IngestSettings) -> ParserPool:
    """What reads files in a process of its own, with the limits and passwords of the settings; to be closed at the end."""
    passwords = [password.get_secret_value() for password in settings.passwords]
    return ParserPool(
        settings.parse_seconds,
        settings.parse_memory_mb,
        settings.max_file_bytes,
        size=settings.parse_processes,
        output_mb=settings.parse_output_mb,
        passwords=passwords,
    )


def make_inspector(settings: IngestSettings) -> Inspector:
    """What looks documents over, with every detector there is and the policies of the settings."""
    from ingest.inspect.orders import find_orders
    from ingest.inspect.personal import find_personal
    from ingest.inspect.secrets import find_secrets

    policies = Policies(
        settings.documents_personal, settings.documents_secrets, settings.documents_orders, settings.documents_hidden
    )
    return Inspector({"personal": find_personal, "secret": find_secrets, "order": find_orders}, policies)


def reembed(settings: IngestSettings, embedder: str, progress: ProgressCallback | None = None) -> Report:
    """Chunk and embed all that the index holds anew with another embedder (or other settings); searched until done.

    Needs no file of the documents. Stopped half-way, the index stays as it was.
    """
    kept = {name: getattr(settings, name) for name in settings.model_fields_set - {"embedder"}}
    with Index.open(settings.index, settings=type(settings).model_construct(**kept), write=True) as index:
        folder = index.path / "reembedded"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            fresh = settings.model_copy(update={"index": folder, "embedder": embedder})
            with open_pipeline(fresh) as pipeline:
                report = pipeline.take_over(index, progress)
            index.replace_store(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return report
