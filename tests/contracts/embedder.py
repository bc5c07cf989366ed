"""What every embedder promises; a test class of each implementation inherits this one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ingest.chunker import Chunker
from ingest.embedder import Embedder, Vectors, load_embedder
from ingest.parsers.builder import TextBuilder
from ingest.types import Document

PASSAGES = [
    "Parental leave lasts sixteen weeks. Ask for parental leave in writing.",
    "Dogs may come to the office on Fridays. Cats may not come at all.",
    "The travel office books all flights. Hotels cost at most 140 euros a night.",
    "Yes.",
]
SPANS = [[(0, 35), (36, 70)], [(0, 39), (40, 65)], [(0, 36), (37, 75)], [(0, 4)]]
ODD = [
    "",
    " \n\t",
    "🦊🔥",
    "\x00",
    "a\ud800b",
    "休暇は三十日です。",
    "x" * 10_000,
    "word " * 5_000,
    "!?" * 100,
    "e\u0301\u200d\u202e",
]


def assert_unit(vectors: Vectors, rows: int, embedder: Embedder) -> None:
    assert vectors.shape == (rows, embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(rows), abs=1e-3)


def assert_same(one: Vectors, other: Vectors) -> None:
    assert np.sum(one * other, axis=-1) == pytest.approx(np.ones(len(one)), abs=2e-3)


class EmbedderContract:
    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls) -> Embedder:
        raise NotImplementedError

    def test_vectors_are_unit_vectors(self, embedder: Embedder) -> None:
        for vectors in (embedder.embed_documents(PASSAGES), embedder.embed_queries(PASSAGES)):
            assert_unit(vectors, len(PASSAGES), embedder)
        assert_unit(embedder.embed_documents([]), 0, embedder)
        assert_unit(embedder.embed_queries([]), 0, embedder)

    def test_any_text_has_a_vector(self, embedder: Embedder) -> None:
        assert_unit(embedder.embed_documents(ODD), len(ODD), embedder)
        for text in ODD:
            assert_unit(embedder.embed_queries([text]), 1, embedder)

    def test_a_text_has_the_same_vector_in_any_company(self, embedder: Embedder) -> None:
        together = embedder.embed_documents([*ODD, *PASSAGES])[len(ODD) :]
        alone = np.concatenate([embedder.embed_documents([text]) for text in PASSAGES])
        assert_same(together, alone)
        assert_same(embedder.embed_documents(PASSAGES[::-1])[::-1], alone)

    def test_a_question_is_nearest_to_the_passage_about_it(self, embedder: Embedder) -> None:
        questions = ["How long is parental leave?", "Which days may dogs come to the office?", "Who books flights?"]
        cosines = embedder.embed_queries(questions) @ embedder.embed_documents(PASSAGES).T
        assert cosines.argmax(axis=1).tolist() == [0, 1, 2]

    def test_sentences_have_vectors_of_their_own(self, embedder: Embedder) -> None:
        embedded = embedder.embed_passages(PASSAGES, SPANS)
        assert_same(embedded.passages, embedder.embed_documents(PASSAGES))
        for sentences, spans in zip(embedded.sentences, SPANS, strict=True):
            assert_unit(sentences, len(spans), embedder)
        cats, hotels = embedder.embed_queries(["May cats come at all?", "At most how many euros may hotels cost a night?"])
        assert (embedded.sentences[1] @ cats).argmax() == 1
        assert (embedded.sentences[2] @ hotels).argmax() == 1
        assert (embedded[1:3].sentences[0] == embedded.sentences[1]).all()

    def test_a_passage_may_have_no_sentence_or_one_that_says_nothing(self, embedder: Embedder) -> None:
        embedded = embedder.embed_passages(["Yes. No.", "… !", ""], [[], [(0, 1), (2, 3)], []])
        assert [len(sentences) for sentences in embedded.sentences] == [0, 2, 0]
        assert_unit(embedded.sentences[1], 2, embedder)
        nothing = embedder.embed_passages([], [])
        assert_unit(nothing.passages, 0, embedder)
        assert nothing.sentences == ()

    def test_tokens_are_counted_whole(self, embedder: Embedder) -> None:
        assert embedder.count_tokens([]) == []
        counts = embedder.count_tokens(["", "leave", "leave is long", "leave " * 5_000])
        assert counts == [0, 1, 3, 5_000]

    def test_a_text_of_the_most_tokens_is_read_to_its_end(self, embedder: Embedder) -> None:
        begin = "leave " * (embedder.max_tokens - 1)
        texts = [begin + "dog", begin + "office"]
        assert embedder.count_tokens(texts) == [embedder.max_tokens] * 2
        one, other = embedder.embed_documents(texts)
        assert np.abs(one - other).max() > 1e-4

    def test_no_chunk_is_cut(self, embedder: Embedder) -> None:
        builder = TextBuilder()
        builder.heading(1, "A heading of unusual, antidisestablishmentarian length; " * 5)
        for text in (
            *ODD,
            "休" * 3_000,
            "https://example.org/a-b_c?d=e&f=" * 40,
            "antidisestablishmentarianism " * 400,
            "a.b" * 999,
        ):
            builder.text(text)
        builder.table([["Ort", "休暇"], *([f"Düsseldorf {n}", "有給です" * 30] for n in range(30))])
        parsed = builder.build("Ein außergewöhnlich langer Titel " * 30, "text/plain")
        document = Document("id", "/odd", parsed.title, parsed.media_type, "", parsed.text, parsed.blocks)
        chunker = Chunker(embedder.count_tokens, limit=200, max_tokens=embedder.max_tokens)
        counts = embedder.count_tokens([chunker.text_to_embed(document, chunk) for chunk in chunker(document)])
        assert len(counts) > 20
        assert max(counts) <= embedder.max_tokens

    def test_threads_get_what_they_asked_for(self, embedder: Embedder) -> None:
        expected = embedder.embed_queries(PASSAGES)
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda text: embedder.embed_queries([text])[0], PASSAGES * 4))
        assert_same(np.asarray(found), np.concatenate([expected] * 4))

    def test_its_name_loads_it_again(self, embedder: Embedder) -> None:
        again = load_embedder(embedder.name)
        assert again.name == embedder.name
        assert (again.fingerprint, again.dimension) == (embedder.fingerprint, embedder.dimension)
        assert again.max_tokens == embedder.max_tokens
