"""Questions of many threads are embedded together; then the index is searched both ways."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ingest.embedder import HashEmbedder, Vectors
from ingest.index import Index
from rag_bot.errors import Busy
from rag_bot.retrieve import QueryEmbedder, Retriever
from rag_bot.settings import Settings
from rag_bot.types import Standalone


class Counting(HashEmbedder):
    """The hash embedder; it notes the size of each batch, waits at the first, and fails at a bad question."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(len(texts))
        self.begun.set()
        assert self.go_on.wait(30)
        if any("bad" in text for text in texts):
            raise MemoryError("no room for this")
        return super().embed_documents(texts)


@pytest.fixture
def embedder() -> Counting:
    return Counting()


@pytest.fixture
def index(home: Settings, embedder: Counting) -> Iterator[Index]:
    with Index.open(home.index, settings=home, embedder=embedder) as index:
        yield index


@pytest.fixture
def embed(index: Index) -> Iterator[QueryEmbedder]:
    embed = QueryEmbedder(index, most=32)
    yield embed
    embed.close()


def wait_for(embed: QueryEmbedder, waiting: int) -> None:
    """Until so many questions stand in the queue."""
    end = time.monotonic() + 30
    while embed._waiting.qsize() < waiting:
        assert time.monotonic() < end, "they never came"
        time.sleep(0.001)


def test_questions_that_wait_are_embedded_together(embed: QueryEmbedder, embedder: Counting) -> None:
    questions = [f"question {n}" for n in range(64)]
    embedder.go_on.clear()
    with ThreadPoolExecutor(64) as threads:
        first = threads.submit(embed, questions[0])
        assert embedder.begun.wait(30)
        others = [threads.submit(embed, question) for question in questions[1:]]
        wait_for(embed, 63)
        embedder.go_on.set()
        vectors = [future.result() for future in [first, *others]]
    assert embedder.batches == [1, 32, 31]
    assert np.array_equal(np.stack(vectors), HashEmbedder().embed_documents(questions))


def test_a_question_alone_waits_for_nobody(embed: QueryEmbedder, embedder: Counting) -> None:
    for question in ("one", "two"):
        assert np.array_equal(embed(question), HashEmbedder().embed_documents([question])[0])
    assert embedder.batches == [1, 1]


def test_an_error_reaches_all_of_its_batch_and_nobody_else(embed: QueryEmbedder, embedder: Counting) -> None:
    embedder.go_on.clear()
    with ThreadPoolExecutor(3) as threads:
        good = threads.submit(embed, "good")
        assert embedder.begun.wait(30)
        batch = [threads.submit(embed, question) for question in ("bad", "fair")]
        wait_for(embed, 2)
        embedder.go_on.set()
        for future in batch:
            with pytest.raises(MemoryError, match="no room"):
                future.result()
        assert good.result().shape == (256,)
    assert embed("good again").shape == (256,)


async def test_a_question_that_nobody_waits_for_any_more_is_passed_over(embed: QueryEmbedder, embedder: Counting) -> None:
    embedder.go_on.clear()
    held = asyncio.create_task(embed.awaited(["one"]))  # it is being embedded when its asker goes
    assert await asyncio.to_thread(embedder.begun.wait, 30)
    gone, staying = (asyncio.create_task(embed.awaited([text])) for text in ("two", "three"))
    await asyncio.sleep(0)
    wait_for(embed, 2)
    for task in (held, gone):
        task.cancel()
    await asyncio.wait([held, gone])
    embedder.go_on.set()
    [vector] = await asyncio.wait_for(staying, 30)
    assert np.array_equal(vector, HashEmbedder().embed_documents(["three"])[0])
    assert embedder.batches == [1, 1]
    assert await embed.awaited(["four"])


def test_closing_embeds_what_waits_and_refuses_what_comes_later(embed: QueryEmbedder, embedder: Counting) -> None:
    embedder.go_on.clear()
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(embed, "one")]
        assert embedder.begun.wait(30)
        waiting += [threads.submit(embed, question) for question in ("two", "three")]
        wait_for(embed, 2)
        closing = threads.submit(embed.close)
        wait_for(embed, 3)
        with pytest.raises(Busy, match="stopping"):
            embed("four")
        embedder.go_on.set()
        closing.result()
        assert all(future.result().shape == (256,) for future in waiting)
    with pytest.raises(Busy):
        embed("five")


def test_a_search_takes_the_vector_that_is_there(index: Index, embed: QueryEmbedder, embedder: Counting) -> None:
    retrieve = Retriever(index, embed)
    question = "When is the summer party held?"
    hits = retrieve(question, 2)
    assert hits[0].document.source == "upload:party.txt"
    assert embedder.batches == [1]
    assert retrieve(question, 2, vector=embed(question)) == hits
    assert embedder.batches == [1, 1]


@pytest.mark.parametrize(("question", "mode"), [("summer party", "keyword"), (" ", "hybrid"), ("", "dense")])
def test_what_needs_no_vector_embeds_nothing(
    index: Index, embed: QueryEmbedder, embedder: Counting, question: str, mode: str
) -> None:
    hits = Retriever(index, embed)(question, 3, mode)  # type: ignore[arg-type]
    assert embedder.batches == []
    assert bool(hits) == (mode == "keyword")


def test_the_turn_before_draws_the_question_towards_it(index: Index, embed: QueryEmbedder, embedder: Counting) -> None:
    retrieve = Retriever(index, embed)
    alone = retrieve.vector(Standalone("Who pays?", "Who pays?"))
    assert np.array_equal(alone, embed("Who pays?"))
    before = "When is the summer party held? In June."
    drawn = retrieve.vector(Standalone("Who pays?", "Who pays?", before, "When is the summer party held?"))
    assert embedder.batches[-1] <= 2
    assert float(drawn @ drawn) == pytest.approx(1.0, abs=1e-5)
    assert alone @ embed(before) < drawn @ embed(before) < drawn @ alone < 1


def test_words_of_the_turn_before_count_a_little(index: Index, embed: QueryEmbedder) -> None:
    retrieve = Retriever(index, embed)
    one, other = (retrieve("paid", 5, "keyword", earlier=earlier) for earlier in ("", "summer party"))
    assert "upload:party.txt" in {hit.document.source for hit in other} - {hit.document.source for hit in one}


def test_passages_are_the_best_first_and_no_more_than_asked_for(index: Index, embed: QueryEmbedder) -> None:
    retrieve = Retriever(index, embed)
    for k in (1, 2, 5):
        hits = retrieve("contractors get no paid leave", k)
        assert len(hits) == k
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].chunk.text == "Contractors get no paid leave."
