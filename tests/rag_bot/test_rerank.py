"""A cross-encoder puts passages in order; the model is a small real one with made weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from ingest.index import Index
from ingest.types import Chunk, DocumentInfo, Hit
from rag_bot.build import open_parts
from rag_bot.errors import BadSetting
from rag_bot.rerank import load_reranker
from rag_bot.retrieve import QueryEmbedder, Retriever
from rag_bot.settings import Settings

INFO = DocumentInfo("d", "/docs/leave.md", "Leave", "text/markdown", 3, 100, "", "2026-11-22")


def model_folder(folder: Path, labels: int) -> str:
    """A cross-encoder of one layer that tokenizes by words, saved as sentence-transformers saves one."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    words = "[PAD] [UNK] [CLS] [SEP] [MASK] leave days party snow tax 26 the a of".split()
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    config.num_labels = labels
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizer(vocab=str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return model_folder(tmp_path_factory.mktemp("models") / "one", 1)


def hits_of(*texts: str) -> list[Hit]:
    return [Hit(INFO, Chunk(0, len(text), text, id=n), 1.0 / n, dense=0.5) for n, text in enumerate(texts, 1)]


def test_passages_stand_in_the_order_of_the_model_and_scores_stay_in_place(folder: str) -> None:
    from sentence_transformers import CrossEncoder

    hits = hits_of("the tax", "26 days of leave", "snow", "a party", "leave")
    question = "days of leave"
    told = CrossEncoder(folder).predict([(question, f"Leave\n{hit.chunk.text}") for hit in hits]).tolist()
    found = load_reranker(folder)(question, hits)
    assert [hit.chunk.id for hit in found] == sorted((hit.chunk.id for hit in hits), key=lambda i: -told[i - 1])
    assert [hit.chunk.id for hit in found] != [hit.chunk.id for hit in hits]
    assert [hit.score for hit in found] == [hit.score for hit in hits]
    assert {replace(hit, score=0.0) for hit in found} == {replace(hit, score=0.0) for hit in hits}


def test_one_passage_none_and_what_no_tokenizer_takes(folder: str) -> None:
    rerank = load_reranker(folder)
    assert rerank("leave", []) == []
    assert rerank("leave", hits_of("leave")) == hits_of("leave")
    assert len(rerank("\ud800 leave", hits_of("\udfff", "leave " * 500))) == 2


def test_a_model_that_gives_no_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="tells 3 classes apart"):
        load_reranker(model_folder(tmp_path / "three", 3))
    with pytest.raises(BadSetting, match="can't be loaded"):
        load_reranker(str(tmp_path))
    with pytest.raises(ValidationError):
        Settings(reranked=1)


class Backwards:
    """The reverse of what came; it notes how many came."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        self.seen.append(len(hits))
        return list(reversed(hits))


def test_a_search_orders_more_than_it_gives_and_keyword_search_is_left_alone(home: Settings) -> None:
    with Index.open(home.index, settings=home) as index:
        embed, rerank = QueryEmbedder(index), Backwards()
        try:
            plain, ordered = Retriever(index, embed), Retriever(index, embed, rerank, 5)
            question = "When is the summer party held?"
            assert ordered(question, 2) == list(reversed(plain(question, 5)))[:2]
            assert ordered(question, 2, "keyword") == plain(question, 2, "keyword")
            assert ordered(" ", 2) == []
            assert rerank.seen == [5]
        finally:
            embed.close()


def test_the_setting_puts_it_in_place(home: Settings, folder: str) -> None:
    parts = open_parts(home.model_copy(update={"reranker": folder}))
    plain = open_parts(home)
    try:
        question = "days of leave"
        assert parts.retrieve(question, 50) != plain.retrieve(question, 50)
        assert {hit.chunk.id for hit in parts.retrieve(question, 50)} == {hit.chunk.id for hit in plain.retrieve(question, 50)}
    finally:
        for one in (parts, plain):
            one.retrieve.embed.close()
            one.index.close()
            one.memory.close()
