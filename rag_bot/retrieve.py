"""Question to passages: the question is embedded together with others that wait, then the index is searched both ways."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ingest.index import Index
from ingest.types import Allowed, Hit, Mode
from rag_bot.errors import Busy
from rag_bot.types import Standalone

if TYPE_CHECKING:
    from ingest.embedder import Vectors
    from rag_bot.rerank import Reranker


# What the turn before weighs in a question's vector. Set on one half of MTRAG's conversations and reported for the other
# (benchmarks/results/followups.json); a turn about something else altogether costs little.
_BEFORE = 0.4


class QueryEmbedder:
    """Embeds questions that come from many threads in batches: one thread takes whatever waits.

    Alone, a question waits for nobody; many at once cost little more than one.
    """

    def __init__(self, index: Index, most: int = 32) -> None:
        self._index, self._most = index, most
        self._waiting: queue.SimpleQueue[tuple[str, Future[Vectors]] | None] = queue.SimpleQueue()
        self._closing, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._work, name="embed-queries", daemon=True)
        self._thread.start()

    def __call__(self, question: str) -> Vectors:
        """The unit vector of a question, shape (dimension,); blocks until it is there. Raises Busy after `close`."""
        return self.all([question])[0]

    def all(self, texts: Sequence[str]) -> list[Vectors]:
        """The same of several texts, which are put into the queue together."""
        return [future.result() for future in self._put(texts)]

    async def awaited(self, texts: Sequence[str]) -> list[Vectors]:
        """The same, without a thread that blocks for them."""
        return await asyncio.gather(*map(asyncio.wrap_future, self._put(texts)))

    def close(self) -> None:
        """Embed what waits, then end."""
        with self._closing:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _put(self, texts: Sequence[str]) -> list[Future[Vectors]]:
        futures: list[Future[Vectors]] = [Future() for _ in texts]
        with self._closing:  # what came after the end of the queue would wait for ever
            if self._closed:
                raise Busy("The service is stopping.", "Ask again in a moment.")
            for text, future in zip(texts, futures, strict=True):
                self._waiting.put((text, future))
        return futures

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while len(batch) < self._most and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    self._waiting.put(None)
                    break
                batch.append(following)
            wanted = [(question, future) for question, future in batch if future.set_running_or_notify_cancel()]
            if wanted:
                self._embed([question for question, _ in wanted], [future for _, future in wanted])

    def _embed(self, questions: Sequence[str], futures: Sequence[Future[Vectors]]) -> None:
        try:
            self._index.refresh()  # all may have been embedded anew since, with another embedder
            for future, vector in zip(futures, self._index.embedder.embed_queries(questions), strict=True):
                future.set_result(vector)
        except Exception as error:
            for future in futures:
                if not future.done():
                    future.set_exception(error)


class Retriever:
    """The index's hybrid search; where there is a reranker, it puts the best `reranked` passages in order."""

    def __init__(self, index: Index, embed: QueryEmbedder, rerank: Reranker | None = None, reranked: int = 40) -> None:
        self._index, self.embed = index, embed
        self._rerank, self._reranked = rerank, reranked

    def vector(self, question: Standalone) -> Vectors:
        """The unit vector to search with, shape (dimension,): the question's, drawn towards the turn before it."""
        return _drawn(*self.embed.all(_said(question)))

    async def awaited(self, question: Standalone) -> Vectors:
        """The same, without a thread that blocks for it."""
        return _drawn(*await self.embed.awaited(_said(question)))

    def __call__(
        self,
        question: str,
        k: int,
        mode: Mode = "hybrid",
        *,
        vector: Vectors | None = None,
        earlier: str = "",
        allowed: Allowed | None = None,
    ) -> list[Hit]:
        """The `k` passages that fit the question best, best first; `vector` is the question's if it is there already, and
        `earlier` what was asked before.

        Only documents that are `allowed` are searched; None: all."""
        if vector is None and mode != "keyword" and question.strip():
            vector = self.embed(question)
        if self._rerank is None or mode == "keyword" or not question.strip():
            return self._index.search(question, k, mode, vector=vector, earlier=earlier, allowed=allowed)
        hits = self._index.search(question, max(k, self._reranked), mode, vector=vector, earlier=earlier, allowed=allowed)
        return self._rerank(question, hits)[:k]


def _said(question: Standalone) -> list[str]:
    return [question.own, question.before] if question.before else [question.text]


def _drawn(own: Vectors, before: Vectors | None = None) -> Vectors:
    if before is None:
        return own
    mixed: Vectors = own + _BEFORE * before
    length = float((mixed @ mixed) ** 0.5)
    return mixed / length if length > 0 else own
