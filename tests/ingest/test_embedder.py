"""The embedders that come with the package keep the embedder's promises, and an export those of its model."""

from __future__ import annotations

import json
import logging
import math
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.embedder import (
    Embedded,
    Embedder,
    HashEmbedder,
    SentenceTransformerEmbedder,
    Vectors,
    light_embedder,
    load_embedder,
    writers_embedder,
)
from ingest.embedder import export as exporter
from ingest.embedder.exported import GRAPH, META, ExportedEmbedder, export_of, load_exported
from ingest.embedder.growing import GrowingEmbedder
from ingest.embedder.lanes import Lanes
from ingest.errors import SourceError
from ingest.settings import IngestSettings
from ingest.types import Span
from tests.contracts.embedder import ODD, PASSAGES, SPANS, EmbedderContract


def cosines(one: Vectors, other: Vectors) -> Vectors:
    found: Vectors = np.sum(one * other, axis=-1)
    return found


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
        fp32, bf16 = load_embedder("minilm", "fp32"), load_embedder("minilm", "bf16")
        assert fp32.fingerprint == bf16.fingerprint == embedder.fingerprint
        exact, short = fp32.embed_passages(PASSAGES, SPANS), bf16.embed_passages(PASSAGES, SPANS)
        assert cosines(exact.passages, short.passages).min() > 0.999
        assert min(cosines(a, b).min() for a, b in zip(exact.sentences, short.sentences, strict=True)) > 0.998

    def test_batches_in_several_threads_are_those_of_one(self) -> None:
        embedder = load_embedder("minilm", "fp32")
        assert isinstance(embedder, SentenceTransformerEmbedder)
        embedder.batch_tokens = 16  # so that there are as many batches as passages
        several = embedder.embed_passages(PASSAGES, SPANS)
        embedder._each = map
        one = embedder.embed_passages(PASSAGES, SPANS)
        assert cosines(several.passages, one.passages).min() > 0.9999
        assert min(cosines(a, b).min() for a, b in zip(several.sentences, one.sentences, strict=True)) > 0.9999

    def test_a_question_does_not_wait_for_the_passages_before_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        embedder = load_embedder("minilm", "fp32")
        assert isinstance(embedder, SentenceTransformerEmbedder)
        assert embedder._encoder
        embedder.batch_tokens = 16
        network, begun = embedder._encoder._network, threading.Event()

        def noted(*given: Any) -> Any:
            begun.set()
            return network(*given)

        monkeypatch.setattr(embedder._encoder, "_network", noted)
        with ThreadPoolExecutor(1) as pool:
            passages = pool.submit(embedder.embed_documents, PASSAGES * 200)
            assert begun.wait(60)
            embedder.embed_queries(["How long is parental leave?"])
            assert not passages.done()
            assert passages.result().shape == (200 * len(PASSAGES), embedder.dimension)


class TestLanes:
    def test_each_takes_its_share_of_the_cores_and_leaves_the_rest_of_the_process_alone(self) -> None:
        import torch

        cores, lanes = torch.get_num_threads(), Lanes()
        shares = list(lanes.map(lambda _: torch.get_num_threads(), range(50)))
        assert set(shares) == {math.ceil(cores / 8)}
        assert torch.get_num_threads() == cores
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == cores

    def test_what_goes_wrong_in_one_reaches_who_asked(self) -> None:
        lanes = Lanes()
        with pytest.raises(ZeroDivisionError):
            list(lanes.map(lambda n: 1 // n, [1, 0, 2]))
        assert list(lanes.map(lambda n: n + 1, [1, 2])) == [2, 3]


class TestExported(EmbedderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls) -> Embedder:
        embedder = light_embedder("minilm", exports=IngestSettings().exports)
        assert isinstance(embedder, ExportedEmbedder)
        return embedder

    def test_its_vectors_are_those_of_the_model(self, embedder: Embedder) -> None:
        model = load_embedder("minilm", "fp32")
        assert isinstance(model, SentenceTransformerEmbedder)
        texts = [*PASSAGES, *ODD]
        for one in (embedder, model):  # a plain model goes its own way, too
            queries, documents = model.encoded(texts)
            assert cosines(one.embed_queries(texts), queries).min() > 0.9999
            assert cosines(one.embed_documents(texts), documents).min() > 0.9999
        ours, theirs = embedder.embed_passages(PASSAGES, SPANS), model.embed_passages(PASSAGES, SPANS)
        assert cosines(ours.passages, theirs.passages).min() > 0.9999
        assert min(cosines(a, b).min() for a, b in zip(ours.sentences, theirs.sentences, strict=True)) > 0.9999


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one small layer with random weights, prompts, and short texts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    there = load_embedder("minilm", "fp32")
    assert isinstance(there, SentenceTransformerEmbedder)
    folder = tmp_path_factory.mktemp("models")
    there.model.tokenizer.save_pretrained(folder / "bare")
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, initializer_range=0.5)
    BertModel(config).save_pretrained(folder / "bare")
    modules = [Transformer(str(folder / "bare"), max_seq_length=40), Pooling(32, "mean")]
    prompts = {"query": "question: ", "document": "passage: "}
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder / "tiny"))
    return folder / "tiny"


