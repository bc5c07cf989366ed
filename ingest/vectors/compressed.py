"""Vectors by lists, four bits for every two numbers, and looked at again in eight bits a number: for many vectors.

An inverted file over k-means centroids whose rows are product-quantised and scanned in registers (FAISS's "fast scan", André et
al. 2015); the best of those are scored again from a copy of one byte a number. Which is 490 bytes a row for 384 numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ingest.embedder import Vectors
from ingest.vectors.library import Ids, Rows, Scores, gpus, load_faiss, selector
from ingest.vectors.spool import Spool

WANTED = 0.985
"""Recall@10 against exact search that the settings are chosen by, on vectors of the index itself."""
TRAINED_ON = 40
"""Vectors for each centroid that it is found with."""
_BATCH = 16_384
_ROUNDS = 10  # of k-means
_GRAPH_ABOVE, _GRAPH_EFFORT = 8192, 128  # lists; above, the nearest centroids are found by a graph
_ASKED = 256  # vectors that the settings are tried with
_PROBES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_REFINED = 100  # rows, at least, that are scored again
_SEED = 20_240_615


class Compressed:
    """Rows in lists. `settings` are `nprobe`, the lists that a search looks into, and the `recall` it was chosen by."""

    kind = "ivf"

    def __init__(self, index: Any, settings: dict[str, float], owner: object = None) -> None:
        faiss = load_faiss()
        self.index, self.settings, self._owner = index, settings, owner
        self._lists: Any = faiss.downcast_index(index.base_index)
        self._fine: Any = faiss.downcast_index(index.refine_index)
        self._probe = int(settings["nprobe"])

    @classmethod
    def build(cls, spool: Spool) -> Compressed:
        """Train on a sample of the spool's vectors, add all, and choose the settings."""
        lists = lists_for(len(spool))
        _, sample = spool.sample(max(TRAINED_ON * lists, 20_000), _SEED)
        index = _trained(sample, lists)
        del sample
        for vectors in spool.batches():
            index.add(vectors)
        new = cls(index, {"nprobe": float(_PROBES[0])})
        new._choose(spool)
        return new

    def _choose(self, spool: Spool) -> None:
        """The fewest lists by which enough is found of what exact search finds near the index's own vectors."""
        own, asked = spool.sample(_ASKED, _SEED + 1)
        expected = _nearest(spool, own, asked)
        for probe in _PROBES:
            self._probe = min(probe, int(self._lists.nlist))
            _, rows = self.search(asked, 11)
            recall = recall_of([row[row != self_row][:10] for row, self_row in zip(rows, own, strict=True)], expected)
            if recall >= WANTED or self._probe == self._lists.nlist:
                break
        self._lists.nprobe = self._probe
        self.settings = {"nlist": float(self._lists.nlist), "nprobe": float(self._probe), "recall": round(recall, 4)}

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def dimension(self) -> int:
        return int(self.index.d)

    @property
    def probe(self) -> int:
        return self._probe

    @property
    def centroids(self) -> Vectors:
        found: Vectors = self._lists.quantizer.reconstruct_n(0, int(self._lists.nlist))
        return found

    def search(self, vectors: Vectors, k: int, among: Rows | None = None) -> tuple[Scores, Ids]:
        """As `Exact.search`, of nearly the same recall."""
        faiss = load_faiss()
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        probe = self._probe
        chosen = None
        if among is not None:
            chosen = selector(among)
            count = int(among.sum())
            if count <= max(len(self) // 16, 20_000):  # fewer than the lists that would have to be looked into hold
                return self._fine.search(vectors, k, params=faiss.SearchParameters(sel=chosen))  # type: ignore[no-any-return]
            probe = min(int(self._lists.nlist), probe * len(self) // count)
        by_lists = faiss.SearchParametersIVF(nprobe=probe, sel=chosen)
        params = faiss.IndexRefineSearchParameters(k_factor=max(_REFINED, 3 * k) / k, base_index_params=by_lists)
        return self.index.search(vectors, k, params=params)  # type: ignore[no-any-return]

    def vectors(self) -> Iterator[Vectors]:
        """All rows in order, by batches, as one byte a number keeps them."""
        for at in range(0, len(self), _BATCH):
            yield self._fine.reconstruct_n(at, min(_BATCH, len(self) - at))


def recall_of(found: Any, expected: Any) -> float:
    """The share of the expected rows that were found, both a row of rows for each query."""
    pairs = zip(found, expected, strict=True)
    return float(np.mean([len(np.intersect1d(f, e)) / max(1, len(e)) for f, e in pairs]))


def lists_for(count: int) -> int:
    """About four times the square root, as a power of two."""
    return 1 << max(4, round(np.log2(4 * np.sqrt(max(1, count)))))


def centroids_of(sample: Vectors, lists: int) -> Vectors:
    """Unit vectors, shape (lists, dimension), around which the sample lies: k-means, on the GPU where there is one."""
    faiss = load_faiss()
    dimension = sample.shape[1]
    clustering = faiss.Clustering(dimension, lists)
    clustering.niter, clustering.seed, clustering.spherical, clustering.min_points_per_centroid = _ROUNDS, _SEED, True, 1
    nearest = faiss.IndexFlatIP(dimension)
    clustering.train(sample, faiss.index_cpu_to_all_gpus(nearest) if gpus() else nearest)
    centroids: Vectors = faiss.vector_to_array(clustering.centroids).reshape(lists, dimension)
    return centroids


def _trained(sample: Vectors, lists: int) -> Any:
    """An empty index that knows its lists and how to compress."""
    faiss = load_faiss()
    dimension = sample.shape[1]
    coarse = faiss.IndexFlatIP(dimension)
    if lists > _GRAPH_ABOVE:
        coarse = faiss.IndexHNSWFlat(dimension, 32, faiss.METRIC_INNER_PRODUCT)
        coarse.hnsw.efSearch = _GRAPH_EFFORT
    coarse.add(centroids_of(sample, lists))
    base = faiss.IndexIVFPQFastScan(coarse, dimension, lists, dimension // 2, 4, faiss.METRIC_INNER_PRODUCT)
    fine = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index = faiss.IndexRefine(base, fine)
    index.train(sample)
    return index


def _nearest(spool: Spool, own: Ids, asked: Vectors) -> Ids:
    """The ten rows nearest to each of `asked`, exactly; but for itself, which stands in row `own`."""
    faiss = load_faiss()
    scores = np.zeros((len(asked), 0), np.float32)
    rows = np.zeros((len(asked), 0), np.int64)
    at = 0
    for vectors in spool.batches():
        more, here = faiss.knn(asked, vectors, min(11, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
        scores, rows = np.hstack([scores, more]), np.hstack([rows, here + at])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :11]
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
        at += len(vectors)
    return np.array([row[row != itself][:10] for row, itself in zip(rows, own, strict=True)])


def read(path: Path) -> Any:
    """A FAISS file, mapped rather than read where its parts allow that."""
    faiss = load_faiss()
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
