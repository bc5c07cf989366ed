"""What a run would change, without changing anything: files are read and looked at, not parsed, and nothing is written."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from ingest.errors import DocumentError
from ingest.index import STORE, document_id
from ingest.parsers import look
from ingest.settings import IngestSettings
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
    gone: list[LedgerEntry] = []
    if sync:
        gone = _gone(root, found, known, list(waiting.values()))
    entries: list[LedgerEntry] = []
    for entry in chain((_outcome(file, known, waiting, settings.max_file_bytes) for file in found), gone):
        entries.append(entry)
        if progress:
            progress(Progress(len(entries), len(found) + len(gone), 0, entry, entry.source))
    return Report(tuple(entries), time.monotonic() - began)


def _outcome(
    file: Found, known: dict[str, DocumentInfo], waiting: dict[tuple[str, str], Quarantined], max_bytes: int
) -> LedgerEntry:
    info = known.get(file.source)
    identity = info.document_id if info else None
    if file.error:
        return LedgerEntry(file.source, identity, "failed", file.error)
    try:
        size = file.path.stat().st_size
        data = file.path.read_bytes() if size <= max_bytes else b""
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
        look(data, file.path.name, max_bytes=max_bytes)
    except DocumentError as error:
        return LedgerEntry(file.source, identity, "failed", str(error))
    return LedgerEntry(file.source, document_id(file.source), "replaced" if info else "added")


def _gone(
    root: str, found: Sequence[Found], known: dict[str, DocumentInfo], waiting: Sequence[Quarantined]
) -> list[LedgerEntry]:
    """What `sync` would remove."""
    below = source_of(root).rstrip(os.sep) + os.sep
    ids = {held.source: held.document_id for held in waiting if held.state == "held"}
    ids |= {source: info.document_id for source, info in known.items()}
    ids = {source: identity for source, identity in ids.items() if source.startswith(below)}
    check_not_emptied(root, found, len(ids))
    seen = {file.source for file in found}
    unreadable = tuple(file.source + os.sep for file in found if file.error)
    gone = [source for source in sorted(ids) if source not in seen and not source.startswith(unreadable)]
    return [LedgerEntry(source, ids[source], "removed") for source in gone]
