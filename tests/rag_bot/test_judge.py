"""Another LLM may refuse what the gate let through; it can never let through what the gate refused."""

from __future__ import annotations

import pytest

from rag_bot.budget import Budget
from rag_bot.cite import cite
from rag_bot.judge import Judge
from rag_bot.llm.llm import LLM, Engine
from rag_bot.llm.scripted import Reply, ScriptedChatModel
from rag_bot.types import Claim, Judged, Usage, Verdict
from tests.rag_bot.support import passage

QUOTE = "Everyone gets 26 days."
CITED = (cite(1, passage(QUOTE), (0, len(QUOTE)), QUOTE),)
WRITTEN = Judged(Claim("Leave is 26 days.", CITED, written=True), Verdict(True))


def judge(*replies: Reply, seconds: float = 30) -> Judge:
    return Judge(LLM("judge", Engine(ScriptedChatModel(replies=list(replies)))), seconds=seconds)


@pytest.mark.parametrize("reply", ["no", "No.", "NO", " **No**, it says 25", "no\n"])
async def test_its_no_keeps_a_sentence_back(reply: str) -> None:
    budget = Budget()
    judged = await judge(Reply(when="Claim: Leave is 26 days.", say=reply))(WRITTEN, budget)
    assert judged.claim == WRITTEN.claim
    assert (judged.verdict.allowed, judged.verdict.rail) == (False, "judge")
    assert budget.by_model["judge"].completion_tokens == len(reply.split())


@pytest.mark.parametrize("reply", ["yes", "Yes, no doubt.", "Not sure.", "None of it is wrong.", "Nonsense", "42"])
async def test_anything_else_changes_nothing(reply: str) -> None:
    assert await judge(Reply(say=reply))(WRITTEN, Budget()) == WRITTEN


@pytest.mark.parametrize("replies", [[Reply(fail="down")], [Reply(say="no", seconds=0.5)], [], [Reply(say="")]])
async def test_one_that_fails_or_is_slow_changes_nothing(replies: list[Reply]) -> None:
    assert await judge(*replies, seconds=0.1)(WRITTEN, Budget()) == WRITTEN


@pytest.mark.parametrize(
    "judged",
    [
        Judged(Claim("Leave is 27 days.", CITED, written=True), Verdict(False, "gate", "no")),
        Judged(Claim(QUOTE, CITED), Verdict(True)),
        Judged(Claim("You are welcome.", written=True), Verdict(True)),
    ],
    ids=["refused already", "quoted", "needs no proof"],
)
async def test_it_is_asked_only_of_written_sentences_that_rest_on_quotes(judged: Judged) -> None:
    budget = Budget()
    assert await judge(Reply(say="no"))(judged, budget) == judged
    assert budget.spent == Usage()
