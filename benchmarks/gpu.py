"""The GPU against the CPU: embedding, and search of 1 and 10 million vectors. `python -m benchmarks.gpu --help`.

Needs torch with CUDA, sentence-transformers, `faiss-gpu` and nothing else, makes its data itself, and writes its figures after
each part, so that a run that is stopped has lost only the part it was in.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import results
from benchmarks.clustered import DIMENSION
from benchmarks.registry import RESULTS, Options
from benchmarks.vectors import WANTED, batches, by_threads, compressed, hnsw, made, recall_of, repeated
from ingest.embedder import SentenceTransformerEmbedder, Vectors, load_embedder
from ingest.vectors.compressed import TRAINED_ON, centroids_of, lists_for
from ingest.vectors.gpu import OnGpu
from ingest.vectors.library import Ids, Scores, load_faiss

_PARTS = ("embed", "100000", "1000000", "10000000")
_KINDS = ("flat", "lists", "graph", "cpu", "hnsw")
_NAMES = {
    "gpu_flat_fp16": "flat, float16",
    "gpu_lists_fp16": "lists, float16",
    "gpu_graph_fp16": "CAGRA, float16",
    "cpu_compressed": "CPU: lists, compressed",
    "cpu_hnsw": "CPU: HNSW32",
}
_BATCHES = (1, 16, 256, 1024)
_THREADS = 64
_PROBES = (8, 16, 32, 64, 128, 256, 512, 1024)
_EFFORTS = (32, 64, 96, 128, 192, 256, 384, 512)
_BUDGETS = (16_384, 65_536, 262_144)
# Bytes a second of a card's memory by its data sheet.
_SHEETS = {"H100": 3.35e12, "H200": 4.8e12, "A100": 2.04e12, "L40S": 0.864e12}


def run(options: Options) -> dict[str, Any]:
    """All parts, or small ones."""
    return measure(("embed", "50000") if options.quick else _PARTS, 8.0, options.out, "minilm", _KINDS, quick=options.quick)


def measure(
    parts: Sequence[str], minutes: float, out: Path, model: str, kinds: Sequence[str], *, quick: bool = False
) -> dict[str, Any]:
    """The figures of some parts, of which none begins once so many minutes have gone, for some kinds of index."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU that torch can use here.")
    began = time.perf_counter()
    figures: dict[str, Any] = {"gpu": _card(torch), "faiss": _faiss()}
    _say(json.dumps(figures))
    figures = {**_earlier(out, figures["gpu"]["name"]), **figures}
    for part in parts:
        if time.perf_counter() - began > 60 * minutes:
            _say(f"{part}: left out, {minutes:g} minutes have gone")
            figures[part] = "left out: no time"
            continue
        _say(f"--- {part}")
        figures.setdefault(part, {})
        try:
            for name, found in _embedding(model) if part == "embed" else _searching(torch, int(part), kinds):
                figures[part][name] = found
                _say(f"{part} {name}: {json.dumps(results.rounded(found))} ({time.perf_counter() - began:.0f} s)")
                results.save("gpu", whole(figures), out, quick=quick, seconds=time.perf_counter() - began)
        except Exception as error:  # the other parts may still be had
            figures[part]["failed"] = f"{type(error).__name__}: {error}"
            _say(f"{part} failed: {figures[part]['failed']}")
    return whole(figures)


def _earlier(out: Path, card: str) -> dict[str, Any]:
    """What earlier runs on the same kind of card have measured: parts and kinds may be run one at a time."""
    try:
        figures: dict[str, Any] = json.loads((out / "gpu.json").read_text(encoding="utf-8"))["figures"]
        return figures if figures["gpu"]["name"] == card else {}
    except (OSError, KeyError, ValueError):
        return {}


