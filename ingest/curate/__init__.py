"""Facts about documents and chunks, found when they come in: language, quality, versions, boilerplate, near-duplicates.

Nothing here changes a document's text or fails on any text: a fact that can't be told is left empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Signature:
    """What a chunk (or document) is compared by.

    `minhash` holds 64 numbers of two bytes, empty where there are no words. `facts` and `names` are hashes, 0 where there
    are none: of numbers, dates and negations in their order, and of the names. Two texts say the same only where both agree.
    """

    minhash: bytes = b""
    facts: int = 0
    names: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What curation found out about a document.

    `language` is an ISO 639-1 code (or 639-3 where there is none), empty where the text is too short to tell; `quality` is in
    0..1, higher is better, and `flaws` names what lowered it, each with its part in 0..1. `version` is a number as it stands
    in the document (`2.1`), `dated` an ISO 8601 date, of which only the year, or year and month, may be known. `name_key` and
    `title_key` are what versions of one document have in common. `boilerplate` are spans of its text that are in no chunk;
    `pages` is the number of its last page with text, and `empty_pages` are those before it without any.
    """

    language: str = ""
    quality: float = 1.0
    flaws: Mapping[str, float] = field(default_factory=dict)
    version: str = ""
    dated: str = ""
    name_key: str = ""
    title_key: str = ""
    boilerplate: tuple[tuple[int, int], ...] = ()
    pages: int = 0
    empty_pages: tuple[int, ...] = ()
    signature: Signature = Signature()
    chunks: tuple[Signature, ...] = ()
