"""Both embedders that come with the package keep the embedder's promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.embedder import Embedder, HashEmbedder, embed_in_steps, load_embedder
from ingest.errors import SourceError
from tests.contracts.embedder import PASSAGES, SPANS, EmbedderContract


class TestHash(EmbedderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls) -> Embedder:
        return HashEmbedder()


class TestMiniLM(EmbedderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls) -> Embedder:
        return load_embedder("minilm")

    def test_words_that_mean_the_same_are_near(self, embedder: Embedder) -> None:
        question = embedder.embed_queries(["How much time off do new mothers and fathers get?"])[0]
        assert (embedder.embed_documents(PASSAGES) @ question).argmax() == 0

    def test_its_numbers_do_not_depend_on_how_weights_are_kept(self, embedder: Embedder) -> None:
        other = load_embedder("minilm", "bf16" if embedder.device == "cpu" else "fp32")
        assert other.fingerprint == embedder.fingerprint
        cosines = np.sum(other.embed_documents(PASSAGES) * embedder.embed_documents(PASSAGES), axis=1)
        assert cosines.min() > 0.999


def test_steps_are_told() -> None:
    told: list[int] = []
    embedded = embed_in_steps(HashEmbedder(), PASSAGES, SPANS, 3, told.append)
    whole = HashEmbedder().embed_passages(PASSAGES, SPANS)
    assert told == [3, 1]
    assert (embedded.passages == whole.passages).all()
    assert all((one == other).all() for one, other in zip(embedded.sentences, whole.sentences, strict=True))


def test_an_embedder_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere") as caught:
        load_embedder(str(tmp_path / "nowhere"))
    assert "minilm" in caught.value.hint
