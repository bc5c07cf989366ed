"""Search of many vectors on the CPU: compressed, by a graph (HNSW), and exact, side by side on one core.

Needs torch and FAISS only. `RAG_BOT_BENCH_VECTORS` is how many vectors (1,000,000). Building the graph takes many minutes on
few cores: `RAG_BOT_BENCH_GRAPH=no` leaves it out.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.clustered import DIMENSION, clustered
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.embedder import Vectors
from ingest.manifest import hash_file
from ingest.vectors import VectorIndex
from ingest.vectors.library import Ids, load_faiss, one_thread

WANTED = 0.98  # recall@10
_ASKED = 2000  # questions
_SECONDS = 1.5  # for each figure of speed
_EFFORTS = (32, 48, 64, 96, 128, 192, 256, 384, 512)
_NEW = 1000  # chunks


def run(options: Options) -> dict[str, Any]:
    """All three on the same vectors."""
    count = 20_000 if options.quick else int(os.environ.get("RAG_BOT_BENCH_VECTORS", "1_000_000"))
    rows, asked, truth = made(count, "cpu")
    ours = compressed(rows, asked, truth)
    _say(ours)
    exact = _exact(rows, asked)
    _say(exact)
    graph = hnsw(rows, asked, truth) if os.environ.get("RAG_BOT_BENCH_GRAPH") != "no" else None
    _say(graph)
    return _result(count, ours, exact, graph).as_dict()


def _say(figures: object) -> None:
    print(figures, flush=True)


def _result(count: int, ours: dict[str, Any], exact: dict[str, Any], graph: dict[str, Any] | None) -> Result:
    figures = {"vectors": count, "compressed": ours, "exact": exact, "hnsw": graph}
    columns = ("what", "recall@10", "one by one, /s", "in one call, /s", "p50, ms", "bytes each", "build, s")
    rows = [
        [
            name,
            one.get("recall", 1.0),
            one["one_core"]["per_s"],
            one.get("one_core_batched", {}).get("per_s", "-"),
            one["one_core"]["p50_ms"],
            one["bytes_each"],
            one.get("build_s", "-"),
        ]
        for name, one in (("compressed", ours), ("HNSW32", graph), ("exact", exact))
        if one
    ]
    more = [["opening, with its hash, s", ours["open_s"]], [f"{_NEW:,} more found after, ms", ours["add_ms"]]]
    asked = [
        Asked("recall@10", ours["recall"], at_least=WANTED),
        Asked("p50, ms", ours["one_core"]["p50_ms"], at_most=1.5),
        Asked("bytes a vector", ours["bytes_each"], at_most=600),
        Asked("opening, s", ours["open_s"], at_most=3),
    ]
    if graph:
        for name, key in (("one by one", "one_core"), ("in one call", "one_core_batched")):
            asked.append(Asked(f"questions/s to HNSW's, {name}", ours[key]["per_s"] / graph[key]["per_s"], at_least=4))
    note = (
        f"{count:,} made-up vectors of {DIMENSION} numbers, {_ASKED:,} questions of the same kind that are not among them. "
        "All on one core."
    )
    return Result(figures, [Table("Search", columns, rows, note), Table("Compressed", ("what", "measured"), more)], asked)


def compressed(rows: npt.NDArray[np.float16], asked: Vectors, truth: Ids) -> dict[str, Any]:
    """The index as it is published, opened from its file."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors"
        began = time.perf_counter()
        numbered = ((list(range(at, at + len(part))), part) for at, part in _with_places(rows))
        built = VectorIndex.build(DIMENSION, numbered, count=len(rows), spool=path.with_suffix(".spool"), exact_up_to=0)
        built.save(path)
        build = time.perf_counter() - began
        settings = built.settings
        del built
        before, began = _memory(), time.perf_counter()
        hash_file(path)
        index = VectorIndex.load(path, settings)
        index.search(asked[0], 10)
        opened = time.perf_counter() - began
        found = np.array([[i for i, _ in index.search(one, 10)] for one in asked])
        times = repeated(lambda one: index.search(one, 10), asked)
        return {
            "build_s": build,
            "settings": settings,
            "recall": recall_of(found, truth),
            "one_core": {"p50_ms": 1000 * statistics.median(times), "per_s": len(times) / sum(times)},
            "one_core_batched": {"per_s": _batched(lambda: index._rows.search(asked, 10), len(asked))},
            f"threads_{cores}": {"per_s": by_threads(lambda one: index.search(one, 10), asked, cores)},
            "bytes_each": path.stat().st_size / len(rows),
            "memory_each": (_memory() - before) / len(rows),
            "open_s": opened,
            "add_ms": _adding(index, asked),
        }


def _adding(index: VectorIndex, asked: Vectors) -> float:
    """Milliseconds from new vectors to the first search that has found one of them, beside the index that is published."""
    began = time.perf_counter()
    beside = VectorIndex(DIMENSION)
    beside.add(list(range(len(index), len(index) + _NEW)), asked[:_NEW])
    both = index.search(asked[0], 10) + beside.search(asked[0], 10)
    assert max(both, key=lambda pair: pair[1])[0] == len(index)
    return 1000 * (time.perf_counter() - began)


