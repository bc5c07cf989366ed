"""Texts to unit vectors: the `Embedder` protocol, sentence-transformers behind it, its ONNX export, a hash embedder."""

from __future__ import annotations

from ingest.embedder.base import Embedded, Embedder, Vectors
from ingest.embedder.hashed import HashEmbedder
from ingest.embedder.load import light_embedder, load_embedder, writers_embedder
from ingest.embedder.sentence import SentenceTransformerEmbedder

__all__ = [
    "Embedded",
    "Embedder",
    "HashEmbedder",
    "SentenceTransformerEmbedder",
    "Vectors",
    "light_embedder",
    "load_embedder",
    "writers_embedder",
]
