"""Where in the index the places stand that a question wants or hides, and which passages and citations touch them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ingest.index import Index
from ingest.types import Hit
from rag_bot.eval.types import Wanted

_MORE = 50  # passages asked for beside those that are wanted, where some are hidden
_HALF = 0.5  # of the shorter of two spans; less of an overlap is a seam, not the place


@dataclass(frozen=True, slots=True)
class Place:
    """A wanted place in the index: a span of a document, or all of it (`start` is None)."""

    document_id: str
    start: int | None = None
    end: int = 0

    def holds(self, document_id: str, start: int, end: int, share: float = _HALF) -> bool:
        """Whether a span of a document is at this place: they overlap by at least a `share` of the shorter of the two."""
        if document_id != self.document_id:
            return False
        if self.start is None:
            return True
        overlap = min(end, self.end) - max(start, self.start)
        return overlap > 0 and overlap >= share * min(end - start, self.end - self.start)


class Locator:
    """Finds the places in one index. A quote is looked for as it stands, then with any white space between its words."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._by_name: dict[str, set[str]] = {}
        for info in index.documents():
            path = info.source.removeprefix("upload:")
            for name in {info.source, path, PurePath(path).name, info.document_id, info.title}:
                self._by_name.setdefault(name, set()).add(info.document_id)
        self._sources = {info.document_id: info.source for info in index.documents()}
        self._texts: dict[str, str] = {}

    def documents(self, name: str) -> list[str]:
        """The ids of the documents that a name means: a source or the end of its path, a file's name, an id or a title."""
        found = self._by_name.get(name)
        if found is None and "/" in name:
            found = {i for i, source in self._sources.items() if source.endswith("/" + name.lstrip("./"))}
        return sorted(found or ())

    def places(self, wanted: Wanted) -> list[Place]:
        """Every place that is meant; none if the document, or the quote in it, is not in the index."""
        found = []
        for document_id in self.documents(wanted.document):
            if not wanted.quote.strip():
                found.append(Place(document_id))
            elif span := self._find(document_id, wanted.quote):
                found.append(Place(document_id, *span))
        return found

    def _find(self, document_id: str, quote: str) -> tuple[int, int] | None:
        if document_id not in self._texts:
            self._texts = {document_id: self._index.text(document_id)}  # questions come document by document: one is enough
        text = self._texts[document_id]
        at = text.find(quote)
        if at >= 0:
            return at, at + len(quote)
        loose = re.search(r"\s+".join(re.escape(word) for word in quote.split()), text)
        return loose.span() if loose else None


def touched(places: Sequence[Sequence[Place]], document_id: str, start: int, end: int, share: float = _HALF) -> tuple[int, ...]:
    """Which of the wanted places (each may stand in several documents) a span is at."""
    return tuple(n for n, some in enumerate(places) if any(place.holds(document_id, start, end, share) for place in some))


class Hiding:
    """A retriever that does not find certain places. `hidden` is set before each question; all else is the retriever's own.

    More is asked for than is wanted, so that what is taken away leaves enough. `deeper` goes on with the last search.
    """

    def __init__(self, retrieve: Any) -> None:
        self._retrieve = retrieve
        self._last: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None
        self.hidden: Sequence[Place] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._retrieve, name)

    def deeper(self, k: int) -> list[Hit]:
        """The `k` best passages of the last search, whatever it was told beside the question; none before there was one."""
        if self._last is None:
            return []
        question, arguments, options = self._last
        return self(question, k, *arguments, **options)

    def forget(self) -> None:
        self._last = None

    def __call__(self, question: str, k: int, *arguments: Any, **options: Any) -> list[Hit]:
        self._last = question, arguments, options
        if not self.hidden:
            hits: list[Hit] = self._retrieve(question, k, *arguments, **options)
            return hits
        depth = k + _MORE
        while True:
            found: list[Hit] = self._retrieve(question, depth, *arguments, **options)
            seen = [hit for hit in found if not self._is_hidden(hit)]
            if len(seen) >= k or len(found) < depth:
                return seen[:k]
            depth *= 4

    def _is_hidden(self, hit: Hit) -> bool:
        chunk, owner = hit.chunk, hit.document.document_id
        return any(place.holds(owner, chunk.start, chunk.end, 0.0) for place in self.hidden)
