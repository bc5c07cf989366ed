"""The heavy library behind the vectors: FAISS, loaded late, and what it sees of GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.errors import DependencyMissing

Ids: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.bool_]
"""For each row of an index whether it may be found."""
Settings: TypeAlias = dict[str, float]
"""What was chosen for searching when an index was built, by name."""


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


def gpus() -> int:
    """How many GPUs this FAISS can use."""
    faiss = load_faiss()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def device() -> str:
    """`cuda` where this FAISS sees a GPU, else `cpu`."""
    return "cuda" if gpus() else "cpu"


class Chosen(Protocol):
    """The rows that a search may find, by their ids. No two have the same `number`."""

    @property
    def number(self) -> int: ...

    @property
    def ids(self) -> Ids:
        """The ids, rising."""
        ...


class Among:
    """The rows that a search may find, in FAISS's own form; how many there are, and how many in each list of an index by
    lists."""

    def __init__(self, rows: Rows, lists: npt.NDArray[np.int64] | None = None) -> None:
        self.count = int(rows.sum())
        self.lists = lists
        self.selector = load_faiss().IDSelectorBitmap(np.packbits(rows, bitorder="little"))


@contextmanager
def one_thread() -> Iterator[None]:
    """FAISS works in the calling thread alone: threads that each ask one question are many enough."""
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
