"""Ingestion end to end against a bare `SentenceTransformer.encode` of the same texts, and what that costs in precision."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.children import run_child
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table, has_amx
from ingest.embedder import SentenceTransformerEmbedder, Vectors, load_embedder

_ABSTRACTS = 250  # with XQuAD's 240 paragraphs some 900 chunks: minutes on two slow cores
_BUDGETS = (512, 1024, 2048, 4096, 8192, 16_384)


def run(options: Options) -> dict[str, Any]:
    """Ours, the bare encoder, and ours again, so that a machine that grows slower in between favours none."""
    passages = _passages(options)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data.write_files(passages, root / "files")
        ours = [run_child("pipeline", root / "files", root / "index-1")]
        texts, stored = _embedded(root / "index-1")
        (root / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        bare = run_child("encode", root / "texts.json", root / "vectors.npy")
        fast = run_child("encode_fast", root / "texts.json", root / "fast.npy")
        ours.append(run_child("pipeline", root / "files", root / "index-2"))
        reference = _unit(np.load(root / "vectors.npy"))
    cosines = (reference * stored).sum(axis=1)
    return _result(ours, bare, fast, cosines).as_dict()


def _passages(options: Options) -> list[data.Passage]:
    paragraphs, abstracts = data.xquad()[0], data.scifact()[0]
    return paragraphs[:40] + abstracts[:20] if options.quick else paragraphs + abstracts[:_ABSTRACTS]


def _result(ours: list[dict[str, Any]], bare: dict[str, Any], fast: dict[str, Any], cosines: Vectors) -> Result:
    chunks = int(bare["chunks"])
    speeds = [chunks / one["seconds"] for one in ours]
    speed, bare_speed = 2 / sum(1 / each for each in speeds), chunks / bare["seconds"]
    fast_speed = chunks / fast["seconds"]
    figures = {
        "chunks": chunks,
        "documents": ours[0]["documents"],
        "chunks_per_second": {"ours": speed, "ours_runs": speeds, "bare_encoder": bare_speed, "fast_encoder": fast_speed},
        "ratio": speed / bare_speed,
        "ratio_to_fast_encoder": speed / fast_speed,
        "process_seconds": {"ours": [one["wall_s"] for one in ours], "bare_encoder": bare["wall_s"]},
        "cosine_to_fp32": {"min": float(cosines.min()), "mean": float(cosines.mean())},
    }
    rows: list[list[object]] = [
        ["files to a published index, ours", speed, speed / bare_speed, sum(one["wall_s"] for one in ours) / 2],
        ["bare encode (fp32, defaults)", bare_speed, 1.0, bare["wall_s"]],
        [
            "bare encode, ours (number format of the machine, sorted, batches by tokens)",
            fast_speed,
            fast_speed / bare_speed,
            fast["wall_s"],
        ],
    ]
    cosine_rows = [["stored vectors to fp32", f"{cosines.min():.5f}", f"{cosines.mean():.5f}"]]
    tables = [
        Table(
            "Speed",
            ("what", "chunks/s", "ratio", "process start to end, s"),
            rows,
            f"{ours[0]['documents']} text files, {chunks:,} chunks; the model is loaded before the clock of chunks/s starts, "
            "on both sides. Ours: read, parse, chunk, embed (sentences, too), store, publish; run before and after the other.",
        ),
        Table("Precision", ("cosine", "smallest", "mean"), cosine_rows),
    ]
    wanted = 3.5 if has_amx() else 1.0
    asked = [
        Asked(f"ratio of speeds ({'with' if has_amx() else 'without'} AMX)", speed / bare_speed, at_least=wanted),
        Asked("share of the fastest bare encoder's speed", speed / fast_speed, at_least=0.9),
        Asked("smallest cosine to fp32", float(cosines.min()), at_least=0.999),
    ]
    return Result(figures, tables, asked)


def _embedded(path: Path) -> tuple[list[str], Vectors]:
    """The texts that the chunks of an index were embedded as, and their stored vectors, in the order of the chunks' ids."""
    from ingest.chunker import Chunker
    from ingest.index import STORE, Index
    from ingest.settings import IngestSettings
    from ingest.store import Store

    texts: dict[int, str] = {}
    with Index.open(path) as index:
        embedder, dimension = index.embedder, index.dimension
        chunker = Chunker(embedder.count_tokens, limit=IngestSettings().chunk_tokens, max_tokens=embedder.max_tokens)
        for info in index.documents():
            document = index.parsed(info.document_id)
            for chunk in index.chunks_of(info.document_id):
                texts[chunk.id] = chunker.text_to_embed(document, chunk)
    store = Store(path / STORE)
    try:
        batches = list(store.vectors(0, dimension))
    finally:
        store.close()
    ids = [i for some, _ in batches for i in some]
    return [texts[i] for i in ids], _unit(np.concatenate([vectors for _, vectors in batches]))


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def batch_tokens(options: Options) -> dict[str, Any]:
    """The embedder alone, by how many tokens a batch holds: each budget's best of three turns."""
    embedder = load_embedder("minilm")
    if not isinstance(embedder, SentenceTransformerEmbedder):
        raise SystemExit("The default embedder has no batches to size.")
    texts = [f"{passage.title}\n{passage.text}" for passage in _passages(options)]
    embedder.embed_documents(texts[:8])
    seconds = dict.fromkeys(_BUDGETS, float("inf"))
    for _ in range(1 if options.quick else 3):
        for budget in _BUDGETS:
            embedder.batch_tokens = budget
            began = time.perf_counter()
            embedder.embed_documents(texts)
            seconds[budget] = min(seconds[budget], time.perf_counter() - began)
    best = min(seconds.values())
    rows = [[budget, best / taken] for budget, taken in seconds.items()]
    table = Table("Speed by tokens a batch", ("tokens", "of the best"), rows, f"{len(texts)} texts on {embedder.device}.")
    return Result({"of_best": {str(budget): best / taken for budget, taken in seconds.items()}}, [table]).as_dict()