def _exact(rows: npt.NDArray[np.float16], asked: Vectors) -> dict[str, Any]:
    index = VectorIndex(DIMENSION)
    for at, part in _with_places(rows):
        index.add(list(range(at, at + len(part))), part)
    with one_thread():
        times = repeated(lambda one: index.search(one, 10), asked)
    speeds = {"p50_ms": 1000 * statistics.median(times), "per_s": len(times) / sum(times)}
    return {"one_core": speeds, "bytes_each": 4.0 * DIMENSION + 8}


def hnsw(rows: npt.NDArray[np.float16], asked: Vectors, truth: Ids) -> dict[str, Any]:
    """FAISS's HNSW32 over float32, at the least effort by which enough is found."""
    faiss = load_faiss()
    index = faiss.IndexHNSWFlat(DIMENSION, 32, faiss.METRIC_INNER_PRODUCT)
    began = time.perf_counter()
    for part in batches(rows):
        index.add(part)
    build = time.perf_counter() - began
    for effort in _EFFORTS:
        index.hnsw.efSearch = effort
        recall = recall_of(index.search(asked, 10)[1], truth)
        if recall >= WANTED:
            break
    with one_thread():
        times = repeated(lambda one: index.search(one.reshape(1, -1), 10), asked)
    speeds = {"p50_ms": 1000 * statistics.median(times), "per_s": len(times) / sum(times)}
    batched = {"per_s": _batched(lambda: index.search(asked, 10), len(asked))}
    size = 4.0 * DIMENSION + 4 * 64 + 16
    return {
        "build_s": build,
        "efSearch": effort,
        "recall": recall,
        "one_core": speeds,
        "one_core_batched": batched,
        "bytes_each": size,
    }


def _batched(search: Callable[[], object], count: int) -> float:
    """Questions a second on one core when all are asked in one call; the best of three."""
    best = float("inf")
    with one_thread():
        for _ in range(3):
            began = time.perf_counter()
            search()
            best = min(best, time.perf_counter() - began)
    return count / best


# --- what the benchmark of the GPU takes from here


def recall_of(found: Ids, expected: Ids) -> float:
    """The share of the expected rows that were found; both of shape (questions, ten)."""
    return float(np.mean([len(np.intersect1d(f, e)) / len(e) for f, e in zip(found, expected, strict=True)]))


def made(count: int, device: str) -> tuple[npt.NDArray[np.float16], Vectors, Ids]:
    """Vectors in memory as float16, questions of the same kind, and the rows of the ten nearest to each, by float32; worked
    out by torch on a device."""
    import torch

    asked = torch.cat(list(clustered(_ASKED, 2, device))).float()
    rows = np.empty((count, DIMENSION), np.float16)
    scores = torch.zeros((_ASKED, 0), device=device)
    truth = torch.zeros((_ASKED, 0), dtype=torch.int64, device=device)
    at = 0
    for batch in clustered(count, 3, device):
        rows[at : at + len(batch)] = batch.cpu().numpy()
        for first in range(0, len(batch), 50_000):
            part = batch[first : first + 50_000]
            more, here = (asked @ part.float().T).topk(min(10, len(part)))
            scores, truth = torch.cat([scores, more], 1), torch.cat([truth, here + at], 1)
            scores, best = scores.topk(10)
            truth = truth.gather(1, best)
            at += len(part)
    found = rows, asked.cpu().numpy(), truth.cpu().numpy()
    del asked, scores, truth, batch, part, more, here, best
    if device == "cuda":
        torch.cuda.empty_cache()
    return found


def batches(rows: npt.NDArray[np.float16]) -> Iterator[Vectors]:
    """The rows in order, float32."""
    return (part for _, part in _with_places(rows))


def _with_places(rows: npt.NDArray[np.float16], size: int = 65_536) -> Iterator[tuple[int, Vectors]]:
    for at in range(0, len(rows), size):
        yield at, rows[at : at + size].astype(np.float32)


def _memory() -> int:
    """Bytes of this process that are in memory, files that it has mapped among them."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def repeated(search: Callable[[Vectors], object], parts: Sequence[Vectors] | Vectors) -> list[float]:
    """Seconds of each of as many searches as go into the time for one figure, after a few to warm up."""
    for part in parts[:3]:
        search(part)
    marks = [time.perf_counter()]
    while marks[-1] - marks[0] < _SECONDS:
        search(parts[len(marks) % len(parts)])
        marks.append(time.perf_counter())
    return [after - before for before, after in pairwise(marks)]


def by_threads(search: Callable[[Vectors], object], asked: Vectors, threads: int) -> float:
    """Questions a second when so many threads ask one after another each."""
    until = time.perf_counter() + 2 * _SECONDS

    def ask(first: int) -> int:
        done = 0
        while time.perf_counter() < until:
            search(asked[(first + done) % len(asked)])
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        total = sum(pool.map(ask, range(0, len(asked), max(1, len(asked) // threads))))
        return total / (time.perf_counter() - began)
