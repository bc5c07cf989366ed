"""Every vector looked at: right up to some 100,000 of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ingest.embedder import Vectors
from ingest.vectors.library import Among, Ids, Rows, Scores, Settings, load_faiss

_BATCH = 16_384


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
