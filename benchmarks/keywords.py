"""Keyword search over a million made chunks: milliseconds of ten-word questions, whatever the words; what a budget costs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import cache, data
from benchmarks.build import index_of
from benchmarks.metrics import by_best_chunk, percentile, score
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.derived import keyword_texts
from ingest.embedder import Embedded, HashEmbedder
from ingest.index import STORE
from ingest.keywords import KeywordIndex
from ingest.store import Store
from ingest.types import Span

_CHUNKS, _VOCABULARY, _WORDS = 1_000_000, 400_000, 100
_STEP = 20_000
_QUESTIONS, _LENGTH = 300, 10
_DEPTHS = (10, 1000)  # what a keyword search is asked for, and what hybrid search takes of it
_LETTERS = "bcdfghjklmnpqrstvwxz"


def run(options: Options) -> dict[str, Any]:
    """The same questions to the same index at both depths; every question is asked once to warm up."""
    chunks = 20_000 if options.quick else _CHUNKS
    index, seconds, size = _index(chunks)
    figures: dict[str, Any] = {"chunks": chunks, "seconds_made": seconds, "megabytes": size / 1e6, "ms": {}}
    rows: list[list[object]] = []
    for kind, questions in _questions(options).items():
        postings = np.mean([sum(map(index.document_frequency, question.split())) for question in questions])
        for depth in _DEPTHS:
            wall, processor = _timed(index, questions, depth)
            spread = {"p50": percentile(wall, 50), "p99": percentile(wall, 99), "processor_p99": percentile(processor, 99)}
            figures["ms"].setdefault(kind, {})[str(depth)] = spread
            rows.append([kind, depth, float(postings), *spread.values()])
    spreads = [spread for by_depth in figures["ms"].values() for spread in by_depth.values()]
    worst = {name: max(spread[name] for spread in spreads) for name in ("p99", "processor_p99")}
    note = (
        f"{chunks:,} chunks of {_WORDS} words, each indexed with its neighbours; words by Zipf's law out of {_VOCABULARY:,}; "
        f"{_QUESTIONS} questions of {_LENGTH} words of a kind. Occurrences: chunks that hold a word, summed over the words. "
        "Processor: the thread's own time, whatever else the machine does."
    )
    speed = Table("Keyword search, milliseconds", ("words", "best k", "occurrences", "p50", "p99", "processor p99"), rows, note)
    figures["quality"] = _quality(options, index.most_occurrences / _CHUNKS)
    quality = Table(
        "What leaving out the commonest words costs",
        ("data", "measure", "all words", *figures["quality"]["shares"]),
        [[name, measure, *scores] for name, (measure, *scores) in figures["quality"]["scores"].items()],
        "Columns: as many occurrences a chunk as questions may have. The first is what a million chunks leave room for; "
        "smaller indexes leave more.",
    )
    loss = min(scores[2] - scores[1] for scores in figures["quality"]["scores"].values())
    asked = [
        Asked("slowest p99, ms", worst["p99"], at_most=20.0),
        Asked("slowest p99, processor ms", worst["processor_p99"], at_most=20.0),
        Asked("quality less that of all words, least", loss, at_least=0.0),
    ]
    return Result(figures, [speed, quality], asked).as_dict()


def _quality(options: Options, share: float) -> dict[str, Any]:
    """What keyword search finds in real texts with as little room a chunk as in a million chunks, and with still less."""
    shares = [share, share / 3, share / 10]
    scores: dict[str, list[Any]] = {}
    for name, load, measure in (("xquad", data.xquad, "R@1"), ("scifact", data.scifact, "nDCG@10")):
        passages, questions = load()
        if options.quick:
            passages, questions = data.first(passages, questions, 100)
        index, sources = _real(passages, name)
        scores[name] = [measure]
        for most in (len(index) * 1000, *(int(len(index) * share) for share in shares)):
            index.most_occurrences = most
            found = {q.id: by_best_chunk(sources[i] for i, _ in index.search(q.text, 100)) for q in questions}
            scores[name].append(score(questions, found, (measure,))[measure])
    return {"shares": [f"{share:g}" for share in shares], "scores": scores}


def _real(passages: Sequence[data.Passage], name: str) -> tuple[KeywordIndex, dict[int, str]]:
    """The keyword index of passages, and which passage each chunk is of. (Their vectors don't matter here.)"""

    def no_vectors(texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        vectors = np.eye(1, HashEmbedder.dimension, dtype=np.float32)
        return Embedded(vectors.repeat(len(texts), axis=0), tuple(vectors[:0] for _ in texts))

    with index_of(passages, f"keywords-{name}", embedder=HashEmbedder(), embed=no_vectors) as whole:
        path = whole.path
    store, made = Store(path / STORE), KeywordIndex()
    made.update(keyword_texts(store, 0))
    documents = {info.document_id: info.source for info in store.documents()}
    owners = {i: documents[owner] for i, owner in store.owners()}
    store.close()
    return made, owners


def _words(rank: int) -> str:
    """A word for each rank: letters that spell a number, so that no stemmer changes it."""
    letters = ""
    rank += len(_LETTERS) ** 2
    while rank:
        rank, letter = divmod(rank, len(_LETTERS))
        letters += _LETTERS[letter]
    return letters


def _index(chunks: int) -> tuple[KeywordIndex, float, int]:
    folder = cache.FOLDER / "indexes" / f"keywords-{chunks}"
    seconds = 0.0
    if not folder.exists():  # making the texts takes longer than searching them
        made = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        began = time.perf_counter()
        KeywordIndex(made).update(_texts(chunks))
        seconds = time.perf_counter() - began
        made.rename(folder)
    index = KeywordIndex(folder)
    return index, seconds, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _texts(chunks: int) -> Iterator[tuple[int, str]]:
    """Chunks as they are indexed: each with the one before and the one behind it."""
    random, words = np.random.default_rng(1), [_words(rank) for rank in range(_VOCABULARY)]
    for at in range(0, chunks, _STEP):
        drawn = _drawn(random, (_STEP, _WORDS))
        texts = [" ".join([words[rank] for rank in row]) for row in drawn.tolist()]
        for n in range(min(_STEP, chunks - at)):
            yield at + n + 1, " ".join(texts[max(0, n - 1) : n + 2])


def _drawn(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Ranks of words, where the word of rank r comes up with a weight of 1 / (r + 2.7), as in English (Mandelbrot)."""
    weights = np.cumsum(1 / (np.arange(_VOCABULARY) + 2.7))
    ranks: np.ndarray[Any, np.dtype[np.int64]] = np.searchsorted(weights, random.random(shape) * weights[-1])
    return ranks


def _questions(options: Options) -> dict[str, list[str]]:
    random = np.random.default_rng(2)
    number = 20 if options.quick else _QUESTIONS
    commonest = np.array([random.permutation(20)[:_LENGTH] for _ in range(number)])
    common = np.array([random.permutation(200)[:_LENGTH] for _ in range(number)])
    rare = random.integers(1_000, _VOCABULARY, (number, _LENGTH))
    kinds: dict[str, np.ndarray[Any, np.dtype[np.int64]]] = {
        "as in the texts": _drawn(random, (number, _LENGTH)),
        "of the 20 commonest": commonest,
        "of the 200 commonest": common,
        "of the 2,000 commonest": random.integers(0, 2_000, (number, _LENGTH)),
        "beyond the first 1,000": rare,
        "one rare, nine of the 20 commonest": np.concatenate([rare[:, :1], commonest[:, 1:]], axis=1),
    }
    return {kind: [" ".join(map(_words, row)) for row in ranks.tolist()] for kind, ranks in kinds.items()}


def _timed(index: KeywordIndex, questions: Sequence[str], depth: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each question by the clock, and of the thread that searches."""
    wall, processor = [], []
    for question in questions:
        index.search(question, depth)
        began, used = time.perf_counter(), time.thread_time()
        index.search(question, depth)
        processor.append((time.thread_time() - used) * 1000)
        wall.append((time.perf_counter() - began) * 1000)
    return wall, processor
