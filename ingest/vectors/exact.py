"""Every vector looked at: right up to some 100,000 of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ingest.embedder import Vectors
from ingest.vectors.library import Among, Ids, Rows, Scores, Settings, load_faiss

_BATCH = 16_384
# Of FAISS's files: an index begins with its kind, its dimension and the number of its vectors. `IndexIDMap` (its beginning, the
# index that it numbers, ids) and `IndexFlat` (its beginning, vectors) each have one of this size.
_BEGINNING = struct.Struct("<4siqqq?i")
_COUNT = struct.Struct("<Q")  # stands before an array


class Exact:
    """Rows of float32; a search looks at all of them."""

    kind = "flat"

    def __init__(self, dimension: int, index: Any = None, owner: object = None) -> None:
        self.index = index if index is not None else load_faiss().IndexFlatIP(dimension)
        self.settings: Settings = {}
        self._owner = owner

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def dimension(self) -> int:
        return int(self.index.d)

    def add(self, vectors: Vectors) -> None:
        self.index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def among(self, rows: Rows) -> Among:
        """The rows that a search may find."""
        return Among(rows)

    def search(self, vectors: Vectors, k: int, among: Among | None = None) -> tuple[Scores, Ids]:
        """Scores and rows of the `k` nearest to each of `vectors` (shape (many, dimension)), best first; `among` those.

        A row of -1 means that there were no more.
        """
        params = load_faiss().SearchParameters(sel=among.selector) if among else None
        scores, rows = self.index.search(np.ascontiguousarray(vectors, dtype=np.float32), k, params=params)
        return scores, rows

    def vectors(self) -> Iterator[Vectors]:
        """All rows in order, by batches."""
        for at in range(0, len(self), _BATCH):
            yield self.index.reconstruct_n(at, min(_BATCH, len(self) - at))


def write_exact(path: Path, dimension: int, batches: Iterable[tuple[list[int], Vectors]]) -> int:
    """Write vectors and their ids as the FAISS file of an exact index with ids (`IndexIDMap` of `IndexFlatIP`), holding no more
    than a batch of vectors; how many there were.

    FAISS itself writes the file of an empty index; what is put into that are the vectors, the ids and their number. Raises
    RuntimeError if FAISS does not read the file as that.
    """
    faiss = load_faiss()
    empty = faiss.serialize_index(faiss.IndexIDMap(faiss.IndexFlatIP(dimension))).tobytes()
    if len(empty) != 2 * (_BEGINNING.size + _COUNT.size):
        raise RuntimeError(f"FAISS {faiss.__version__} writes its files in another form")
    every: list[Ids] = []
    with path.open("wb") as file:
        file.seek(2 * _BEGINNING.size + _COUNT.size)
        for ids, vectors in batches:
            file.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            every.append(np.asarray(ids, dtype="<i8"))
        numbers = np.concatenate(every) if every else np.zeros(0, dtype="<i8")
        count = len(numbers)
        file.write(_COUNT.pack(count) + numbers.tobytes())
        file.seek(0)
        for kind, width, _, *rest in _BEGINNING.iter_unpack(empty[: 2 * _BEGINNING.size]):
            file.write(_BEGINNING.pack(kind, width, count, *rest))
        file.write(_COUNT.pack(count * dimension))
    read = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    same = type(read) is faiss.IndexIDMap and isinstance(faiss.downcast_index(read.index), faiss.IndexFlatIP)
    if not same or not np.array_equal(faiss.vector_to_array(read.id_map), numbers):
        raise RuntimeError(f"FAISS {faiss.__version__} does not read what was written for it to {path}")
    return count