def whole(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures, and tables of them."""
    sheet = figures["gpu"]["bytes_per_second"]["sheet"]
    searched = []
    for part in sorted((part for part in figures if part.isdigit()), key=int):
        for kind, name in _NAMES.items():
            if found := figures[part].get(kind):
                alone = found.get("batch_1") or found.get("one_core") or {}
                read = int(part) * DIMENSION * 2 / (alone["p50_ms"] / 1000) if kind == "gpu_flat_fp16" and alone else 0
                searched.append(
                    (
                        f"{int(part):,}",
                        name,
                        found["recall"],
                        alone.get("p50_ms", ""),
                        found.get("batch_1024", alone).get("per_s", ""),
                        found.get(f"threads_{_THREADS}", {}).get("per_s", ""),
                        found.get("build_s", 0) + found.get("train_s", 0),
                        found.get("bytes_each", ""),
                        read / sheet if read and sheet else "",
                    )
                )
    columns = (
        "vectors",
        "index",
        "recall@10",
        "one question, ms",
        "in batches, /s",
        "64 threads, /s",
        "built in s",
        "bytes a vector",
        "of the memory's speed",
    )
    tables = [
        results.Table(
            f"Search on one {figures['gpu']['name']}",
            columns,
            searched,
            "In batches: of 1,024 questions; for the CPU, one after another on one core. Built: training included.",
        )
    ]
    if embedded := figures.get("embed"):
        rows = [(f"GPU, {int(n):,} tokens a batch", speed) for n, speed in embedded["gpu_by_tokens_of_a_batch"].items()]
        tables.append(
            results.Table("Embedding", ("where", "chunks/s"), [*rows, ("its CPU", embedded["cpu"]["chunks_per_second"])])
        )
    return results.Result(figures, tables).as_dict()


def _card(torch: Any) -> dict[str, Any]:
    """Which GPU this is, and how fast its memory is: by its sheet, and copying (bytes read and written)."""
    name = torch.cuda.get_device_name(0)
    block = torch.empty(2 << 30, dtype=torch.uint8, device="cuda")
    other = torch.empty_like(block)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    best = 0.0
    for _ in range(5):
        begin.record()
        other.copy_(block)
        end.record()
        torch.cuda.synchronize()
        best = max(best, 2 * block.numel() / (begin.elapsed_time(end) / 1000))
    del block, other
    torch.cuda.empty_cache()
    sheet = next((speed for card, speed in _SHEETS.items() if card in name), None)
    return {
        "name": name,
        "memory_gb": torch.cuda.mem_get_info()[1] / 1e9,
        "bytes_per_second": {"copying": best, "sheet": sheet},
    }


def _faiss() -> dict[str, Any]:
    faiss = load_faiss()
    return {
        "version": faiss.__version__,
        "options": faiss.get_compile_options().strip(),
        "gpus": faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0,
        "cagra": hasattr(faiss, "GpuIndexCagra"),
    }


# --- embedding


def _embedding(model: str) -> Iterator[tuple[str, Any]]:
    """Chunks a second, on the GPU with several sizes of batches, and on this machine's CPU in a process without the GPU."""
    embedder = load_embedder(model)
    assert isinstance(embedder, SentenceTransformerEmbedder)
    texts = _texts(30_000)
    tokens = sum(embedder.count_tokens(texts[:2000])) / 2000
    yield "chunks", {"count": len(texts), "tokens_each": tokens, "device": embedder.device}
    embedder.embed_documents(texts[:2000])
    speeds = {}
    for budget in _BUDGETS:
        embedder.batch_tokens = budget
        speeds[str(budget)] = _chunks_per_second(lambda: embedder.embed_documents(texts), len(texts))
    yield "gpu_by_tokens_of_a_batch", speeds
    child = [sys.executable, "-m", "benchmarks.gpu", "--cpu-embedding", "--model", model]
    done = subprocess.run(child, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"embedding on the CPU: {done.stderr.strip().splitlines()[-1]}")
    cpu = json.loads(done.stdout.splitlines()[-1])
    yield "cpu", cpu
    yield "gpu_to_cpu", max(speeds.values()) / cpu["chunks_per_second"]


def _embed_on_cpu(model: str) -> dict[str, Any]:
    embedder = load_embedder(model)
    texts = _texts(4000)
    embedder.embed_documents(texts[:200])
    return {
        "device": embedder.device,
        "chunks_per_second": _chunks_per_second(lambda: embedder.embed_documents(texts), len(texts)),
    }


def _texts(count: int) -> list[str]:
    """Passages of 300 to 1,100 characters out of the project's own documentation, each with a number, so that none is twice."""
    folder = Path(__file__).resolve().parent.parent / "docs"
    whole = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.md")))
    random = np.random.default_rng(0)
    starts, lengths = random.integers(0, len(whole) - 1100, count), random.integers(300, 1100, count)
    return [f"{n}. {whole[a : a + length]}" for n, (a, length) in enumerate(zip(starts, lengths, strict=True))]


def _chunks_per_second(embed: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    embed()
    return count / (time.perf_counter() - began)


# --- searching


def _searching(torch: Any, count: int, kinds: Sequence[str]) -> Iterator[tuple[str, Any]]:
    began = time.perf_counter()
    rows, asked, truth = made(count, "cuda")
    yield "data", {"vectors": count, "questions": len(asked), "seconds": time.perf_counter() - began}
    if "flat" in kinds:
        yield "gpu_flat_fp16", _flat(torch, rows, asked, truth)
    if "lists" in kinds:
        yield "gpu_lists_fp16", _by_lists(torch, rows, asked, truth)
    if "graph" in kinds and hasattr(load_faiss(), "GpuIndexCagra"):
        yield "gpu_graph_fp16", _by_graph(torch, rows, asked, truth)
    if "cpu" in kinds:
        yield "cpu_compressed", compressed(rows, asked, truth)
    if "hnsw" in kinds:
        yield "cpu_hnsw", hnsw(rows, asked, truth)


def _flat(torch: Any, rows: npt.NDArray[np.float16], asked: Vectors, truth: Ids) -> dict[str, Any]:
    used, began = _used(torch), time.perf_counter()
    flat = OnGpu.flat(DIMENSION, batches(rows))
    costs = {"build_s": time.perf_counter() - began, "bytes_each": (_used(torch) - used) / len(rows)}
    return {**costs, **_speed_of(torch, flat, asked, truth)}


def _by_lists(torch: Any, rows: npt.NDArray[np.float16], asked: Vectors, truth: Ids) -> dict[str, Any]:
    count = len(rows)
    chosen = np.sort(np.random.default_rng(0).choice(count, min(count, TRAINED_ON * lists_for(count)), replace=False))
    began = time.perf_counter()
    centroids = centroids_of(rows[chosen].astype(np.float32), lists_for(count))
    trained = time.perf_counter() - began
    used, began = _used(torch), time.perf_counter()
    lists = OnGpu.by_lists(centroids, batches(rows), count, _PROBES[0])
    built = time.perf_counter() - began
    costs = {"train_s": trained, "build_s": built, "bytes_each": (_used(torch) - used) / count, "lists": len(centroids)}
    for probe in _PROBES:
        lists.probe = min(probe, len(centroids))
        if recall_of(_found(lists.search_all, asked), truth) >= WANTED:
            break
    return {**costs, "probe": lists.probe, **_speed_of(torch, lists, asked, truth)}


class _ByGraph(OnGpu):
    """CAGRA's graph; `effort` is how many candidates a search keeps (`itopk_size`)."""

    effort = 32

    def search_all(self, vectors: Vectors, k: int) -> tuple[Scores, Ids]:
        faiss = load_faiss()
        params = faiss.SearchParametersCagra()
        params.itopk_size = self.effort
        halves = np.ascontiguousarray(vectors, dtype=np.float16)
        scores, rows = self._index.search(halves, k, params=params, numeric_type=faiss.Float16)
        return scores, rows


def _by_graph(torch: Any, rows: npt.NDArray[np.float16], asked: Vectors, truth: Ids) -> dict[str, Any]:
    faiss = load_faiss()
    used, began = _used(torch), time.perf_counter()
    resources = faiss.StandardGpuResources()
    config = faiss.GpuIndexCagraConfig()
    config.graph_degree, config.intermediate_graph_degree = 32, 64
    config.build_algo = faiss.graph_build_algo_NN_DESCENT
    index = faiss.GpuIndexCagra(resources, DIMENSION, faiss.METRIC_INNER_PRODUCT, config)
    index.train(rows, numeric_type=faiss.Float16)
    costs = {"build_s": time.perf_counter() - began, "bytes_each": (_used(torch) - used) / len(rows), "degree": 32}
    graph = _ByGraph(index, resources, "graph")
    for effort in _EFFORTS:
        graph.effort = effort
        if recall_of(_found(graph.search_all, asked), truth) >= WANTED:
            break
    return {**costs, "itopk": graph.effort, **_speed_of(torch, graph, asked, truth)}


def _used(torch: Any) -> int:
    """Bytes of the GPU's memory that are in use."""
    free, whole = torch.cuda.mem_get_info()
    return int(whole - free)


def _found(search_all: Callable[[Vectors, int], tuple[Any, Ids]], asked: Vectors, size: int = 1000) -> Ids:
    return np.concatenate([search_all(asked[at : at + size], 10)[1] for at in range(0, len(asked), size)])


def _speed_of(torch: Any, index: OnGpu, asked: Vectors, truth: Ids) -> dict[str, Any]:
    """Recall, and questions a second: in batches of some sizes, and by threads that ask one each, answered together."""
    figures: dict[str, Any] = {"recall": recall_of(_found(index.search_all, asked), truth)}
    for size in _BATCHES:
        chunks = [asked[at : at + size] for at in range(0, len(asked) - size + 1, size)]
        times = repeated(lambda part: index.search_all(part, 10), chunks)
        middle = statistics.median(times)
        figures[f"batch_{size}"] = {"p50_ms": 1000 * middle, "per_s": size / middle}
        if index.kind == "flat":
            read = len(index) * DIMENSION * 2 / middle
            speeds = _card_speeds(torch)
            figures[f"batch_{size}"]["of_bandwidth"] = {name: read / speed for name, speed in speeds.items() if speed}
    figures[f"threads_{_THREADS}"] = {"per_s": by_threads(lambda one: index.search(one, 10), asked, _THREADS)}
    return figures


_SPEEDS: dict[str, float] = {}


def _card_speeds(torch: Any) -> dict[str, float]:
    if not _SPEEDS:
        _SPEEDS.update(_card(torch)["bytes_per_second"])
    return _SPEEDS


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts named, within a time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--parts", default=",".join(_PARTS), help="`embed`, or numbers of vectors, with commas between")
    parser.add_argument("--kinds", default=",".join(_KINDS), help="indexes to measure (graph: only where FAISS has CAGRA)")
    parser.add_argument("--minutes", type=float, default=8.0, help="no part begins after so many")
    parser.add_argument("--model", default="minilm", help="the embedder, as in RAG_BOT_EMBEDDER")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--cpu-embedding", action="store_true", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.cpu_embedding:
        _say(json.dumps(_embed_on_cpu(parsed.model)))
        return 0
    measure(parsed.parts.split(","), parsed.minutes, parsed.out, parsed.model, parsed.kinds.split(","))
    return 0


if __name__ == "__main__":
    sys.exit(main())
