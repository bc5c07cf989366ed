"""Keyword search: BM25 over stemmed words, for whatever a person types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.choice import Only
from ingest.keywords import KeywordIndex

TEXTS = {
    1: "Parental leave lasts sixteen weeks.",
    2: "Dogs may come to the office on Fridays.",
    3: "The café in the Zürich office is closed; the office dog is not.",
    7: "Leave, leave, leave: a section on leave.",
}


@pytest.fixture(scope="module")
def index() -> KeywordIndex:
    index = KeywordIndex()
    index.update(TEXTS.items())
    return index


def ids(index: KeywordIndex, query: str, k: int = 10) -> list[int]:
    return [i for i, _ in index.search(query, k)]


def test_the_best_comes_first_and_scores_fall(index: KeywordIndex) -> None:
    found = index.search("parental leave", 10)
    assert [i for i, _ in found] == [1, 7]
    assert found[0][1] > found[1][1] > 0


def test_k_and_what_is_passed_over(index: KeywordIndex) -> None:
    assert ids(index, "Fridays at the office", 1) == [2]
    assert [i for i, _ in index.search("Fridays at the office", 1, without={2, 99})] == [3]
    assert index.search("office dog", 0) == []


@pytest.mark.parametrize(
    ("query", "first"),
    [("LEAVES", 7), ("weeks", 1), ("cafe", 3), ("CAFÉ", 3), ("zurich", 3), ("Zürich's", 3), ("friday", 2)],
)
def test_words_are_found_whatever_their_form(index: KeywordIndex, query: str, first: int) -> None:
    assert ids(index, query)[0] == first


@pytest.mark.parametrize(
    "query",
    [
        '"parental leave', "parental AND OR NOT leave)", "(parental", "text:parental^5", "parental~2 +leave -weeks",
        "[parental TO leave]", "parental*", "\\parental\\", "parental\x00leave", "🦊parental🦊 🔥", "/parental/", "{!parental}",
        "parental' OR 1=1; DROP TABLE chunks;--", "parental\ud800leave", "\u202eparental", "parental\n\n\tleave",
        "parental " + "office " * 1_250, "parental " + "".join(f"w{n} " for n in range(2_000)), "parental " + "x" * 10_000,
    ],
    ids=ascii,
)  # fmt: skip
def test_any_text_may_stand_around_a_word(index: KeywordIndex, query: str) -> None:
    assert 1 in ids(index, query)


@pytest.mark.parametrize(
    "query", ["", " \n", "!?.,;:-", '"""', "🦊🔥", "\x00", "()[]{}", "unheard", "x" * 10_000, "\ud83e"], ids=ascii
)
def test_what_is_nowhere_finds_nothing(index: KeywordIndex, query: str) -> None:
    assert index.search(query, 5) == []


def test_in_a_large_index_rare_words_go_before_common_ones() -> None:
    index = KeywordIndex()
    index.update([(n, "leave " + ("weeks " if n % 2 else "") + ("parental" if n == 7 else "")) for n in range(100)])
    question = "weeks of parental leave, unheard of"
    assert set(index.weights(question)) == {"week", "parent", "leav", "unheard"}
    index.most_occurrences = 60
    assert set(index.weights(question)) == {"week", "parent", "unheard"}
    assert len(ids(index, question, 100)) == 50
    index.most_occurrences = 10
    assert set(index.weights(question)) == {"parent", "unheard"}
    assert ids(index, question) == [7]
    assert len(ids(index, "leave", 100)) == 100  # it is all there is


def test_terms_that_the_larger_index_leaves_out_count_nothing_in_the_small_one(index: KeywordIndex) -> None:
    both = index.search("dog leave", 10, idf={"dog": 1.0, "leav": 1.0})
    assert {i for i, _ in both} == {1, 2, 3, 7}
    assert {i for i, _ in index.search("dog leave", 10, idf={"dog": 1.0})} == {2, 3}


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=200))
def test_any_text_is_a_query(query: str) -> None:
    small = KeywordIndex()
    small.update([(1, query)])
    found = ids(small, query)
    assert found == ([1] if small.terms(query) else [])


def test_terms_and_how_many_texts_have_them(index: KeywordIndex) -> None:
    assert index.terms("The CAFÉ's opening hours") == ["the", "cafe", "s", "open", "hour"]
    assert [index.document_frequency(term) for term in index.terms("office leave unheard")] == [2, 2, 0]


def test_how_many_of_some_texts_have_a_term() -> None:
    index = KeywordIndex()
    index.update([(n, "leave" + (" weeks" if n % 2 else "")) for n in range(6_000)])
    every = np.arange(6_000)
    for share in (2, 3, 7):
        only = Only.of(every, every % share == 0)
        assert index.document_frequency("unheard", only) == 0
        assert index.document_frequency("leav", only) == pytest.approx(6_000 / share, abs=1)  # as common as anywhere
    few = Only.of(every, every < 11)
    small = KeywordIndex()
    small.update([(n, "weeks" if n % 2 else "leave") for n in range(40)])
    assert small.frequencies(["week", "leav"], few) == {"week": 5, "leav": 6}


def test_an_empty_index_finds_nothing() -> None:
    assert KeywordIndex().search("leave", 5) == []
    assert len(KeywordIndex()) == 0


def test_an_index_in_a_folder_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    KeywordIndex(tmp_path).update(TEXTS.items())
    again = KeywordIndex(tmp_path)
    assert len(again) == 4
    again.update([(9, "Cats are welcome.")], remove=[1, 2, 1_000])
    assert sorted(ids(KeywordIndex(tmp_path), "cats dogs leave")) == [3, 7, 9]


def test_two_that_were_made_alike_answer_alike(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        KeywordIndex(folder).update((n, f"text {n} of {n % 7} kinds") for n in range(500))
    one, two = (KeywordIndex(folder).search("text 3 kinds", 20) for folder in folders)
    assert one == two


def test_function_words_find_only_where_there_is_nothing_else(index: KeywordIndex) -> None:
    assert ids(index, "is the on of a section") == [7]
    assert set(ids(index, "is the on of a")) == {2, 3, 7}


def test_words_of_what_was_asked_before_count_less_than_those_asked_now(index: KeywordIndex) -> None:
    assert next(i for i, _ in index.search("weeks", 10, earlier="Which dogs are in the office?")) == 1
    assert set(index.weights("dogs", "the dogs and the office")) == {"dog", "offic"}
    assert index.weights("dogs", "the office")["dog"] > index.weights("dogs", "the office")["offic"] > 0
