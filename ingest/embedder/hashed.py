"""Words hashed to signed counts: an embedder without a model, for tests."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ingest.embedder.base import Embedded, Vectors
from ingest.types import Span


class HashEmbedder:
    """Words hashed to signed counts: no model, no meaning, the same everywhere. For tests and for trying the machinery."""

    name = "hash"
    dimension = 256
    max_tokens = 512
    device = "cpu"
    fingerprint = "hash-256-v1"
    _WORD = re.compile(r"\w+")

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            slots = [_slot(word) for word in self._WORD.findall(text.lower())]
            plus, minus = np.bincount(slots, minlength=2 * self.dimension).reshape(2, -1) if slots else (0, 0)
            vectors[row] = plus - minus
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        empty = norms[:, 0] == 0
        vectors[empty, 0] = norms[empty] = 1.0  # a text without words still needs a direction
        vectors /= norms
        return vectors

    embed_queries = embed_documents

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        flat = self.embed_documents([text[a:b] for text, some in zip(texts, spans, strict=True) for a, b in some])
        ends = np.cumsum([len(some) for some in spans], dtype=np.int64)
        sentences = np.split(flat, ends[:-1]) if len(spans) else []
        return Embedded(self.embed_documents(texts), tuple(sentences))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self._WORD.findall(text)) for text in texts]


@lru_cache(maxsize=65_536)
def _slot(word: str) -> int:
    """The column of a word; those of words that count negative come after those of the others."""
    code = zlib.crc32(word.encode("utf-8", "replace"))
    return code % HashEmbedder.dimension + (0 if code & 0x8000_0000 else HashEmbedder.dimension)
