"""An LLM writes; one that fails, declines or breaks off is told apart, and something is always said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from rag_bot.answer import Brief
from rag_bot.answer.generate import GenerateAnswerer
from rag_bot.answer.quote import QuoteAnswerer
from rag_bot.budget import Budget
from rag_bot.llm.llm import LLM, Engine
from rag_bot.llm.scripted import Reply, ScriptedChatModel
from rag_bot.types import Claim, Report, Standalone, Turn, Usage
from tests.rag_bot.support import Library, evidence_of, passage

TEXT = "Ants dig. Bees fly. Cats purr."
TABLE = "| animal | legs |\n| --- | --- |\n| ant | 6 |\n| cat | 4 |"
LIBRARY = Library({"doc": TEXT, "legs": TABLE})
HEADER = (0, TABLE.index("\n| ant"))
PASSAGES = [passage(TEXT), passage("| cat | 4 |", name="legs", start=TABLE.index("| cat"), header=HEADER)]
EVIDENCE = [evidence_of(PASSAGES, 0, "Bees fly.")]
QUESTION = Standalone("Which of them fly?", "Which of them fly?")


def llm(*replies: Reply, name: str = "marvin", context: int = 8192) -> LLM:
    return LLM(name, Engine(ScriptedChatModel(replies=list(replies)), context=context))


def saying(say: str, fail: str = "") -> LLM:
    return llm(Reply(say=say, fail=fail))


def answerer(*llms: LLM) -> GenerateAnswerer:
    return GenerateAnswerer(llms, QuoteAnswerer(LIBRARY), LIBRARY, most_tokens=256)


async def said(*llms: LLM, budget: Budget | None = None) -> tuple[list[Claim], Report]:
    """The claims, and all reports in one."""
    brief = Brief(QUESTION, PASSAGES, EVIDENCE, budget=budget or Budget())
    items = [item async for item in answerer(*llms)(brief)]
    reports = [item for item in items if isinstance(item, Report)]
    model = next((report.model for report in reversed(reports) if report.model), "")
    notes = tuple(note for report in reports for note in report.notes)
    counts = {name: sum(report.counts.get(name, 0) for report in reports) for report in reports for name in report.counts}
    return [item for item in items if isinstance(item, Claim)], Report(model, notes=notes, counts=counts)


def quoted(claims: list[Claim]) -> list[str]:
    return [claim.text for claim in claims if not claim.written]


def test_it_is_named_after_the_first_llm() -> None:
    assert answerer(llm(name="one"), llm(name="two")).name == "one"


async def test_each_sentence_is_a_claim_with_the_places_of_its_passages() -> None:
    claims, report = await said(saying("Bees fly [1]. Cats have 4 legs [2, 1, 9, 0]. Ants dig."))
    assert claims == [
        Claim("Bees fly.", written=True, marks=(0,)),
        Claim("Cats have 4 legs.", written=True, marks=(1, 0)),
        Claim("Ants dig.", written=True),
    ]
    assert (report.model, report.notes) == ("marvin", ())
    assert report.counts == {"passages": 2, "passages_left_out": 0, "turns": 0, "turns_left_out": 0}


async def test_it_sees_the_passages_with_the_header_of_a_table_and_the_question() -> None:
    for seen in ("Bees fly.", "| animal | legs |\n| --- | --- |\n| cat | 4 |", "Question: Which of them fly?"):
        claims, _ = await said(llm(Reply(when=seen, say="I see it.")))
        assert [claim.text for claim in claims] == ["I see it."], seen


# --- declining


@pytest.mark.parametrize(
    "reply",
    [
        "NO ANSWER",
        "NO ANSWER.",
        "**NO ANSWER**",
        "No answer.",
        "NO ANSWER. The passages are about animals [1].",
        "The passages do not say which of them fly.",
        "The provided documents don’t mention that [1].",
        "The context doesn't contain the answer.",
        "I'm sorry, but I cannot answer that.",
        "I’m sorry, I can’t find it.",
        "Unfortunately, I don't know.",
        "None of the given passages mention it.",
        "There is no information about that.",
    ],
)
async def test_an_llm_that_finds_no_answer_proposes_nothing(reply: str) -> None:
    claims, report = await said(saying(reply))
    assert claims == []
    assert (report.model, report.counts["declined"], report.notes) == ("marvin", 1, ())


@pytest.mark.parametrize(
    "reply",
    [
        "No answer within two weeks counts as a refusal [1].",
        "Bees fly, but the passages do not say how far [1].",
        "The document is kept for ten years [1].",
        "I do not fly, says the ant [1].",
    ],
)
async def test_an_answer_that_sounds_like_declining_is_one(reply: str) -> None:
    claims, report = await said(saying(reply))
    assert len(claims) == 1 and claims[0].written
    assert "declined" not in report.counts


# --- failing


@pytest.mark.parametrize(
    "broken",
    [
        llm(Reply(fail="It is down.")),
        llm(),
        saying(""),
        saying("[1]"),
        saying("<think>Hm."),
        saying("Bees", fail="It is down."),
    ],
    ids=["down", "no reply", "nothing", "marks alone", "thoughts alone", "down before a sentence was whole"],
)
async def test_one_that_fails_before_it_has_said_a_sentence_is_passed_over(broken: LLM) -> None:
    claims, report = await said(broken, saying("Bees fly [1]."))
    assert [(claim.text, claim.written) for claim in claims] == [("Bees fly.", True)]
    [note] = report.notes
    assert note.endswith(" Instead, marvin answers.")
    assert (report.model, report.counts["fallbacks"], report.counts["passages"]) == ("marvin", 1, 2)


async def test_when_all_fail_the_best_sentences_are_quoted() -> None:
    claims, report = await said(llm(Reply(fail="One is down.")), llm(Reply(fail="Two is down."), name="zaphod"))
    assert quoted(claims) == ["Bees fly."]
    assert report == Report(
        "quote",
        notes=(
            "One is down. Instead, zaphod answers.",
            "Two is down. Instead, the sentences that fit best are quoted.",
        ),
        counts={"fallbacks": 2},
    )


async def test_one_that_breaks_off_is_said_and_its_whole_sentences_stay() -> None:
    claims, report = await said(saying("Bees fly [1]. Cats do not p", fail="The line broke."), saying("Never asked [1]."))
    assert [claim.text for claim in claims] == ["Bees fly."]
    assert report.notes == ("The line broke. What it had not yet written is missing.",)
    assert (report.model, report.counts["broken_off"]) == ("marvin", 1)


async def test_one_that_is_too_slow_is_passed_over_in_time() -> None:
    slow = llm(Reply(say="Bees fly [1].", seconds=0.5))
    claims, report = await said(slow, saying("Cats purr [1]."), budget=Budget(first=0.1, whole=30))
    assert [claim.text for claim in claims] == ["Cats purr."]
    assert "took too long" in report.notes[0]


async def test_when_all_time_is_gone_it_quotes() -> None:
    claims, report = await said(saying("Bees fly [1]."), saying("Bees fly [1]."), budget=Budget(whole=0))
    assert quoted(claims) == ["Bees fly."]
    assert all("no time left" in note for note in report.notes) and len(report.notes) == 2


async def test_one_without_room_for_a_passage_is_not_asked() -> None:
    budget = Budget()
    claims, report = await said(llm(Reply(say="From nothing [1]."), context=300), budget=budget)
    assert quoted(claims) == ["Bees fly."]
    assert "no room for a passage in its 300 tokens" in report.notes[0]
    assert budget.spent == Usage()


# --- hanging up


async def test_closing_it_early_stops_and_counts_what_was_taken() -> None:
    slow = llm(Reply(say="Bees fly [1]. Cats purr [1]. Ants dig [1].", pause=0.02))
    budget = Budget()
    async with aclosing(answerer(slow)(Brief(QUESTION, PASSAGES, EVIDENCE, budget=budget))) as items:
        async for item in items:
            if isinstance(item, Claim):
                break
    assert 0 < budget.spent.completion_tokens < 20
    assert budget.spent.prompt_tokens > 100


async def test_a_cancelled_question_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    task = asyncio.create_task(said(llm(Reply(say="Bees fly [1]. Cats purr.", pause=0.05))))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_earlier_turns_are_shown_to_it() -> None:
    heard: list[str] = []

    class Hearing(ScriptedChatModel):
        def _astream(self, messages: list[BaseMessage], *arguments: Any, **named: Any) -> AsyncIterator[ChatGenerationChunk]:
            heard.extend(str(message.content) for message in messages)
            return super()._astream(messages, *arguments, **named)

    model = Hearing(replies=[Reply(say="Bees fly [1].")])
    brief = Brief(QUESTION, PASSAGES, EVIDENCE, [Turn("Which dig?", "Ants dig. [1]")])
    [report, *_] = [item async for item in answerer(LLM("marvin", Engine(model)))(brief)]
    assert heard[1:3] == ["Which dig?", "Ants dig."]
    assert isinstance(report, Report) and report.counts["turns"] == 1


async def test_what_is_said_again_is_said_once_and_a_model_that_goes_round_in_circles_is_stopped() -> None:
    claims, report = await said(saying("Bees fly [1]. Ants dig [1]. Bees fly. " + "Ants dig [1]. " * 40))
    assert [claim.text for claim in claims] == ["Bees fly.", "Ants dig."]
    claims, report = await said(saying("Bees fly [1]. " * 3 + "Ants dig [1]. " * 2 + "Cats purr [1]."))
    assert [claim.text for claim in claims] == ["Bees fly.", "Ants dig."]
    assert report.model == "marvin"
