"""Do the cited spans carry their sentence? The gate's own check of support, turned on nothing but what is cited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.index import Index
from ingest.sentences import units
from ingest.types import Chunk, DocumentInfo, Hit
from rag_bot.bot import text_reader
from rag_bot.eval.types import Cited, Said
from rag_bot.support import SupportFinder

if TYPE_CHECKING:
    from ingest.embedder import Vectors


class Prover:
    """Fills in `carried` and `useful` of a sentence. `embed` makes the unit vector of a text."""

    def __init__(self, embed: Callable[[str], Vectors], index: Index) -> None:
        self._embed, self._index = embed, index
        self._passages: dict[int, Hit] = {}
        self._support = SupportFinder(embed, self._cosines, text_reader(index))

    def __call__(self, said: Said, citations: Sequence[Cited]) -> Said:
        carried = self._carries(said.text, citations)
        useful = tuple(
            carried
            and (
                self._carries(said.text, [citation])
                or not self._carries(said.text, [other for other in citations if other is not citation])
            )
            for citation in citations
        )
        return replace(said, carried=carried, useful=useful)

    def _carries(self, sentence: str, citations: Sequence[Cited]) -> bool:
        if not citations:
            return False
        if _folded(sentence) == _folded("\n".join(citation.quote for citation in citations)):
            return True
        self._passages = {number: _passage(number, citation) for number, citation in enumerate(citations, 1)}
        return self._support(sentence, (), list(self._passages.values())).supported

    def _cosines(self, vector: Vectors, ids: Sequence[int]) -> dict[int, list[float]]:
        found = {}
        for i in ids:
            chunk = self._passages[i].chunk
            found[i] = [float(self._embed(chunk.text[start:end]) @ vector) for start, end in units(chunk)]
        return found


def _passage(number: int, citation: Cited) -> Hit:
    """A cited span as a passage of its own."""
    info = DocumentInfo(citation.document_id, citation.source, citation.title, "", 1, len(citation.quote), "", "")
    chunk = Chunk(citation.start, citation.end, citation.quote, citation.heading, citation.page, id=number)
    return Hit(info, chunk, 1.0)


def _folded(text: str) -> str:
    return " ".join(text.split())
