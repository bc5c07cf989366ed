"""What dense, keyword and fused search find, by data set; other ways to fuse, and other sizes of chunks, beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import data
from benchmarks.build import index_of
from benchmarks.cache import embed_questions
from benchmarks.metrics import Ranking, by_best_chunk, reciprocal_rank, score
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.embedder import Embedder, Vectors, load_embedder
from ingest.fuse import fuse
from ingest.index import Index

_DEPTH, _KEYWORD_DEPTH = 100, 1000  # chunks that each search gives, as in the index
_MAIN = ("dense", "keyword", "fused alone", "fused")
_HALVES = ("tuning half", "held-out half")
_WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6)
_TARGETS = {
    "scifact": 0.76,
    "mtrag clapnq lastturn": 0.47,
    "mtrag clapnq rewrite": 0.50,
    "mtrag cloud lastturn": 0.37,
    "mtrag cloud rewrite": 0.39,
}
_SIZES = (96, 128, 200, 254)


@dataclass(frozen=True, slots=True)
class Task:
    """Questions to an index of passages, and what to measure; tasks with the same `corpus` share the index."""

    name: str
    corpus: str
    passages: Sequence[data.Passage]
    questions: Sequence[data.Question]
    measures: tuple[str, ...]


def run(options: Options) -> dict[str, Any]:
    """Every data set with every way to rank."""
    embedder = load_embedder("minilm")
    figures: dict[str, dict[str, dict[str, float]]] = {}
    index: Index | None = None
    corpus = ""
    for task in _tasks(options):
        if index is None or task.corpus != corpus:
            if index:
                index.close()
            index, corpus = index_of(task.passages, task.corpus, embedder=embedder), task.corpus
        vectors = embed_questions([question.text for question in task.questions], embedder, task.name.replace(" ", "-"))
        figures[task.name] = scores(index, task, vectors)
    if index:
        index.close()
    return _result(figures).as_dict()


def _tasks(options: Options) -> Iterator[Task]:
    passages, questions = data.xquad()
    yield Task("xquad", "xquad", passages, questions[::20] if options.quick else questions, ("R@1", "R@5"))
    passages, questions = data.scifact()
    if options.quick:
        passages, questions = data.first(passages, questions, 200)
    yield Task("scifact", "scifact-first" if options.quick else "scifact", passages, questions, ("nDCG@10", "R@10"))
    if options.quick:
        return
    for domain in ("clapnq", "cloud"):
        for form in ("lastturn", "rewrite"):
            passages, questions = data.mtrag(domain, form)
            yield Task(f"mtrag {domain} {form}", domain, passages, questions, ("nDCG@10", "R@10"))


def scores(index: Index, task: Task, vectors: Vectors) -> dict[str, dict[str, float]]:
    """Each way's means over the questions."""
    found: dict[str, dict[str, list[str]]] = {}
    for question, vector in zip(task.questions, vectors, strict=True):
        for way, documents in _ranked(index, question.text, vector):
            found.setdefault(way, {})[question.id] = by_best_chunk(documents)
    scored = {way: score(task.questions, rankings, task.measures) for way, rankings in found.items()}
    for half, name in enumerate(_HALVES):
        some = [question for question in task.questions if data.half(question) == half]
        for way in _MAIN:
            part = score(some, {q.id: found[way][q.id] for q in some}, task.measures[:1])
            scored[way] |= {f"{measure}, {name}": value for measure, value in part.items()}
    return scored


