"""Any sentence-transformers model as an embedder."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.embedder.base import Embedded, Vectors, batches, encodable, unit
from ingest.embedder.lanes import Lanes
from ingest.embedder.tokens import Each, Numbers, TokenEncoder, copy_of
from ingest.errors import SourceError
from ingest.types import Span

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


_PLAIN = ["Transformer", "Pooling", "Normalize"]
# Kinds of model whose passes keep nothing between them: several may go on at once.
_STATELESS = {"bert", "camembert", "distilbert", "mpnet", "roberta", "xlm-roberta"}


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, its query and document prompts honoured, in batches of about equal length.

    One that is no more than a transformer and a pooling of its tokens' vectors goes its batches' own way; `not_plain` says why
    another doesn't.
    """

    def __init__(self, name: str, model: SentenceTransformer, *, precision: str = "auto") -> None:
        self.name = name
        self.device = model.device.type
        self.fingerprint = _fingerprint(model)
        self.dimension = int(model.get_embedding_dimension() or 0)
        special = model.tokenizer.num_special_tokens_to_add(pair=False)
        self.query_prompt = _prompt(model, "query")
        self.document_prompt = _prompt(model, "document", "passage", "corpus")
        prompt = len(model.tokenizer(self.document_prompt, add_special_tokens=False)["input_ids"])
        self.max_tokens = int(model.max_seq_length or 512) - special - prompt
        quick = made_for_bf16(self.device)
        if precision == "bf16" or (precision == "auto" and quick):
            model.bfloat16()
        self.model = model.eval()
        self.not_plain = _not_plain(model, (self.query_prompt, self.document_prompt))
        lanes = self.device == "cpu" and not self.not_plain and _kind(model) in _STATELESS
        self._each: Each = Lanes().map if lanes else map
        self._lock = nullcontext() if lanes else threading.Lock()
        # `python -m benchmarks batch_tokens` measures it again; without lanes and with AMX it was set by earlier work.
        self._batch_tokens = 65_536 if self.device == "cuda" else 1024 if lanes else 4096 if quick else 2048
        self._encoder: TokenEncoder | None = None
        if not self.not_plain:
            self._encoder = TokenEncoder(
                copy_of(model.tokenizer.backend_tokenizer),
                self._run,
                dimension=self.dimension,
                max_sequence=int(model.max_seq_length or 512),
                pad=int(model.tokenizer.pad_token_id or 0),
                batch_tokens=self._batch_tokens,
            )

    @property
    def batch_tokens(self) -> int:
        """How many tokens a batch holds with padding, about; padding is what a batch of mixed lengths wastes."""
        return self._batch_tokens

    @batch_tokens.setter
    def batch_tokens(self, tokens: int) -> None:
        self._batch_tokens = tokens
        if self._encoder:
            self._encoder.batch_tokens = tokens

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if self._encoder:
            return self._encoder.embed(texts, self.document_prompt, self._each)
        return self._embed(texts, self.model.encode_document)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        if self._encoder:
            return self._encoder.embed_passages(texts, spans, self.document_prompt, self._each)
        # Nobody knows where the tokens of such a model stand: its sentences have no vectors.
        none = np.zeros((0, self.dimension), dtype=np.float32)
        return Embedded(self.embed_documents(texts), (none,) * len(texts))

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        if self._encoder:  # in this thread: in a lane it would wait for all that is being ingested
            return self._encoder.embed(texts, self.query_prompt)
        return self._embed(texts, self.model.encode_query)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if self._encoder:
            return self._encoder.count_tokens(texts)
        if not texts:
            return []
        with self._lock:
            tokens = self.model.tokenizer(encodable(texts), add_special_tokens=False, truncation=False, verbose=False)
        return [len(ids) for ids in tokens["input_ids"]]

    def encoded(self, texts: Sequence[str]) -> tuple[Vectors, Vectors]:
        """The vectors of texts as questions and as passages, made by the library's own way alone: what any other is held to."""
        return self._embed(texts, self.model.encode_query), self._embed(texts, self.model.encode_document)

    def _embed(self, texts: Sequence[str], encode: Callable[..., Any]) -> Vectors:
        """By the library's own way, which knows models of any parts."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        texts = encodable(texts)
        lengths = self.count_tokens(texts) if len(texts) > 1 else [1] * len(texts)
        for batch in batches(lengths, self.batch_tokens):
            with self._lock:  # for each batch, so that a question needn't wait for a whole ingestion
                rows = encode([texts[i] for i in batch], batch_size=len(batch), show_progress_bar=False, convert_to_tensor=True)
            vectors[batch] = rows.float().cpu().numpy()
        return unit(vectors)

    def _run(self, ids: Numbers, mask: Numbers, weights: Vectors | None = None) -> tuple[Vectors, Vectors | None]:
        import torch

        device = self.model.device
        with self._lock, torch.inference_mode():  # for each batch, so that a question needn't wait for a whole ingestion
            features: dict[str, Any] = {
                "input_ids": torch.from_numpy(ids).to(device),
                "attention_mask": torch.from_numpy(mask).to(device),
            }
            if "token_type_ids" in self.model.tokenizer.model_input_names:
                features["token_type_ids"] = torch.zeros_like(features["input_ids"])
            for module in self.model:
                features = module(features)
            vectors: Vectors = features["sentence_embedding"].float().cpu().numpy()
            if weights is None:
                return vectors, None
            sums = torch.bmm(torch.from_numpy(weights).to(device), features["token_embeddings"].float())
            return vectors, sums.cpu().numpy()


def _not_plain(model: SentenceTransformer, prompts: Sequence[str]) -> str:
    """Why a model is more than a transformer whose tokens' vectors are pooled; empty where it is just that."""
    kinds = [type(module).__name__ for module in model]
    if kinds not in (_PLAIN, _PLAIN[:2]):
        return f"it is made of {', '.join(kinds)}"
    if not model[1].include_prompt and any(prompts):
        return "its prompts are not part of what is pooled"
    if not model.tokenizer.is_fast or model.tokenizer.padding_side != "right":
        return "its tokenizer is not a fast one, or pads on the left"
    return ""


def _kind(model: SentenceTransformer) -> str:
    return str(getattr(getattr(getattr(model[0], "auto_model", None), "config", None), "model_type", ""))


def _prompt(model: SentenceTransformer, *names: str) -> str:
    """What a model wants before a text: the first of its prompts of these names, else its default one."""
    prompts = model.prompts or {}
    asked = next((name for name in names if name in prompts), model.default_prompt_name)
    return (prompts.get(asked) or "") if asked else ""


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


def made_for_bf16(device: str) -> bool:
    """Whether a device multiplies matrices faster in bf16 than in fp32."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Elsewhere than with AMX or AVX-512's bf16 torch emulates it at a sixth of fp32's speed.
    asked = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return device == "cpu" and any(getattr(torch.cpu, name, lambda: False)() for name in asked)


def load(name: str, path: str, precision: str = "auto") -> SentenceTransformerEmbedder:
    """The model at `path` (a folder, or a name on the hub) under the `name` that settings call it by. Raises SourceError."""
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
