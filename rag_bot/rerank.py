"""Passages in a better order: a cross-encoder reads the question and each passage together. An option, with one's own model."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ingest.types import Hit
from rag_bot.errors import BadSetting

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_BATCH = 32


class Reranker(Protocol):
    """Puts passages in order by how well they answer a question. Safe to call from several threads."""

    def __call__(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits, best first. Their scores stay in place: the first has the highest of them."""


class CrossEncoderReranker:
    """A cross-encoder of sentence-transformers (Nogueira and Cho 2019, "Passage re-ranking with BERT")."""

    def __init__(self, model: CrossEncoder) -> None:
        self._model = model
        self._lock = threading.Lock()

    def __call__(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        if len(hits) < 2:
            return list(hits)
        pairs = [(_encodable(question), _encodable(_read(hit))) for hit in hits]
        with self._lock:
            relevance = self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False).tolist()
        order = sorted(range(len(hits)), key=lambda i: -relevance[i])
        # What comes later weighs passages by their scores, as fusion gives them; a model's own are on any scale.
        scores = sorted((hit.score for hit in hits), reverse=True)
        return [replace(hits[i], score=score) for i, score in zip(order, scores, strict=True)]


def load_reranker(name: str) -> Reranker:
    """The reranker that the setting `name` means: a model's folder or its name. Raises BadSetting where it can't be one."""
    if Path(name).is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a local folder needs no hub: don't ask it
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from sentence_transformers import CrossEncoder

    hint = "Set RAG_BOT_RERANKER to a cross-encoder's name or folder, or leave it empty."
    try:
        model = CrossEncoder(name)
    except (OSError, ValueError) as error:
        raise BadSetting(f"The reranker {name!r} can't be loaded: {str(error).splitlines()[0]}", hint) from error
    if model.num_labels != 1:
        raise BadSetting(f"The reranker {name!r} tells {model.num_labels} classes apart: it gives no order.", hint)
    return CrossEncoderReranker(model)


def _read(hit: Hit) -> str:
    """A passage as the model reads it: below its title and headings, which say what it is about."""
    return "\n".join(dict.fromkeys([hit.document.title, *hit.chunk.heading, hit.chunk.text]))


def _encodable(text: str) -> str:
    """A question mark for each lone surrogate: no tokenizer takes those, but a text may hold one."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