def _ranked(index: Index, question: str, vector: Vectors) -> Iterator[tuple[str, list[str]]]:
    """Each way's documents, one for each chunk. `fused` is what the index itself does; the others are put together here."""
    dense = index.search(question, _DEPTH, "dense", vector=vector)
    keyword = index.search(question, _KEYWORD_DEPTH, "keyword")
    fused = index.search(question, _DEPTH, "hybrid", vector=vector)
    source = {hit.chunk.id: hit.document.source for hit in [*dense, *keyword]}
    for way, hits in (("dense", dense), ("keyword", keyword[:_DEPTH]), ("fused", fused)):
        yield way, [hit.document.source for hit in hits]
    by_vector: Ranking = [(hit.chunk.id, hit.score) for hit in dense]
    by_words: Ranking = [(hit.chunk.id, hit.score) for hit in keyword]
    yield "fused alone", [source[i] for i, _ in fuse(by_vector, by_words)]
    yield "reciprocal rank", [source[i] for i, _ in reciprocal_rank([by_vector, by_words])]
    for weight in _WEIGHTS:
        ranking = fuse(by_vector, by_words, keyword_weight=weight)
        yield f"sum, keyword weight {weight:g}", [source[i] for i, _ in ranking]


def _result(figures: dict[str, dict[str, dict[str, float]]]) -> Result:
    ways = list(next(iter(figures.values())))
    rows: list[list[object]] = []
    for task, by_way in figures.items():
        for measure in by_way["fused"]:
            values = {way: by_way[way][measure] for way in _MAIN}
            ahead = values["fused"] >= max(values.values())
            rows.append([task, measure, *values.values(), "yes" if ahead else "no"])
    others = [way for way in ways if way not in _MAIN]
    first = {task: next(iter(by_way["fused"])) for task, by_way in figures.items()}
    other_rows = [[task, first[task], *(by_way[way][first[task]] for way in others)] for task, by_way in figures.items()]
    tables = [
        Table(
            "Ways to search",
            ("data", "measure", *_MAIN, "fused is ahead"),
            rows,
            "A document is ranked by its best chunk. scifact: training claims; R: recall; fused alone: the weighted sum of two "
            "rankings; fused: its best 40 looked at closer, as the index does. Constants were chosen on the tuning half.",
        ),
        Table("Other ways to fuse, for the record", ("data", "measure", *others), other_rows),
    ]
    asked = []
    for task, by_way in figures.items():
        measure = first[task]
        best_alone = max(by_way["dense"][measure], by_way["keyword"][measure])
        asked.append(Asked(f"{task}, {measure}: fused less the better of the two", by_way["fused"][measure] - best_alone, 0.0))
        if task in _TARGETS:
            held_out = f"{measure}, {_HALVES[1]}"
            asked.append(Asked(f"{task}, {held_out}", by_way["fused"][held_out], _TARGETS[task]))
    return Result(figures, tables, asked)


def chunk_size(options: Options) -> dict[str, Any]:
    """What sizes of chunks find: on XQuAD, and on 1,500 SciFact abstracts with all that are judged among them."""
    embedder = load_embedder("minilm")
    passages, questions = data.xquad()
    tasks = [Task("xquad", "xquad-sizes", passages, questions[::20] if options.quick else questions, ("R@1", "R@5"))]
    if not options.quick:
        passages, questions = data.around(*data.scifact(), 1500)
        tasks.append(Task("scifact, 1,500 of 5,183", "scifact-sizes", passages, questions, ("nDCG@10", "R@10")))
    figures: dict[str, dict[str, Any]] = {}
    rows: list[list[object]] = []
    for task in tasks:
        vectors = embed_questions([question.text for question in task.questions], embedder, task.corpus)
        for size in (96, 200) if options.quick else _SIZES:
            chunks, by_way = _at_size(task, vectors, embedder, size)
            figures.setdefault(task.name, {})[str(size)] = {"chunks": chunks, **by_way}
            rows += [[task.name, size, chunks, m, *(by_way[way][m] for way in _MAIN)] for m in task.measures]
    table = Table("Sizes of chunks", ("data", "tokens", "chunks", "measure", *_MAIN), rows)
    return Result(figures, [table]).as_dict()


def _at_size(task: Task, vectors: Vectors, embedder: Embedder, size: int) -> tuple[int, dict[str, dict[str, float]]]:
    with index_of(task.passages, f"{task.corpus}-{size}", embedder=embedder, limit=size) as index:
        return index.counts()[1], {way: values for way, values in scores(index, task, vectors).items() if way in _MAIN}
