"""Texts to vectors by a tokenizer and a network that takes its tokens: what a model and its export share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.embedder.base import Embedded, Vectors, batches, encodable, unit
from ingest.types import Span

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Numbers: TypeAlias = npt.NDArray[np.int64]
Batch: TypeAlias = "tuple[list[int], list[Encoding]]"  # positions of texts of about equal length, and their tokens
Each: TypeAlias = Callable[[Callable[[Batch], None], Iterable[Batch]], Iterable[None]]  # `map`, or one of several threads


class Network(Protocol):
    """Takes token ids and their mask, both of shape (texts, tokens), and gives the texts' vectors, (texts, dimension).

    `weights`, (texts, sentences, tokens), asks for the weighted sums of the tokens' vectors, too: (texts, sentences,
    dimension). Safe to call from several threads.
    """

    def __call__(self, ids: Numbers, mask: Numbers, weights: Vectors | None = None) -> tuple[Vectors, Vectors | None]: ...


class TokenEncoder:
    """Batches by tokens through a network. `batch_tokens` is how many a batch holds with padding, about."""

    def __init__(
        self, tokenizer: Tokenizer, network: Network, *, dimension: int, max_sequence: int, pad: int, batch_tokens: int
    ) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_sequence)
        self._tokenizer, self._network, self._dimension, self._pad = tokenizer, network, dimension, pad
        self.batch_tokens = batch_tokens

    def embed(self, texts: Sequence[str], prompt: str, each: Each = map) -> Vectors:
        """Unit vectors, shape (texts, dimension); the prompt goes before each text."""
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)

        def work(part: Batch) -> None:
            batch, encoded = part
            vectors[batch], _ = self._network(*self._padded(encoded))

        _all(each(work, self._encoded(texts, prompt)))
        return unit(vectors)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], prompt: str, each: Each = map) -> Embedded:
        """As `embed`, and a unit vector for each span of each text: the mean of its tokens' vectors as they come out of the
        whole passage ("late chunking", Günther et al. 2024). It knows its context, and costs no second pass."""
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        sentences: list[Vectors] = [np.zeros((0, self._dimension), dtype=np.float32)] * len(texts)

        def work(part: Batch) -> None:
            batch, encoded = part
            ids, mask = self._padded(encoded)
            weights = np.zeros((len(batch), max(len(spans[i]) for i in batch), ids.shape[1]), dtype=np.float32)
            for row, (i, encoding) in enumerate(zip(batch, encoded, strict=True)):
                places = np.maximum(np.asarray(encoding.offsets, dtype=np.int64) - len(prompt), 0)
                weights[row, : len(spans[i]), : len(places)] = _shares(places, spans[i])
            vectors[batch], sums = self._network(ids, mask, weights)
            assert sums is not None
            for row, i in enumerate(batch):
                sentences[i] = unit(sums[row, : len(spans[i])])

        _all(each(work, self._encoded(texts, prompt)))
        return Embedded(unit(vectors), tuple(sentences))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, whole and without special tokens."""
        encoded = self._counter.encode_batch_fast(encodable(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encoded]

    def _encoded(self, texts: Sequence[str], prompt: str) -> Iterator[Batch]:
        encoded = self._tokenizer.encode_batch([prompt + text for text in encodable(texts)])
        for batch in batches([len(encoding.ids) for encoding in encoded], self.batch_tokens):
            yield batch, [encoded[i] for i in batch]

    def _padded(self, encoded: Sequence[Encoding]) -> tuple[Numbers, Numbers]:
        shape = (len(encoded), max(1, *(len(encoding.ids) for encoding in encoded)))
        ids, mask = np.full(shape, self._pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, encoding in enumerate(encoded):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        return ids, mask

    @cached_property
    def _counter(self) -> Tokenizer:
        """The same tokenizer without truncation. (That is a state of a tokenizer, which threads share.)"""
        counter = copy_of(self._tokenizer)
        counter.no_truncation()
        return counter


def copy_of(tokenizer: Tokenizer) -> Tokenizer:
    """Another tokenizer like this one, whose state may be changed."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(tokenizer.to_str())


def _all(done: Iterable[None]) -> None:
    """Wait for all; the first exception is raised."""
    deque(done, maxlen=0)


def _shares(places: Numbers, spans: Sequence[Span]) -> Vectors:
    """What each token counts in the mean of each span, shape (spans, tokens); a span that no token stands in (it was cut off)
    is the mean of all."""
    starts, ends = places[:, 0], places[:, 1]
    bounds = np.asarray(spans, dtype=np.int64).reshape(-1, 2)
    inside = (ends > starts) & (starts >= bounds[:, :1]) & (ends <= bounds[:, 1:])
    inside[~inside.any(axis=1)] = True
    shares: Vectors = (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
