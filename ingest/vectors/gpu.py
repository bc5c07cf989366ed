"""Vectors on an NVIDIA GPU, as float16: all of them looked at, or by lists where there are very many."""

from __future__ import annotations

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


class OnGpu:
    """Nearest neighbours by inner product among rows of float16 on the first GPU. Threads may share it: their searches are
    answered together.

    What FAISS raises when memory is not there (RuntimeError, MemoryError) is for the caller to answer.
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


def _resources(faiss: Any) -> Any:
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(SCRATCH)
    return resources
