"""An embedder for jobs whose size nobody knows before: the one that is there at once, then the one that is faster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ingest.embedder.base import Embedded, Embedder, Vectors
from ingest.types import Span


class GrowingEmbedder:
    """Embeds with `light`; once `after` passages have come, passages go to what `load` gives. Both must be of the same
    weights. Questions stay with `light`."""

    def __init__(self, light: Embedder, load: Callable[[], Embedder], *, after: int) -> None:
        self.name, self.fingerprint, self.device = light.name, light.fingerprint, light.device
        self.dimension, self.max_tokens = light.dimension, light.max_tokens
        self._light, self._load, self._left = light, load, after
        self._heavy: Embedder | None = None
        self._counting = threading.Lock()

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._for(len(texts)).embed_documents(texts)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        return self._for(len(texts)).embed_passages(texts, spans)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._light.embed_queries(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._light.count_tokens(texts)

    def _for(self, texts: int) -> Embedder:
        with self._counting:
            self._left -= texts
            if self._heavy is None and self._left < 0:
                loaded = self._load()
                # Other weights under the same name would be noticed when the index is opened: until then one kind only.
                self._heavy = loaded if loaded.fingerprint == self.fingerprint else self._light
            return self._heavy or self._light
