"""Follow-ups get the words that they lean on; a new topic gets none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bot.rewrite import leans, rewrite
from rag_bot.types import Standalone, Turn

LEAVE = "How many days of paid leave do employees get?"


def turns(*questions: str) -> list[Turn]:
    return [Turn(question, "An answer.", question) for question in questions]


@pytest.mark.parametrize(
    "question",
    [
        "And for contractors?",
        "and what about temporary staff in Ghent, Leeds and Porto?",
        "What about contractors, what is their limit?",
        "How long does it last?",
        "Why?",
        "Does that apply to them?",
        "But until when?",
        "Same for Porto?",
        "For contractors?",
        "Okay, and for contractors?",
        "What is their notice period?",
    ],
)
def test_a_follow_up_gets_the_question_before_it(question: str) -> None:
    assert leans(question)
    assert rewrite(question, turns(LEAVE)) == Standalone(f"{LEAVE} {question}", question)


@pytest.mark.parametrize(
    "question",
    [
        "What is the price limit for a hotel in London?",
        "Who pays for the hotel in Ghent?",
        "Is there a canteen in the factory at Porto?",
        "Is it true that the company was founded in Leeds in 1962 by two sisters?",
        "Android phones at the company: which teams?",
        "Which day of the month are salaries paid?",
        "Who is the CEO?",
        "Is it possible to park at the factory?",
        "Does an employee who moves to Ghent keep their car?",
    ],
)
def test_a_question_of_its_own_gets_nothing(question: str) -> None:
    assert not leans(question)
    assert rewrite(question, turns(LEAVE)) == Standalone(question, question)


def test_without_a_turn_before_it_a_question_stays_as_it_is() -> None:
    assert rewrite("  And for\n contractors? ", []) == Standalone("And for contractors?", "And for contractors?")


def test_follow_ups_lean_on_the_last_question_that_stood_alone() -> None:
    before = turns("What does a hotel cost in London?", LEAVE, "And for contractors?")
    assert rewrite("And in Ghent?", before).text == f"{LEAVE} And in Ghent?"


def test_what_points_back_gets_the_turn_before_too() -> None:
    before = turns(LEAVE, "And for contractors?")
    assert rewrite("Who tells them?", before).text == f"{LEAVE} And for contractors? Who tells them?"
    assert rewrite("Who tells them?", before).own == "Who tells them?"


def test_where_every_turn_leaned_the_first_is_taken() -> None:
    assert rewrite("And now?", turns("And then?", "Why?")).text == "And then? And now?"


def test_the_answers_words_are_not_taken_along() -> None:
    assert "secret" not in rewrite("And for contractors?", [Turn(LEAVE, "a secret answer", LEAVE)]).text


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=4))
def test_the_question_always_ends_what_stands_alone(question: str, before: list[str]) -> None:
    made = rewrite(question, turns(*before))
    assert made.own == " ".join(question.split())
    assert made.text.endswith(made.own)
    assert rewrite(question, []).text == made.own
