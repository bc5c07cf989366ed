"""The index of vectors: which way of searching fits how many there are, and where, behind one `search`."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ingest.embedder import Vectors
from ingest.vectors.compressed import LEAST, Compressed, read
from ingest.vectors.exact import Exact, write_exact
from ingest.vectors.gpu import MOST_FOUND, OnGpu, check_memory
from ingest.vectors.library import Among, Chosen, Ids, Settings, gpus, load_faiss
from ingest.vectors.spool import Spool

EXACT_UP_TO = 100_000
"""Vectors up to which all of them are looked at (`python -m benchmarks vectors`)."""
GPU_FROM = 20_000
"""Vectors from which a GPU pays (`python -m benchmarks.gpu`)."""
_MANY = 64  # ids to pass over, up to which so many more are asked for instead
_KEPT = 64  # choices of rows

_log = logging.getLogger(__name__)


class VectorIndex:
    """Search by inner product (cosine, for unit vectors): exact up to some number of vectors, above it compressed; on the GPU
    by itself where there is one and it is worth it."""

    def __init__(self, dimension: int) -> None:
        self._ids: Ids = np.zeros(0, dtype=np.int64)
        self._rows: Exact | Compressed = Exact(dimension)
        self._gpu: OnGpu | None = None
        self._chosen: OrderedDict[tuple[int | None, frozenset[int]], Among] = OrderedDict()
        self._choosing = threading.Lock()

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

        Above `exact_up_to` (and some hundreds) they are compressed, for which they are kept in the file `spool` meanwhile.
        """
        new = cls(dimension)
        if spool is None or count <= max(exact_up_to, LEAST):
            for ids, vectors in batches:
                new.add(ids, vectors)
            return new
        with Spool(spool, dimension) as kept:
            kept.fill(batches)
            new._ids, new._rows = kept.ids, Compressed.build(kept)
        return new

    @classmethod
    def write(
        cls,
        path: Path,
        dimension: int,
        batches: Iterable[tuple[list[int], Vectors]],
        *,
        count: int,
        spool: Path,
        exact_up_to: int = EXACT_UP_TO,
    ) -> tuple[int, Settings]:
        """As `build` and `save`; how many vectors there are, and the index's settings. An exact index goes to the disk batch by
        batch, so that memory does not grow with it."""
        if count <= max(exact_up_to, LEAST):
            return write_exact(path, dimension, batches), {}
        built = cls.build(dimension, batches, count=count, spool=spool, exact_up_to=exact_up_to)
        built.save(path)
        return len(built), built.settings

    def add(self, ids: list[int], vectors: Vectors) -> None:
        """Only to an exact index."""
        if not isinstance(self._rows, Exact):
            raise TypeError("a compressed index is built whole")
        self._rows.add(vectors)
        self._ids = np.concatenate([self._ids, np.asarray(ids, dtype=np.int64)])
        self._chosen.clear()

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
    def settings(self) -> Settings:
        """What was chosen for searching when it was built."""
        return self._rows.settings

    def to_device(self, *, at_least: int = GPU_FROM) -> VectorIndex:
        """This index on the GPU; itself where there is none, memory is short there, or it is too small to be worth it."""
        if len(self) < at_least or not gpus():
            return self
        moved = VectorIndex(self._rows.dimension)
        moved._ids, moved._rows = self._ids, self._rows
        try:
            check_memory(len(self), self._rows.dimension)
            if isinstance(self._rows, Compressed):
                moved._gpu = OnGpu.by_lists(self._rows.centroids, self._rows.vectors(), len(self), self._rows.probe)
            else:
                moved._gpu = OnGpu.flat(self._rows.dimension, self._rows.vectors())
        except (RuntimeError, MemoryError) as error:
            _warn("%d vectors don't fit the GPU", len(self), error)
            return self
        return moved

    def search(
        self, vector: Vectors, k: int, without: Collection[int] = (), only: Chosen | None = None
    ) -> list[tuple[int, float]]:
        """The `k` nearest to one vector (shape (dimension,)) as (id, cosine), best first, passing over `without`.

        `only` are those among which the `k` nearest are looked for; None: all.
        """
        if not len(self) or k < 1:
            return []
        wanted = min(len(self), k + len(without))
        if only is None and self._gpu and wanted <= MOST_FOUND:
            found = self._on_gpu(vector, wanted)
        elif only is None and (len(without) <= _MANY or isinstance(self._rows, Exact)):
            found = self._on_cpu(vector, wanted, None)
        else:  # FAISS's GPU indexes can't be told where to look
            among = self._among(without, only)
            if not among.count:
                return []
            found = self._on_cpu(vector, min(among.count, k), among)
        return [(i, score) for i, score in found if i not in without][:k]

    def _among(self, without: Collection[int], only: Chosen | None) -> Among:
        """The rows that may be found; the last few are kept, since readers with the same rights ask again."""
        key = (None if only is None else only.number, without if isinstance(without, frozenset) else frozenset(without))
        with self._choosing:
            if key in self._chosen:
                self._chosen.move_to_end(key)
                return self._chosen[key]
        size = int(self._ids[-1]) + 1
        table = np.ones(size, np.bool_) if only is None else np.zeros(size, np.bool_)
        if only is not None:
            ids = only.ids
            table[ids[(ids >= 0) & (ids < size)]] = True
        gone = np.fromiter(without, np.int64, len(without))
        table[gone[(gone >= 0) & (gone < size)]] = False
        among = self._rows.among(table[self._ids])
        with self._choosing:
            self._chosen[key] = among
            while len(self._chosen) > _KEPT:
                self._chosen.popitem(last=False)
        return among

    def _on_gpu(self, vector: Vectors, k: int) -> list[tuple[int, float]]:
        gpu = self._gpu
        if gpu:
            try:
                found = self._named(*gpu.search(vector, k))
                if len(found) == k:  # else more are asked for than those lists hold
                    return found
            except (RuntimeError, MemoryError) as error:
                _warn("A search of %d vectors failed on the GPU", len(self), error)
                self._gpu = None
        return self._on_cpu(vector, k, None)

    def _on_cpu(self, vector: Vectors, k: int, among: Among | None) -> list[tuple[int, float]]:
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
    def load(cls, path: Path, settings: Settings | None = None) -> VectorIndex:
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
            new._rows = Compressed(inner, settings, owner=both)
        else:
            new._rows = Exact(both.d, inner, owner=both)
        return new


def _warn(what: str, count: int, error: BaseException) -> None:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    _log.warning("%s: they are searched on the CPU (%s).", what % count, first)
