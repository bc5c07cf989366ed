"""What a run would change, without changing anything: files are read and looked at, not parsed, and nothing is written."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ingest.build import open_parsers
from ingest.errors import DocumentError
from ingest.index import STORE, document_id
from ingest.parsers import look
from ingest.settings import IngestSettings
from ingest.sources.archives import ArchiveLimits, Opened, rounds
from ingest.sources.files import Found, check_not_emptied, outside, root_of, source_of
from ingest.store import Store
from ingest.types import DocumentInfo, LedgerEntry, Progress, Quarantined, Report


def plan(
    settings: IngestSettings,
    paths: Sequence[Path],
    *,
    sync: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """The report that `add` (or `sync` of the first path) would give as far as it can be known beforehand.

    A file that is broken inside fails only when it is parsed, and what is held back is known only then. Raises SourceError.
    """
    began = time.monotonic()
    root = root_of(paths[0]) if sync else ""
    found = outside(paths, settings.index)
    store = Store(settings.index / STORE) if (settings.index / STORE).is_file() else None
    try:
        known = {info.source: info for info in store.documents()} if store else {}
        waiting = {(one.source, one.sha256): one for one in (store.quarantine() if store else ()) if one.state != "released"}
    finally:
        if store:
            store.close()
    if sync:
        check_not_emptied(root, found, len(_below(root, known, waiting.values())))
    entries: list[LedgerEntry] = []
    opened, total = Opened(), 0
    limits = ArchiveLimits(settings.archive_files, settings.archive_bytes, settings.archive_depth)
    with open_parsers(settings) as pool:
        for files in rounds(found, pool.unpack, limits, settings.max_file_bytes, opened):
            total += len(files)
            for file in files:
                entry = _outcome(file, known, waiting, settings.max_file_bytes)
                entries.append(entry)
                if progress:
                    progress(Progress(len(entries), total, 0, entry, entry.source))
    stands = {source: info.document_id for source, info in known.items()}
    if sync:
        is_gone, stands = opened.gone_from(found), _below(root, known, waiting.values())
    else:
        is_gone = opened.is_gone
    entries += [LedgerEntry(source, stands[source], "removed") for source in sorted(stands) if is_gone(source)]
    return Report(tuple(entries), time.monotonic() - began)


def _outcome(
    file: Found, known: dict[str, DocumentInfo], waiting: dict[tuple[str, str], Quarantined], max_bytes: int
) -> LedgerEntry:
    info = known.get(file.source)
    identity = info.document_id if info else None
    if file.error:
        return LedgerEntry(file.source, identity, "failed", file.error)
    try:
        size = len(file.data) if file.data is not None else file.path.stat().st_size
        data = file.data or (file.path.read_bytes() if file.data is None and size <= max_bytes else b"")
    except OSError as error:
        return LedgerEntry(file.source, identity, "failed", f"can't be read: {error.strerror}")
    if size > max_bytes:
        reason = f"is larger ({size:,} bytes) than the limit ({max_bytes:,}; RAG_BOT_MAX_FILE_BYTES)"
        return LedgerEntry(file.source, identity, "failed", reason)
    sha256 = hashlib.sha256(data).hexdigest()
    if info and info.sha256 == sha256:
        return LedgerEntry(file.source, identity, "unchanged", None, info.chunks)
    if held := waiting.get((file.source, sha256)):
        status, reason = ("quarantined", held.reason) if held.state == "held" else ("unchanged", "is left out: it was dropped")
        return LedgerEntry(file.source, held.document_id, status, reason)  # type: ignore[arg-type]
    try:
        look(data, file.name, max_bytes=max_bytes)
    except DocumentError as error:
        return LedgerEntry(file.source, identity, "failed", str(error))
    return LedgerEntry(file.source, document_id(file.source), "replaced" if info else "added")


def _below(root: str, known: dict[str, DocumentInfo], waiting: Iterable[Quarantined]) -> dict[str, str]:
    """What is known of a folder: document ids by source."""
    below = source_of(root).rstrip(os.sep) + os.sep
    ids = {held.source: held.document_id for held in waiting if held.state == "held"}
    ids |= {source: info.document_id for source, info in known.items()}
    return {source: identity for source, identity in ids.items() if source.startswith(below)}
