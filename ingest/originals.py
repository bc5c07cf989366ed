"""Names of the files that an index keeps: uploads and what archives hold, and those of them that are held back."""

from __future__ import annotations

from ingest.types import Quarantined

FILES = "files"
UPLOAD = "upload:"
"""How the source of a document begins that came as bytes."""
_HELD = "held-"


def kept_name(document_id: str, sha256: str) -> str:
    """The name under which the index keeps an upload's file; one name is one content."""
    return f"{document_id}-{sha256[:16]}"


def held_name(held: Quarantined) -> str:
    """The name under which the index keeps the file of an upload that is held back."""
    return f"{_HELD}{kept_name(held.document_id, held.sha256)}"


def owner_of(name: str) -> str:
    """The document whose file is kept under this name."""
    return name.removeprefix(_HELD).partition("-")[0]
