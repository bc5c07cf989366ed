"""What every embedder promises, and what all of them need: batches of about equal length, unit vectors, sentences' means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.types import Span

Vectors: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Passages as vectors: `passages` has shape (texts, dimension); `sentences` has, for each text, one row for each of
    its sentences, or none where the embedder can't tell the tokens of a sentence. All rows are unit vectors."""

    passages: Vectors
    sentences: tuple[Vectors, ...]

    def __getitem__(self, part: slice) -> Embedded:
        return Embedded(self.passages[part], self.sentences[part])


class Embedder(Protocol):
    """Makes unit vectors of texts. An index is tied to `fingerprint`: the same numbers from the same words.

    `name` is the setting that loads it again. `max_tokens` is how many tokens of one text it reads; what is longer
    would be cut. Safe to call from several threads.
    """

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int
    device: str

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of passages, float32, shape (len(texts), dimension)."""

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        """As `embed_documents`, and a vector for each of the `spans` (offsets) of each text, in its text's context."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of questions, float32, shape (len(texts), dimension)."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, whole and without special tokens."""


def encodable(texts: Sequence[str]) -> list[str]:
    """The texts with a question mark for each lone surrogate: no tokenizer takes those, but a question may hold one."""
    return [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]


def unit(vectors: Vectors) -> Vectors:
    """Rows of length 1 (a bf16 model's own are so only to three digits)."""
    made: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return made


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions sorted by length, longest first, in batches of at most `budget` tokens with padding (at least one)."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        size = max(1, budget // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]
