"""Vectors on an NVIDIA GPU, as float16: all of them looked at, or by lists where there are many."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import numpy as np

from ingest.embedder import Vectors
from ingest.vectors.library import Ids, Scores, load_faiss
from ingest.vectors.together import Together

MOST_FOUND = 2048
"""Neighbours that FAISS gives of one query there."""
SCRATCH = 512 * 1024 * 1024
"""Bytes that FAISS keeps for intermediate results."""
_MARGIN = 1 << 30  # bytes for the CUDA context, cuBLAS and others on the same GPU
_WHILE_BUILT = 3.0  # times the rows' own bytes: what they lie in grows by doubling and copying


class OnGpu:
    """Nearest neighbours by inner product among rows of float16 on the first GPU. Threads may share it: their searches are
    answered together.

    `check_memory` comes before. What is raised all the same (RuntimeError, MemoryError) is for the caller to answer.
    """

    def __init__(self, index: Any, resources: Any, kind: str) -> None:
        self.kind = kind
        self._index, self._resources = index, resources
        self._together = Together(self.search_all)

    @classmethod
    def flat(cls, dimension: int, batches: Iterable[Vectors]) -> OnGpu:
        """All rows in one block; each search looks at all of them."""
        faiss = load_faiss()
        resources = _resources(faiss)
        config = faiss.GpuIndexFlatConfig()
        config.useFloat16 = True
        index = faiss.GpuIndexFlatIP(resources, dimension, config)
        for vectors in batches:
            index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index, resources, "flat")

    @classmethod
    def by_lists(cls, centroids: Vectors, batches: Iterable[Vectors], count: int, probe: int) -> OnGpu:
        """Rows in the list of their nearest centroid; a search looks at the `probe` nearest lists. `count`: rows to come."""
        faiss = load_faiss()
        resources = _resources(faiss)
        lists, dimension = centroids.shape
        coarse = faiss.GpuIndexFlatIP(resources, dimension)
        coarse.add(np.ascontiguousarray(centroids, dtype=np.float32))
        config = faiss.GpuIndexIVFScalarQuantizerConfig()
        config.indicesOptions = faiss.INDICES_32_BIT if count < 2**31 else faiss.INDICES_64_BIT
        index = faiss.GpuIndexIVFScalarQuantizer(
            resources,
            coarse,
            dimension,
            lists,
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
            False,  # the rows themselves, not what they differ from their centroid by
            config,
        )
        index.train(np.ascontiguousarray(centroids, dtype=np.float32))  # the lists are there; this marks it as trained
        index.reserveMemory(count)
        for vectors in batches:
            index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        index.reclaimMemory()  # lists that are longer than the mean have grown by doubling
        new = cls(index, resources, "ivf")
        new.probe = probe
        return new

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def probe(self) -> int:
        """Lists that a search looks at."""
        return int(self._index.nprobe)

    @probe.setter
    def probe(self, lists: int) -> None:
        self._index.nprobe = min(lists, int(self._index.getNumLists()), MOST_FOUND)

    def search(self, vector: Vectors, k: int) -> tuple[Scores, Ids]:
        """Scores and rows of the `k` (at most `MOST_FOUND`) nearest to one vector, best first; rows of -1 were not found."""
        return self._together.search(vector, k)

    def search_all(self, vectors: Vectors, k: int) -> tuple[Scores, Ids]:
        """The same for many vectors, shape (many, dimension), in one call; never two such calls at a time."""
        scores, rows = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), k)
        return scores, rows


def check_memory(rows: int, dimension: int) -> None:
    """Raises MemoryError if so many rows would not go onto the GPU while they are put there.

    It must be known before: FAISS ends the process when the GPU's memory is so full that it can't even begin.
    """
    needed = int(_WHILE_BUILT * rows * dimension * 2) + SCRATCH + _MARGIN
    free = _free_memory()
    if free is not None and free < needed:
        raise MemoryError(f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")


def _free_memory() -> int | None:
    """Bytes that are free on the GPU, as the CUDA that FAISS has loaded says; None where it can't be asked."""
    load_faiss()
    try:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            path = next((line.split()[-1] for line in maps if "libcudart.so" in line), None)
        ask = ctypes.CDLL(path).cudaMemGetInfo if path else None
    except (OSError, AttributeError):
        return None
    if ask is None:
        return None
    free, whole = ctypes.c_size_t(), ctypes.c_size_t()
    # What fails here has no memory for a context: that much is certainly missing.
    return int(free.value) if ask(ctypes.byref(free), ctypes.byref(whole)) == 0 else 0


def _resources(faiss: Any) -> Any:
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(SCRATCH)
    return resources
