"""Each sentence and row of the passages, with its exact place and how well it answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.embedder import Vectors
from rag_bot.evidence import EvidenceFinder
from rag_bot.types import Evidence, Passage, Standalone, Weights
from tests.rag_bot.support import passage

VECTOR: Vectors = np.zeros(2, dtype=np.float32)
RARE = {"mango": 3.0}


def terms(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def idf(words: Collection[str], allowed: object = None) -> dict[str, float]:
    return {word: RARE.get(word, 1.0) for word in words}


def no_cosines(vector: Vectors, chunks: Sequence[int]) -> dict[int, list[float]]:
    return {}


def no_text(document_id: str, start: int, end: int) -> str:
    return ""


find = EvidenceFinder(terms, idf, no_cosines, no_text)


def asked(question: str, *passages: Passage) -> list[Evidence]:
    standalone = Standalone(question, question)
    return find(standalone, find.weights(standalone), passages, VECTOR)


def test_every_sentence_and_row_is_evidence_at_its_place() -> None:
    text = "🦊 Leave is paid.\n\nIt ends in March."
    table = "| city | rate |\n| --- | --- |\n| Oslo | 140 |\n| Rome | 150 |"
    passages = [passage(text, start=40), passage(table, start=7, header=(7, 36))]
    found = asked("What is the rate in Rome?", *passages)
    assert sorted((item.passage, item.text) for item in found) == [
        (0, "It ends in March."),
        (0, "🦊 Leave is paid."),
        (1, "| Oslo | 140 |"),
        (1, "| Rome | 150 |"),
    ]
    for item in found:
        chunk = passages[item.passage].chunk
        assert chunk.text[item.start - chunk.start : item.end - chunk.start] == item.text
    assert found[0].text == "| Rome | 150 |"


@given(st.lists(st.text(max_size=60), max_size=4), st.text(max_size=30), st.integers(0, 100))
def test_whatever_the_texts_are_places_are_exact_and_numbers_in_bounds(texts: list[str], question: str, start: int) -> None:
    passages = [passage(text, start=start) for text in texts]
    found = asked(question, *passages)
    for item in found:
        assert texts[item.passage][item.start - start : item.end - start] == item.text != ""
        assert 0 <= item.coverage <= item.support <= 1.000001
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)


def test_rare_words_count_for_more() -> None:
    best, other = asked("red mango", passage("A mango is here. A red one is there."))
    assert best.text == "A mango is here."
    assert (best.coverage, other.coverage) == (0.75, 0.25)


def test_words_in_heading_and_title_count_but_less_than_in_the_sentence() -> None:
    plain = passage("Apples are sweet. Pears are green.", name="fruit")
    headed = replace(plain, chunk=replace(plain.chunk, heading=("Mango",)))
    in_sentence = asked("mango", passage("Mango is sweet."))[0]
    in_heading = asked("mango", headed)[0]
    in_title = asked("fruit", plain)[0]
    nowhere = asked("mango", plain)[0]
    assert in_sentence.support > in_heading.support == in_title.support > nowhere.support == 0
    assert (in_sentence.coverage, in_heading.coverage) == (1, 0)


def test_words_of_the_sentences_beside_count_a_little() -> None:
    far, beside, _ = sorted(asked("mango", passage("It rots. It is sweet. A mango fell.")), key=lambda item: item.start)
    assert beside.support > far.support == 0
    assert beside.coverage == 0


def test_words_of_the_turn_before_count_half() -> None:
    weights = find.weights(Standalone("leave contractors", "contractors"))
    assert weights.terms == pytest.approx({"contractors": 2 / 3, "leave": 1 / 3})
    assert weights.total == 1.5


def test_function_words_weigh_nothing() -> None:
    assert find.weights(Standalone("what is the of", "what is the of")).terms == {}
    assert list(find.weights(Standalone("what is a mango", "what is a mango")).terms) == ["mango"]


@pytest.mark.parametrize(
    ("question", "there", "absent"),
    [
        ("How many mangos?", "There are 12 mangos.", "There are mangos."),
        ("How much is a mango?", "Half a euro.", "Not much."),
        ("When do mangos ripen?", "They do in July.", "They do in time."),
        ("When do mangos ripen?", "They do at 9:30.", "They do at last."),
        ("Who eats mangos?", "I saw Ada do it.", "I saw none do it."),
        ("Where are mangos?", "We keep them in Ghent.", "We keep them in here."),
    ],
)
def test_the_kind_of_thing_that_is_asked_for_is_looked_for(question: str, there: str, absent: str) -> None:
    [found], [missing] = asked(question, passage(there)), asked(question, passage(absent))
    assert (found.kind_found, missing.kind_found) == (True, False)
    assert found.score > missing.score


def test_where_no_kind_is_asked_for_any_will_do() -> None:
    assert asked("Are mangos sweet?", passage("Yes."))[0].kind_found


def test_nearness_in_meaning_is_the_sentences_own() -> None:
    first, second = (replace(p, chunk=replace(p.chunk, id=n)) for n, p in enumerate([passage("A. B."), passage("C.")], 1))

    def cosines(vector: Vectors, chunks: Sequence[int]) -> dict[int, list[float]]:
        assert (vector is VECTOR, list(chunks)) == (True, [1, 2])
        return {1: [0.1, 0.9]}

    found = EvidenceFinder(terms, idf, cosines, no_text)(
        Standalone("x", "x"), Weights({"x": 1.0}, 1.0), [first, second], VECTOR
    )
    assert {item.text: item.cosine for item in found} == {"A. B.": 0.1, "C.": 0.0}


def test_no_passages_no_evidence() -> None:
    assert asked("mango") == []


def test_the_row_whose_first_cell_is_what_is_asked_for_comes_first() -> None:
    table = "| item | 2025 |\n| --- | --- |\n| Net sales of pumps | 14 |\n| Net sales | 40 |\n| Net sales: |  |"
    start = table.index("| Net")
    found = asked("What were the net sales in 2025?", passage(table, header=(0, start - 1)))
    assert [item.text for item in found] == ["| Net sales | 40 |", "| Net sales of pumps | 14 |", "| Net sales: |  |"]
