"""Reads documents with the personal data masked that ingestion found in them: every place and length stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ingest.errors import DocumentNotFound, SourceError
from ingest.index import Index
from ingest.inspect import Finding, masked
from ingest.inspect.personal import find_personal
from ingest.types import Hit

UNSURE = 0.5
"""Up to this score it is an office's address, or a number that may be something else."""


def to_mask(finding: Finding) -> bool:
    """Whether this is somebody's personal data, or a key."""
    return finding.group in ("personal", "secret") and finding.score > UNSURE


class Masking:
    """The index's texts and passages as readers may see them."""

    def __init__(self, index: Index) -> None:
        self._index = index

        @lru_cache(maxsize=512)
        def found(document_id: str, version: int) -> tuple[Finding, ...]:
            return tuple(filter(to_mask, index.findings(document_id)))

        self._found = found

    def text(self, document_id: str, start: int = 0, end: int | None = None) -> str:
        """The characters from `start` to `end` of a document's text. Raises DocumentNotFound."""
        text = self._index.text(document_id, start, end)
        found = self._found(document_id, self._index.version)
        return masked(text, (replace(one, start=one.start - start, end=one.end - start) for one in found if one.end > start))

    def original(self, document_id: str) -> Path:
        """As the index's; one that holds what is masked here is not given out (SourceError)."""
        path = self._index.original(document_id)
        if self._found(document_id, self._index.version):
            raise SourceError("The original is not given out: it holds personal data.", "Its text is here, masked.")
        return path

    def text_at(self, document_id: str, start: int, end: int) -> str:
        """As `text`; a document that is gone reads as nothing."""
        try:
            return self.text(document_id, start, end)
        except DocumentNotFound:
            return ""

    def hits(self, hits: Sequence[Hit]) -> list[Hit]:
        """Passages with their text, headings, titles and places masked."""
        return [self._hit(hit) for hit in hits]

    def _hit(self, hit: Hit) -> Hit:
        found = [finding for finding in hit.chunk.findings if to_mask(finding)]
        if not found:
            return hit
        at, (title, *heading) = hit.chunk.start, map(_short, (hit.document.title, *hit.chunk.heading))
        text = masked(hit.chunk.text, (replace(one, start=one.start - at, end=one.end - at) for one in found))
        places = tuple(place._replace(name=_short(place.name)) for place in hit.chunk.places)
        chunk = replace(hit.chunk, text=text, heading=tuple(heading), places=places)
        return replace(hit, document=replace(hit.document, title=title), chunk=chunk)


@lru_cache(maxsize=1024)
def _short(text: str) -> str:
    """A title, a heading or the name of a place, masked: none says where it stands in the text."""
    return masked(text, filter(to_mask, find_personal(text)))
