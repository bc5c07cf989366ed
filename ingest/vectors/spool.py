"""A file of float16 vectors beside the index while it is built: it is read several times, and memory need not hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from ingest.embedder import Vectors
from ingest.vectors.library import Ids

_BATCH = 16_384


class Spool:
    """Vectors on the disk, shape (rows, dimension), with their ids in memory. Gone when its `with` ends."""

    def __init__(self, path: Path, dimension: int) -> None:
        self.path, self.dimension = path, dimension
        self._ids: list[Ids] = []
        self._file = path.open("w+b")
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return self._rows

    @property
    def ids(self) -> Ids:
        return np.concatenate(self._ids) if self._ids else np.zeros(0, np.int64)

    def fill(self, batches: Iterable[tuple[list[int], Vectors]]) -> None:
        for ids, vectors in batches:
            self._file.write(np.asarray(vectors, dtype="<f2").tobytes())
            self._ids.append(np.asarray(ids, dtype=np.int64))
            self._rows += len(ids)
        self._file.flush()

    def batches(self, size: int = _BATCH) -> Iterator[Vectors]:
        """All rows in order, float32."""
        for at in range(0, self._rows, size):
            yield self._read(at, min(size, self._rows - at))

    def sample(self, count: int, seed: int) -> tuple[Ids, Vectors]:
        """Up to `count` rows from everywhere, in order: their numbers, and what stands in them as float32."""
        count = min(count, self._rows)
        rows = np.sort(np.random.default_rng(seed).choice(self._rows, count, replace=False)).astype(np.int64)
        found = np.zeros((count, self.dimension), np.float32)
        for start in range(0, self._rows, _BATCH):
            first, last = np.searchsorted(rows, (start, start + _BATCH))
            if first < last:
                batch = self._read(start, min(_BATCH, self._rows - start))
                found[first:last] = batch[rows[first:last] - start]
        return rows, found

    def _read(self, at: int, count: int) -> Vectors:
        # Read rather than mapped: a mapped file counts as the process's memory.
        self._file.seek(at * self.dimension * 2)
        flat: npt.NDArray[np.float16] = np.frombuffer(self._file.read(count * self.dimension * 2), dtype="<f2")
        return flat.astype(np.float32).reshape(count, self.dimension)
