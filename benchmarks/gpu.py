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
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import results
from benchmarks.clustered import DIMENSION, clustered
from benchmarks.registry import RESULTS, Options
from ingest.embedder import SentenceTransformerEmbedder, Vectors, load_embedder
from ingest.vectors.compressed import TRAINED_ON, Compressed, centroids_of, lists_for, recall_of
from ingest.vectors.gpu import OnGpu
from ingest.vectors.library import Ids, load_faiss
from ingest.vectors.spool import Spool

WANTED = 0.98  # recall@10
_PARTS = ("embed", "100000", "1000000", "10000000")
_ASKED = 2000  # questions
_BATCHES = (1, 16, 256, 1024)
_THREADS = 64
_SECONDS = 1.5  # for each figure of speed
_PROBES = (8, 16, 32, 64, 128, 256, 512, 1024)
_BUDGETS = (16_384, 65_536, 262_144)
# Bytes a second of a card's memory by its data sheet.
_SHEETS = {"H100": 3.35e12, "H200": 4.8e12, "A100": 2.04e12, "L40S": 0.864e12}


def run(options: Options) -> dict[str, Any]:
    """All parts, or small ones."""
    return measure(("embed", "50000") if options.quick else _PARTS, 8.0, options.out, "minilm", quick=options.quick)


