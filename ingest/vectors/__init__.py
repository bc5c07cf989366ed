"""FAISS: unit vectors by number, on the CPU or the GPU; nothing here knows of documents."""

from ingest.vectors.index import EXACT_UP_TO, VectorIndex
from ingest.vectors.library import Ids, device, load_faiss

__all__ = ["EXACT_UP_TO", "Ids", "VectorIndex", "device", "load_faiss"]
