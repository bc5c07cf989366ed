"""The heavy library behind the vectors: FAISS, loaded late, and what it sees of GPUs."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.errors import DependencyMissing

Ids: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.bool_]
"""For each row of an index whether it may be found."""


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


def selector(among: Rows) -> Any:
    """FAISS's own form of the rows that may be found."""
    return load_faiss().IDSelectorBitmap(np.packbits(among, bitorder="little"))
