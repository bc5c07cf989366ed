"""Follow-ups get the words that they lean on; a new topic gets none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bot.budget import Budget
from rag_bot.llm.llm import LLM, Engine
from rag_bot.llm.scripted import Reply, ScriptedChatModel
from rag_bot.rewrite import ByLLM, ByRules, leans, rewrite
from rag_bot.types import Standalone, Turn, Usage

LEAVE = "How many days of paid leave do employees get?"
BEFORE = f"{LEAVE} An answer."


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
    assert rewrite(question, turns(LEAVE)) == Standalone(f"{LEAVE} {question}", question, BEFORE, LEAVE)


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
def test_a_question_of_its_own_gets_no_words_but_the_turn_before_comes_along(question: str) -> None:
    assert not leans(question)
    assert rewrite(question, turns(LEAVE)) == Standalone(question, question, BEFORE, LEAVE)


def test_the_turn_before_is_its_question_and_how_its_answer_begins() -> None:
    made = rewrite("Who is the CEO?", [Turn("Never mind.", "No."), Turn(LEAVE, "Twenty-six\ndays. " + "And so on. " * 50)])
    assert made.before.startswith(f"{LEAVE} Twenty-six days. And so on.")
    assert len(made.before) <= len(LEAVE) + 201
    assert (made.earlier, made.searched) == (LEAVE, "Who is the CEO?")


def test_of_a_refusal_only_the_question_comes_along() -> None:
    made = rewrite("Who is the CEO?", [Turn(LEAVE, "The documents don't say. Closest: Bees.", abstained=True)])
    assert made.before == made.earlier == LEAVE


def test_a_question_alone_is_searched_for_as_it_stands() -> None:
    assert Standalone("How long is leave in Rome?", "And in Rome?").searched == "How long is leave in Rome?"


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


# --- by an LLM


def by_llm(*replies: Reply, seconds: float = 30) -> ByLLM:
    return ByLLM(LLM("marvin", Engine(ScriptedChatModel(replies=list(replies)))), seconds=seconds)


@pytest.mark.parametrize(
    "reply",
    [
        "How many days do contractors get?",
        '  "How many days do contractors get?"\n',
        "Rewritten question: How many days do contractors get?",
        "Question: “How many days do contractors get?”",
        "<think>They mean leave.</think>\n\nHow many days do contractors get?",
    ],
)
async def test_an_llm_puts_a_follow_up_in_its_own_words(reply: str) -> None:
    made = await by_llm(Reply(when="Last question: And for contractors?", say=reply))(
        "And for\ncontractors?", turns(LEAVE), budget := Budget()
    )
    assert made == Standalone("How many days do contractors get?", "And for contractors?")
    assert budget.spent.completion_tokens > 0


@pytest.mark.parametrize(
    "replies",
    [
        [Reply(fail="down")],
        [],
        [Reply(say="")],
        [Reply(say="One line.\nAnd another.")],
        [Reply(say="long " * 200)],
        [Reply(say="?!")],
        [Reply(say="Question:")],
        [Reply(say="Too late.", seconds=0.5)],
    ],
    ids=["down", "silent", "empty", "two lines", "long", "no words", "a label alone", "slow"],
)
async def test_an_llm_that_replies_no_question_in_time_is_passed_over_for_the_rules(replies: list[Reply]) -> None:
    made = await by_llm(*replies, seconds=0.2)("And for contractors?", turns(LEAVE), Budget())
    assert made == rewrite("And for contractors?", turns(LEAVE))


@pytest.mark.parametrize(("question", "before"), [(LEAVE, []), ("And " * 300, [LEAVE])], ids=["first", "long"])
async def test_an_llm_is_not_asked_about_a_first_question_or_a_long_one(question: str, before: list[str]) -> None:
    budget = Budget()
    made = await by_llm(Reply(say="Something else?"))(question, turns(*before), budget)
    assert made == await ByRules()(question, turns(*before), budget)
    assert budget.spent == Usage()
