"""Vectors by lists, four bits for every two numbers, and looked at again in eight bits a number: for many vectors.

An inverted file over k-means centroids whose rows are product-quantised and scanned in registers (FAISS's "fast scan", André et
al. 2015); the best of those are scored again from a copy of one byte a number. Which is 490 bytes a row for 384 numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.embedder import Vectors
from ingest.vectors.library import Among, Ids, Rows, Scores, Settings, gpus, load_faiss, one_thread
from ingest.vectors.spool import Spool

LEAST = 256
"""Vectors below which there is too little to learn lists from."""
WANTED = 0.985
"""Recall@10 against exact search that the settings are chosen by, on vectors of the index itself."""
TRAINED_ON = 40
"""Vectors for each centroid that it is found with."""
_BATCH = 16_384
_ROUNDS = 10  # of k-means
_GRAPH_ABOVE, _GRAPH_EFFORT = 8192, 128  # lists; above, the nearest centroids are found by a graph
_NEAR, _SAME = 50, 1e-5  # neighbours that are looked at, and what two cosines may differ by that are the same
_ASKED = 400  # vectors that the settings are tried with
_PROBES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_REFINED = (100, 200, 400, 800, 1600)  # of the rows that four bits find best, how many are scored again
_TRIED_WITH, _HARDLY = 128, 0.002  # lists that this is chosen with, and the recall that it may cost
# Up to a sixteenth of all rows, or so many, may be found: then they are all looked at.
_FEW, _FEW_ROWS = 16, 20_000
_SEED = 20_240_615


class Compressed:
    """Rows in lists. Threads may share it.

    `settings` are how many lists there are (`nlist`), how many of them a search looks into (`nprobe`), how many of the rows
    found there are scored again (`refined`), and the `recall` that these were chosen by.
    """

    kind = "ivf"

    def __init__(self, index: Any, settings: Settings | None = None, owner: object = None) -> None:
        faiss = load_faiss()
        self.index, self._owner = index, owner
        self._lists: Any = faiss.downcast_index(index.base_index)
        self._fine: Any = faiss.downcast_index(index.refine_index)
        self.settings = settings or {"nlist": int(self._lists.nlist), "nprobe": self.probe, "refined": 10 * index.k_factor}
        self._centroids: Vectors | None = None
        self._list_of_row: npt.NDArray[Any] | None = None

    @classmethod
    def build(cls, spool: Spool) -> Compressed:
        """Train on a sample of the spool's vectors, add all, and choose the settings."""
        lists = lists_for(len(spool))
        _, sample = spool.sample(max(TRAINED_ON * lists, 20_000), _SEED)
        index = _trained(sample, lists)
        del sample
        for vectors in spool.batches():
            index.add(vectors)
        new = cls(index)
        new._choose(spool)
        return new

    def _choose(self, spool: Spool) -> None:
        """The fewest lists by which enough is found of what exact search finds near the index's own vectors; before that, how
        many of the best are scored again: so many that more would hardly help.

        A row counts as found if another that is as near was: many texts may be the same.
        """
        own, asked = spool.sample(_ASKED, _SEED + 1)
        near, cosines = _nearest(spool, own, asked)
        scores = np.array([self._fine.reconstruct_batch(rows) @ vector for rows, vector in zip(near, asked, strict=True)])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        # Where neighbours lie closer than one byte a number can tell, more lists don't help.
        told = float((np.take_along_axis(cosines, best, 1) >= cosines[:, 9:10] - _SAME).mean())
        least = np.take_along_axis(scores, best, 1)[:, 9:10] - _SAME
        lists = int(self._lists.nlist)

        def found(probe: int, refined: int) -> float:
            self._lists.nprobe, self.index.k_factor = probe, refined / 10
            scores, rows = self.search(asked, 11)
            others = [row[at != itself][:10] for row, at, itself in zip(scores, rows, own, strict=True)]
            return float((np.array(others) >= least).mean())

        many = min(lists, _TRIED_WITH)
        most = found(many, _REFINED[-1])
        refined = next(each for each in _REFINED if each == _REFINED[-1] or found(many, each) >= most - _HARDLY)
        for probe in (*(each for each in _PROBES if each < lists), lists):
            share = found(probe, refined)
            if share >= min(WANTED / told, 1 - _HARDLY):
                break
        self.settings = {"nlist": lists, "nprobe": probe, "refined": refined, "recall": round(share * told, 4)}

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def dimension(self) -> int:
        return int(self.index.d)

    @property
    def probe(self) -> int:
        """Lists that a search looks into."""
        return int(self._lists.nprobe)

    @property
    def centroids(self) -> Vectors:
        """What the lists lie around, shape (lists, dimension)."""
        if self._centroids is None:
            self._centroids = self._lists.quantizer.reconstruct_n(0, int(self._lists.nlist))
        return self._centroids

    def among(self, rows: Rows) -> Among:
        """The rows that a search may find."""
        if self._list_of_row is None:
            self._list_of_row = self._lists_of_rows()
        return Among(rows, np.bincount(self._list_of_row[rows], minlength=int(self._lists.nlist)))

    def search(self, vectors: Vectors, k: int, among: Among | None = None) -> tuple[Scores, Ids]:
        """As `Exact.search`, but that some of the nearest are missed, as `settings` say."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if among and among.count <= max(len(self) // _FEW, _FEW_ROWS):
            return self._look_at_all(vectors, k, among)
        probe = self._lists_with_enough(vectors, among) if among else self.probe
        scores, rows = self._search(vectors, k, probe, among)
        if (rows < 0).any():  # more are asked for than those lists hold
            return self._look_at_all(vectors, k, among)
        return scores, rows

    def _search(self, vectors: Vectors, k: int, probe: int, among: Among | None) -> tuple[Scores, Ids]:
        faiss = load_faiss()
        by_lists = faiss.SearchParametersIVF(nprobe=probe, sel=among.selector if among else None)
        params = faiss.IndexRefineSearchParameters(
            k_factor=max(10 * self.index.k_factor, 3 * k) / k, base_index_params=by_lists
        )
        with one_thread():
            scores, rows = self.index.search(vectors, k, params=params)
        return scores, rows

    def _look_at_all(self, vectors: Vectors, k: int, among: Among | None) -> tuple[Scores, Ids]:
        """Every row that may be found, by one byte a number: it takes no longer where they are few."""
        params = load_faiss().SearchParameters(sel=among.selector) if among else None
        with one_thread():
            scores, rows = self._fine.search(vectors, k, params=params)
        return scores, rows

    def _lists_with_enough(self, vectors: Vectors, among: Among) -> int:
        """How many of the nearest lists hold twice as many rows that may be found as a search of all looks at.

        So many are looked at whether they are strewn over all lists or gathered in a few far away; which is where the order of
        the lists says less, therefore twice.
        """
        assert among.lists is not None
        wanted = min(among.count, 2 * self.probe * len(self) // int(self._lists.nlist))
        nearest = np.argsort(-(vectors @ self.centroids.T), axis=1)
        enough = np.cumsum(among.lists[nearest], axis=1) >= wanted
        return int(enough.argmax(axis=1).max()) + 1

    def _lists_of_rows(self) -> npt.NDArray[Any]:
        faiss = load_faiss()
        found = np.zeros(len(self), np.uint16 if self._lists.nlist <= 65_536 else np.uint32)
        stored = self._lists.invlists
        for number in range(int(self._lists.nlist)):
            if size := int(stored.list_size(number)):
                found[faiss.rev_swig_ptr(stored.get_ids(number), size)] = number
        return found

    def vectors(self) -> Iterator[Vectors]:
        """All rows in order, by batches, as one byte a number keeps them."""
        for at in range(0, len(self), _BATCH):
            yield self._fine.reconstruct_n(at, min(_BATCH, len(self) - at))


def lists_for(count: int) -> int:
    """About four times the square root, as a power of two."""
    return 1 << max(4, round(math.log2(4 * math.sqrt(max(1, count)))))


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
    parts = dimension // 2 if dimension % 2 == 0 else dimension
    base = faiss.IndexIVFPQFastScan(coarse, dimension, lists, parts, 4, faiss.METRIC_INNER_PRODUCT)
    base.by_residual = True  # what is compressed is the way from the centroid
    fine = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index = faiss.IndexRefine(base, fine)
    index.train(sample)
    return index


def _nearest(spool: Spool, own: Ids, asked: Vectors) -> tuple[Ids, Scores]:
    """The `_NEAR` rows nearest to each of `asked`, exactly and in order, with their cosines; but for itself, which stands in
    row `own`."""
    faiss = load_faiss()
    scores = np.zeros((len(asked), 0), np.float32)
    rows = np.zeros((len(asked), 0), np.int64)
    at = 0
    for vectors in spool.batches():
        more, here = faiss.knn(asked, vectors, min(_NEAR + 1, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
        scores, rows = np.hstack([scores, more]), np.hstack([rows, here + at])
        best = np.argsort(-scores, axis=1, kind="stable")[:, : _NEAR + 1]
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
        at += len(vectors)
    others = [np.flatnonzero(row != itself)[: rows.shape[1] - 1] for row, itself in zip(rows, own, strict=True)]
    return np.take_along_axis(rows, np.array(others), 1), np.take_along_axis(scores, np.array(others), 1)


def read(path: Path) -> Any:
    """A FAISS file, mapped rather than read where its parts allow that."""
    faiss = load_faiss()
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