def test_prompts_and_limits_of_a_model_are_those_of_its_export(tiny: Path, tmp_path: Path) -> None:
    model, light = load_embedder(str(tiny)), light_embedder(str(tiny), exports=str(tmp_path))
    assert isinstance(light, ExportedEmbedder)
    assert isinstance(model, SentenceTransformerEmbedder)
    assert (light.fingerprint, light.max_tokens, light.dimension) == (model.fingerprint, model.max_tokens, 32)
    assert light.max_tokens == 40 - 2 - 2  # [CLS] and [SEP], and the document's prompt
    assert cosines(light.embed_queries(PASSAGES), light.embed_documents(PASSAGES)).max() < 0.9999
    for one in (light, model):
        queries, documents = model.encoded(PASSAGES)
        assert cosines(one.embed_queries(PASSAGES), queries).min() > 0.999
        assert cosines(one.embed_documents(PASSAGES), documents).min() > 0.999
    ours, theirs = light.embed_passages(PASSAGES, SPANS), model.embed_passages(PASSAGES, SPANS)
    assert min(cosines(a, b).min() for a, b in zip(ours.sentences, theirs.sentences, strict=True)) > 0.999


def test_an_export_is_made_once_and_anew_when_it_is_damaged(tiny: Path, tmp_path: Path) -> None:
    light_embedder(str(tiny), exports=str(tmp_path))
    [folder] = tmp_path.iterdir()
    made = (folder / META).stat().st_ino
    light_embedder(str(tiny), exports=str(tmp_path))
    assert (folder / META).stat().st_ino == made
    data = bytearray((folder / GRAPH).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / GRAPH).write_bytes(data)
    assert load_exported(str(tiny), folder) is None
    assert isinstance(light_embedder(str(tiny), exports=str(tmp_path)), ExportedEmbedder)
    assert (folder / META).stat().st_ino != made
    assert [each.name for each in tmp_path.iterdir()] == [folder.name]


def test_an_export_that_gives_other_vectors_is_not_used(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exporter, "PROBES", ("a probe",))
    monkeypatch.setattr(exporter, "LEAST_COSINE", 1.5)
    with caplog.at_level(logging.INFO, "ingest.embedder"):
        assert isinstance(light_embedder(str(tiny), exports=str(tmp_path)), SentenceTransformerEmbedder)
    assert "its vectors are not the model's (cosine 1.0000)" in caplog.text
    [folder] = tmp_path.iterdir()
    assert not (folder / GRAPH).exists()
    monkeypatch.setattr(exporter, "LEAST_COSINE", 0.999)
    assert isinstance(light_embedder(str(tiny), exports=str(tmp_path)), SentenceTransformerEmbedder)  # not tried again


def test_without_a_place_for_it_the_model_itself_is_used(tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert isinstance(light_embedder(str(tiny), exports=str(tmp_path / "file")), SentenceTransformerEmbedder)
    assert "is used without its export" in caplog.text
    assert isinstance(light_embedder(str(tiny), exports=""), SentenceTransformerEmbedder)
    assert isinstance(writers_embedder(str(tiny), exports=""), SentenceTransformerEmbedder)


def test_a_model_of_other_parts_is_not_exported(tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    modules = json.loads((other / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    from sentence_transformers.base.modules import Dense

    (other / "2_Dense").mkdir()
    Dense(32, 16).save(str(other / "2_Dense"))
    (other / "modules.json").write_text(json.dumps(modules))
    light = light_embedder(str(other), exports=str(tmp_path / "exports"))
    assert isinstance(light, SentenceTransformerEmbedder)
    [folder] = (tmp_path / "exports").iterdir()
    assert "Transformer, Pooling, Dense" in json.loads((folder / META).read_text())["refused"]


def test_other_files_are_another_model(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    places = set()
    for number in range(3):
        (model / "weights").write_bytes(bytes([number]) * 3_000_000)
        places.add(export_of(str(model), tmp_path))
    (model / "README.md").write_text("Words about it.")
    places.add(export_of(str(model), tmp_path))
    assert len(places) == 3
    assert export_of("no/such-model", tmp_path) is None
    assert export_of("no such name", tmp_path) is None


def test_a_large_job_gets_the_model_that_is_faster_once_it_runs() -> None:
    class Loaded(HashEmbedder):
        embedded = 0

        def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
            self.embedded += len(texts)
            return super().embed_passages(texts, spans)

        def embed_queries(self, texts: Sequence[str]) -> Vectors:
            raise AssertionError("questions stay with the light one")

    loaded: list[Loaded] = []

    def load() -> Embedder:
        loaded.append(Loaded())
        return loaded[-1]

    def add(texts: Sequence[str]) -> None:
        embedded = growing.embed_passages(texts, [[(0, len(text))] for text in texts])
        assert (embedded.passages == HashEmbedder().embed_documents(texts)).all()

    growing = GrowingEmbedder(HashEmbedder(), load, after=5)
    add(PASSAGES)
    assert loaded == []
    add(PASSAGES)
    add(PASSAGES)
    growing.embed_queries(PASSAGES)
    assert growing.count_tokens(["two words"]) == [2]
    assert [one.embedded for one in loaded] == [2 * len(PASSAGES)]


def test_an_embedder_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    for load in (load_embedder, lambda name: light_embedder(name, exports=str(tmp_path))):
        with pytest.raises(SourceError, match="nowhere") as caught:
            load(str(tmp_path / "nowhere"))
        assert "minilm" in caught.value.hint
