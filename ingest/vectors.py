"""FAISS: unit vectors by number, on the CPU or the GPU; nothing here knows of documents."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ingest.embedder import Vectors
from ingest.errors import DependencyMissing

if TYPE_CHECKING:
    import faiss as faiss_module

Ids = npt.NDArray[np.int64]

_MOST_ON_GPU = 2048  # neighbours that FAISS gives of one query there


def load_faiss() -> Any:
    """The faiss module, of whichever of the two packages is installed."""
    try:
        import faiss
    except ImportError as error:
        raise DependencyMissing(
            "FAISS is not installed.",
            "pip install 'rag-bot[cpu]', or on a machine with an NVIDIA GPU: pip install 'rag-bot[gpu]' (never both).",
        ) from error
    return faiss


def device() -> str:
    """`cuda` where this FAISS sees a GPU, else `cpu`."""
    return "cuda" if _gpus(load_faiss()) else "cpu"


def _gpus(faiss: Any) -> int:
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


class VectorIndex:
    """Exact search by inner product (cosine, for unit vectors). Moves to the GPU by itself where there is one."""

    kind = "flat"

    def __init__(self, dimension: int) -> None:
        faiss = load_faiss()
        self._ids: Ids = np.zeros(0, dtype=np.int64)
        self._index: faiss_module.Index = faiss.IndexFlatIP(dimension)
        self._owner: object = None
        self._on_gpu = False
        self._beside: Any = None
        self._alone = threading.Lock()

    @classmethod
    def build(cls, dimension: int, batches: Iterable[tuple[list[int], Vectors]]) -> VectorIndex:
        """An index of batches of ids and vectors; the ids must rise."""
        new = cls(dimension)
        for ids, vectors in batches:
            new.add(ids, vectors)
        return new

    def add(self, ids: list[int], vectors: Vectors) -> None:
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        self._ids = np.concatenate([self._ids, np.asarray(ids, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._ids)

    def to_device(self) -> VectorIndex:
        """This index on the GPU, or itself where there is none."""
        faiss = load_faiss()
        if not _gpus(faiss):
            return self
        moved = VectorIndex(self._index.d)
        moved._ids, moved._index, moved._on_gpu = self._ids, faiss.index_cpu_to_all_gpus(self._index), True
        return moved

    def search(
        self, vector: Vectors, k: int, without: Collection[int] = (), only: Ids | None = None
    ) -> list[tuple[int, float]]:
        """The `k` nearest to one vector (shape (dimension,)) as (id, cosine), best first, passing over `without`.

        `only` are the ids (rising) among which the `k` nearest are looked for; None: all.
        """
        if only is not None:
            return self._search_among(vector, k, without, only)
        wanted = min(len(self), k + len(without), _MOST_ON_GPU if self._on_gpu else len(self))
        if not wanted:
            return []
        with self._alone if self._on_gpu else nullcontext():  # FAISS's GPU indexes take one search at a time
            scores, rows = self._index.search(vector.reshape(1, -1), wanted)
        ids = self._ids[rows[0]]
        found = zip(ids.tolist(), scores[0].tolist(), strict=True)
        return [(i, score) for i, score in found if i not in without][:k]

    def _search_among(self, vector: Vectors, k: int, without: Collection[int], only: Ids) -> list[tuple[int, float]]:
        rows = np.flatnonzero(np.isin(self._ids, only, assume_unique=True))
        if without:
            rows = rows[~np.isin(self._ids[rows], np.fromiter(without, np.int64, len(without)))]
        if not len(rows) or not k:
            return []
        faiss = load_faiss()
        flat: Any = self._index
        if self._on_gpu:  # FAISS's GPU indexes can't be told where to look: a copy in memory can
            with self._alone:
                self._beside = flat = self._beside or faiss.index_gpu_to_cpu(self._index)
        bits = np.zeros(len(self), np.bool_)
        bits[rows] = True
        chosen = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little")))
        scores, found = flat.search(vector.reshape(1, -1), min(k, len(rows)), params=chosen)
        return list(zip(self._ids[found[0]].tolist(), scores[0].tolist(), strict=True))

    def save(self, path: Path) -> None:
        """Write the index, ids included, as one FAISS file."""
        faiss = load_faiss()
        flat = faiss.index_gpu_to_cpu(self._index) if self._on_gpu else self._index
        both = faiss.IndexIDMap2(faiss.IndexFlatIP(flat.d))
        if len(self):
            both.add_with_ids(flat.reconstruct_n(0, len(self)), self._ids)
        faiss.write_index(both, str(path))

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """Read what `save` wrote. Raises RuntimeError if FAISS can't read it."""
        faiss = load_faiss()
        both = faiss.read_index(str(path))
        if not isinstance(both, faiss.IndexIDMap2 | faiss.IndexIDMap):
            raise RuntimeError(f"{path} is not an index with ids")
        new = cls(both.d)
        new._ids = faiss.vector_to_array(both.id_map).astype(np.int64)
        new._index = faiss.downcast_index(both.index)
        new._owner = both  # frees the inner index when it goes
        return new