def measure(parts: Sequence[str], minutes: float, out: Path, model: str, *, quick: bool = False) -> dict[str, Any]:
    """The figures of some parts, of which none begins once so many minutes have gone."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU that torch can use here.")
    began = time.perf_counter()
    figures: dict[str, Any] = {"gpu": _card(torch), "faiss": _faiss()}
    _say(json.dumps(figures))
    for part in parts:
        if time.perf_counter() - began > 60 * minutes:
            _say(f"{part}: left out, {minutes:g} minutes have gone")
            figures[part] = "left out: no time"
            continue
        _say(f"--- {part}")
        figures[part] = {}
        try:
            for name, found in _embedding(model) if part == "embed" else _searching(torch, int(part)):
                figures[part][name] = found
                _say(f"{part} {name}: {json.dumps(results.rounded(found))} ({time.perf_counter() - began:.0f} s)")
                results.save("gpu", figures, out, quick=quick, seconds=time.perf_counter() - began)
        except Exception as error:  # the other parts may still be had
            figures[part]["failed"] = f"{type(error).__name__}: {error}"
            _say(f"{part} failed: {figures[part]['failed']}")
    return figures


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


def _searching(torch: Any, count: int) -> Iterator[tuple[str, Any]]:
    began = time.perf_counter()
    rows, asked, truth = _made(torch, count)
    yield "data", {"vectors": count, "questions": _ASKED, "seconds": time.perf_counter() - began}
    sample_rows = np.sort(np.random.default_rng(0).choice(count, min(count, TRAINED_ON * lists_for(count)), replace=False))
    sample = rows[sample_rows].astype(np.float32)

    used = _used(torch)
    began = time.perf_counter()
    flat = OnGpu.flat(DIMENSION, _batches(rows))
    built = time.perf_counter() - began
    yield (
        "gpu_flat_fp16",
        {"build_s": built, "bytes_each": (_used(torch) - used) / count, **_speed_of(torch, flat, asked, truth)},
    )
    del flat

    began = time.perf_counter()
    centroids = centroids_of(sample, lists_for(count))
    trained = time.perf_counter() - began
    used = _used(torch)
    began = time.perf_counter()
    lists = OnGpu.by_lists(centroids, _batches(rows), count, _PROBES[0])
    built = time.perf_counter() - began
    costs = {"train_s": trained, "build_s": built, "bytes_each": (_used(torch) - used) / count, "lists": len(centroids)}
    for probe in _PROBES:
        lists.probe = min(probe, len(centroids))
        if recall_of(_found(lists.search_all, asked), truth) >= WANTED:
            break
    yield "gpu_lists_fp16", {**costs, "probe": lists.probe, **_speed_of(torch, lists, asked, truth)}
    del lists
    yield from _on_the_cpu(rows, asked, truth)


def _made(torch: Any, count: int) -> tuple[npt.NDArray[np.float16], Vectors, Ids]:
    """Vectors in memory as float16, questions of the same kind, and the rows of the ten nearest to each, by float32."""
    asked = torch.cat(list(clustered(_ASKED, 2, "cuda"))).float()
    rows = np.empty((count, DIMENSION), np.float16)
    scores = torch.zeros((_ASKED, 0), device="cuda")
    truth = torch.zeros((_ASKED, 0), dtype=torch.int64, device="cuda")
    at = 0
    for batch in clustered(count, 3, "cuda"):
        rows[at : at + len(batch)] = batch.cpu().numpy()
        more, here = (asked @ batch.float().T).topk(10)
        scores, truth = torch.cat([scores, more], 1), torch.cat([truth, here + at], 1)
        scores, best = scores.topk(10)
        truth = truth.gather(1, best)
        at += len(batch)
    found = rows, asked.cpu().numpy(), truth.cpu().numpy()
    del asked, scores, truth, batch, more, here, best
    torch.cuda.empty_cache()
    return found


def _batches(rows: npt.NDArray[np.float16], size: int = 65_536) -> Iterator[Vectors]:
    for at in range(0, len(rows), size):
        yield rows[at : at + size].astype(np.float32)


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
        times = _repeated(lambda part: index.search_all(part, 10), chunks)
        middle = statistics.median(times)
        figures[f"batch_{size}"] = {"p50_ms": 1000 * middle, "per_s": size / middle}
        if index.kind == "flat":
            read = len(index) * DIMENSION * 2 / middle
            speeds = _card_speeds(torch)
            figures[f"batch_{size}"]["of_bandwidth"] = {name: read / speed for name, speed in speeds.items() if speed}
    figures[f"threads_{_THREADS}"] = {"per_s": _by_threads(lambda one: index.search(one, 10), asked, _THREADS)}
    return figures


_SPEEDS: dict[str, float] = {}


def _card_speeds(torch: Any) -> dict[str, float]:
    if not _SPEEDS:
        _SPEEDS.update(_card(torch)["bytes_per_second"])
    return _SPEEDS


def _repeated(search: Callable[[Vectors], object], parts: Sequence[Vectors]) -> list[float]:
    """Seconds of each of as many searches as go into the time for one figure, after a few to warm up."""
    for part in parts[:3]:
        search(part)
    marks = [time.perf_counter()]
    while marks[-1] - marks[0] < _SECONDS:
        search(parts[len(marks) % len(parts)])
        marks.append(time.perf_counter())
    return [after - before for before, after in pairwise(marks)]


def _by_threads(search: Callable[[Vectors], object], asked: Vectors, threads: int) -> float:
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


def _on_the_cpu(rows: npt.NDArray[np.float16], asked: Vectors, truth: Ids) -> Iterator[tuple[str, Any]]:
    """The index that a machine without a GPU would use, on one core and on all; trained on the GPU, since there is one."""
    faiss = load_faiss()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder) / "spool", DIMENSION) as spool:
        began = time.perf_counter()
        at = 0
        for batch in _batches(rows):
            spool.fill([(list(range(at, at + len(batch))), batch)])
            at += len(batch)
        index = Compressed.build(spool)
        built = time.perf_counter() - began
    faiss.omp_set_num_threads(1)
    try:
        recall = recall_of(index.search(asked, 10)[1], truth)
        times = _repeated(lambda part: index.search(part, 10), [asked[at : at + 1] for at in range(len(asked))])
        middle = statistics.median(times)
        yield (
            "cpu_compressed",
            {
                "build_s": built,
                "settings": index.settings,
                "recall": recall,
                "one_core": {"p50_ms": 1000 * middle, "per_s": len(times) / sum(times)},
                f"threads_{cores}": {"per_s": _by_threads(lambda one: index.search(one.reshape(1, -1), 10), asked, cores)},
            },
        )
    finally:
        faiss.omp_set_num_threads(cores)


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts named, within a time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--parts", default=",".join(_PARTS), help="`embed`, or numbers of vectors, with commas between")
    parser.add_argument("--minutes", type=float, default=8.0, help="no part begins after so many")
    parser.add_argument("--model", default="minilm", help="the embedder, as in RAG_BOT_EMBEDDER")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--cpu-embedding", action="store_true", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.cpu_embedding:
        _say(json.dumps(_embed_on_cpu(parsed.model)))
        return 0
    measure(parsed.parts.split(","), parsed.minutes, parsed.out, parsed.model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
