"""Two rankings made one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.fuse import Looked, fuse, weigh

RANKINGS = st.lists(st.tuples(st.integers(0, 30), st.floats(-1, 50)), unique_by=lambda pair: pair[0])


def test_each_score_counts_by_its_share_of_the_best() -> None:
    dense = [(1, 0.8), (2, 0.4)]
    keyword = [(2, 10.0), (3, 5.0)]
    fused = fuse(dense, keyword, keyword_weight=0.4)
    assert [i for i, _ in fused] == [2, 1, 3]
    assert [score for _, score in fused] == pytest.approx([0.6 * 0.5 + 0.4, 0.6, 0.4 * 0.5])


def test_what_both_find_is_ahead_of_what_one_finds() -> None:
    assert [i for i, _ in fuse([(1, 0.9), (2, 0.88)], [(3, 9.0), (2, 8.8)])] == [2, 1, 3]


def test_one_ranking_alone_keeps_its_order() -> None:
    ranking = [(5, 0.9), (3, 0.5), (4, 0.1)]
    assert [i for i, _ in fuse(ranking, [])] == [i for i, _ in fuse([], ranking)] == [5, 3, 4]
    assert fuse([], []) == []


def test_equal_scores_come_in_the_order_of_ids() -> None:
    assert [i for i, _ in fuse([(9, 0.5), (2, 0.5), (4, 0.5)], [])] == [2, 4, 9]


def test_what_points_the_other_way_counts_nothing() -> None:
    assert fuse([(1, -0.2), (2, -0.1)], [(3, 2.0)], keyword_weight=0.5) == [(3, 0.5), (1, 0.0), (2, 0.0)]


@given(RANKINGS, RANKINGS)
def test_any_two_rankings(dense: list[tuple[int, float]], keyword: list[tuple[int, float]]) -> None:
    fused = fuse(dense, keyword)
    assert sorted(i for i, _ in fused) == sorted({i for i, _ in dense + keyword})
    assert all(0 <= score <= 1.000001 for _, score in fused)
    assert fused == sorted(fused, key=lambda pair: (-pair[1], pair[0]))


def looked(
    number: int,
    dense: float = 0.5,
    keyword: float = 4.0,
    sentence: float = 0.5,
    beside: float | None = 0.4,
    characters: int = 900,
    turned: float = 1.0,
) -> Looked:
    """A chunk whose cosine to QUESTION is `dense`; two of them that are `turned` the same way are like each other."""
    vector = np.asarray([dense, turned * math.sqrt(1 - dense**2)], dtype=np.float32)
    return Looked(number, vector, keyword, sentence, beside, characters)


QUESTION = np.asarray([1.0, 0.0], dtype=np.float32)


@pytest.mark.parametrize(
    "better",
    [looked(9, dense=0.6), looked(9, keyword=5.0), looked(9, sentence=0.6), looked(9, beside=0.5), looked(9, characters=5_000)],
)
def test_looked_at_closer_each_thing_counts_by_itself(better: Looked) -> None:
    assert [i for i, _ in weigh([looked(1, characters=300), better], QUESTION)] == [9, 1]


def test_a_chunk_of_three_words_yields_to_one_that_is_nearly_as_near() -> None:
    ranked = weigh([looked(1, dense=0.6, sentence=0.6, characters=20), looked(2)], QUESTION)
    assert [i for i, _ in ranked] == [2, 1]


def test_what_is_like_the_best_comes_before_what_is_as_near_and_unlike_it() -> None:
    ranked = weigh([looked(1, dense=0.8), looked(2, turned=-1.0), looked(3)], QUESTION)
    assert [i for i, _ in ranked] == [1, 3, 2]


def test_a_chunk_beside_something_else_yields_to_one_that_stands_alone() -> None:
    assert [i for i, _ in weigh([looked(1, beside=0.1), looked(2, beside=None)], QUESTION)] == [2, 1]


def test_the_best_in_everything_has_a_score_of_one() -> None:
    best, score = weigh([looked(1, beside=0.5), looked(2, dense=0.1)], QUESTION)[0]
    assert best == 1
    assert score == pytest.approx(1.0)
    assert weigh([], QUESTION) == []


numbers = st.floats(-1, 50, width=32)
chunks = st.builds(
    Looked,
    st.integers(0, 9),
    st.builds(lambda a, b: np.asarray([a, b], dtype=np.float32), numbers, numbers),
    st.floats(0, 50, width=32),
    numbers,
    st.none() | numbers,
    st.integers(0, 10**7),
)


@given(st.lists(chunks, max_size=8))
def test_any_chunks(chunks: list[Looked]) -> None:
    scored = weigh(chunks, QUESTION)
    assert sorted(i for i, _ in scored) == sorted(chunk.id for chunk in chunks)
    assert all(0 <= score <= 1 for _, score in scored)
    assert scored == sorted(scored, key=lambda pair: (-pair[1], pair[0]))
