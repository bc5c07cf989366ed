"""SQLite: documents, their text, chunks, vectors and the ledger; the source of truth from which the rest is derived."""

from __future__ import annotations

from ingest.store.rows import PIECE
from ingest.store.schema import SCHEMA_VERSION
from ingest.store.writing import Store

__all__ = ["PIECE", "SCHEMA_VERSION", "Store"]
