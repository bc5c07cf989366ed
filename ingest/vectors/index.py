"""The index of vectors: which way of searching fits how many there are, and where, behind one `search`."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ingest.embedder import Vectors
from ingest.vectors.compressed import Compressed, read
from ingest.vectors.exact import Exact
from ingest.vectors.gpu import MOST_FOUND, OnGpu
from ingest.vectors.library import Ids, Rows, gpus, load_faiss
from ingest.vectors.spool import Spool

EXACT_UP_TO = 100_000
"""Vectors up to which all of them are looked at (`python -m benchmarks vectors`)."""
GPU_FROM = 20_000
FLAT_ON_GPU = 20_000_000
_MANY = 64  # ids to pass over, up to which so many more are asked for instead

_log = logging.getLogger(__name__)


class VectorIndex:
    """Search by inner product (cosine, for unit vectors): exact up to some number of vectors, above it compressed; on the GPU
    by itself where there is one and it is worth it."""

    def __init__(self, dimension: int) -> None:
        self._ids: Ids = np.zeros(0, dtype=np.int64)
        self._rows: Exact | Compressed = Exact(dimension)
        self._gpu: OnGpu | None = None

    @classmethod
    def build(
        cls,
        dimension: int,
        batches: Iterable[tuple[list[int], Vectors]],
        *,
        count: int = 0,
        spool: Path | None = None,
        exact_up_to: int = EXACT_UP_TO,
    ) -> VectorIndex:
        """An index of batches of ids and vectors; the ids must rise. `count` is how many there will be.

        Above `exact_up_to` they are compressed, for which they are kept in the file `spool` meanwhile.
        """
        new = cls(dimension)
        if spool is None or count <= exact_up_to:
            for ids, vectors in batches:
                new.add(ids, vectors)
            return new
        with Spool(spool, dimension) as kept:
            kept.fill(batches)
            new._ids, new._rows = kept.ids, Compressed.build(kept)
        return new

    def add(self, ids: list[int], vectors: Vectors) -> None:
        """Only to an exact index."""
        if not isinstance(self._rows, Exact):
            raise TypeError("a compressed index is built whole")
        self._rows.add(vectors)
        self._ids = np.concatenate([self._ids, np.asarray(ids, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def kind(self) -> str:
        """`flat` if every vector is looked at, `ivf` if only those in the nearest lists are."""
        return self._gpu.kind if self._gpu else self._rows.kind

    @property
    def device(self) -> str:
        """`cuda` if searches are answered there, else `cpu`."""
        return "cuda" if self._gpu else "cpu"

    @property
    def settings(self) -> dict[str, float]:
        """What was chosen for searching when it was built."""
        return self._rows.settings

    def to_device(self, *, at_least: int = GPU_FROM, flat_up_to: int = FLAT_ON_GPU) -> VectorIndex:
        """This index on the GPU; itself where there is none, memory is short there, or the index is so small that it doesn't
        pay."""
        if len(self) < at_least or not gpus():
            return self
        moved = VectorIndex(self._rows.dimension)
        moved._ids, moved._rows = self._ids, self._rows
        try:
            if isinstance(self._rows, Compressed) and len(self) > flat_up_to:
                rows = self._rows
                moved._gpu = OnGpu.by_lists(rows.centroids, rows.vectors(), len(self), rows.probe)
            else:
                moved._gpu = OnGpu.flat(self._rows.dimension, self._rows.vectors())
        except (RuntimeError, MemoryError) as error:
            _warn("%d vectors don't fit the GPU", len(self), error)
            return self
        return moved

    def search(
        self, vector: Vectors, k: int, without: Collection[int] = (), only: Ids | None = None
    ) -> list[tuple[int, float]]:
        """The `k` nearest to one vector (shape (dimension,)) as (id, cosine), best first, passing over `without`.

        `only` are the ids (rising) among which the `k` nearest are looked for; None: all.
        """
        if not len(self) or k < 1:
            return []
        wanted = min(len(self), k + len(without))
        if only is None and self._gpu and wanted <= MOST_FOUND:
            found = self._on_gpu(vector, wanted)
        elif only is None and (len(without) <= _MANY or isinstance(self._rows, Exact)):
            found = self._on_cpu(vector, wanted, None)
        else:  # FAISS's GPU indexes can't be told where to look
            found = self._on_cpu(vector, min(len(self), k), self._among(without, only))
        return [(i, score) for i, score in found if i not in without][:k]

    def _among(self, without: Collection[int], only: Ids | None) -> Rows:
        """Which rows may be found."""
        size = int(self._ids[-1]) + 1
        table = np.zeros(size, np.bool_) if only is not None else np.ones(size, np.bool_)
        if only is not None:
            table[only[(only >= 0) & (only < size)]] = True
        gone = np.fromiter(without, np.int64, len(without))
        table[gone[(gone >= 0) & (gone < size)]] = False
        return table[self._ids]

    def _on_gpu(self, vector: Vectors, k: int) -> list[tuple[int, float]]:
        gpu = self._gpu
        if gpu:
            try:
                return self._named(*gpu.search(vector, k))
            except (RuntimeError, MemoryError) as error:
                _warn("A search of %d vectors failed on the GPU", len(self), error)
                self._gpu = None
        return self._on_cpu(vector, k, None)

    def _on_cpu(self, vector: Vectors, k: int, among: Rows | None) -> list[tuple[int, float]]:
        scores, rows = self._rows.search(vector.reshape(1, -1), k, among)
        return self._named(scores[0], rows[0])

    def _named(self, scores: Any, rows: Any) -> list[tuple[int, float]]:
        real = rows >= 0
        return list(zip(self._ids[rows[real]].tolist(), scores[real].tolist(), strict=True))

    def save(self, path: Path) -> None:
        """Write the index, ids included, as one FAISS file."""
        faiss = load_faiss()
        both = faiss.IndexIDMap(faiss.IndexFlatIP(self._rows.dimension))
        both.index, both.own_fields = self._rows.index, False
        faiss.copy_array_to_vector(self._ids, both.id_map)
        both.ntotal = len(self)
        faiss.write_index(both, str(path))

    @classmethod
    def load(cls, path: Path, settings: dict[str, float] | None = None) -> VectorIndex:
        """Read what `save` wrote; `settings` are those it had. Raises RuntimeError if FAISS can't read it."""
        faiss = load_faiss()
        both = read(path)
        if not isinstance(both, faiss.IndexIDMap2 | faiss.IndexIDMap):
            raise RuntimeError(f"{path} is not an index with ids")
        new = cls(both.d)
        new._ids = faiss.vector_to_array(both.id_map).astype(np.int64)
        inner = faiss.downcast_index(both.index)
        # `both` frees the inner index when it goes.
        if isinstance(inner, faiss.IndexRefine):
            probe = float(faiss.downcast_index(inner.base_index).nprobe)
            new._rows = Compressed(inner, settings or {"nprobe": probe}, owner=both)
        else:
            new._rows = Exact(both.d, inner, owner=both)
        return new


def _warn(what: str, count: int, error: BaseException) -> None:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    _log.warning("%s: they are searched on the CPU (%s).", what % count, first)
