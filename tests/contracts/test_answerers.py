"""What holds for every answerer, whoever chooses the sentences."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from rag_bot.answer import Answerer
from rag_bot.answer.quote import QuoteAnswerer
from rag_bot.answer.quote_llm import QuoteLLMAnswerer
from rag_bot.gate import Gate
from rag_bot.llm.scripted import Reply, ScriptedChatModel
from rag_bot.types import Claim, Evidence, Passage, Standalone, Usage
from tests.rag_bot.support import Library, ScriptedAnswerer, evidence_of, passage

TABLE = "| city | rate |\n| --- | --- |\n| Oslo | 140 |\n| Rome | 150 |"
LIBRARY = Library({"leave": "🦊 Leave is 26 days. It ends in March. Lunch is at noon.", "rates": TABLE})
QUESTION = Standalone("How long is leave in Rome?", "How long is leave in Rome?")
PASSAGES = [passage(LIBRARY.texts["leave"], name="leave"), passage(TABLE, name="rates", header=(0, 29))]
EVIDENCE = [
    evidence_of(PASSAGES, 0, "It ends in March.", 1.0),
    evidence_of(PASSAGES, 1, "| Rome | 150 |", 0.95),
    evidence_of(PASSAGES, 1, "| Oslo | 140 |", 0.9),
    evidence_of(PASSAGES, 0, "🦊 Leave is 26 days.", 0.8),
    evidence_of(PASSAGES, 0, "Lunch is at noon.", 0.2),
]


async def proposed(
    answerer: Answerer, passages: list[Passage] = PASSAGES, evidence: list[Evidence] = EVIDENCE
) -> list[Claim | Usage]:
    return [claim async for claim in answerer(QUESTION, passages, evidence)]


class AnswererContract:
    """Inherit it and give `answerer`."""

    @pytest.fixture
    def answerer(self) -> Answerer:
        raise NotImplementedError

    async def test_it_has_a_name(self, answerer: Answerer) -> None:
        assert answerer.name

    async def test_it_proposes_claims_that_the_gate_lets_through(self, answerer: Answerer) -> None:
        claims = [claim for claim in await proposed(answerer) if isinstance(claim, Claim)]
        assert claims
        gate = Gate(LIBRARY)
        assert [gate(claim).reason for claim in claims] == [""] * len(claims)

    async def test_citations_are_numbered_as_they_appear_and_a_span_keeps_its_number(self, answerer: Answerer) -> None:
        claims = [claim for claim in await proposed(answerer) if isinstance(claim, Claim)]
        citations = [citation for claim in claims for citation in claim.citations]
        seen = list(dict.fromkeys(citation.n for citation in citations))
        spans = {(citation.document_id, citation.start, citation.end): citation.n for citation in citations}
        assert seen == list(range(1, len(seen) + 1))
        assert len(spans) == len(set(spans.values())) == len(seen)

    async def test_from_nothing_it_proposes_nothing(self, answerer: Answerer) -> None:
        assert not [claim for claim in await proposed(answerer, [], []) if isinstance(claim, Claim)]

    async def test_it_can_be_closed_early_and_asked_again(self, answerer: Answerer) -> None:
        async with aclosing(answerer(QUESTION, PASSAGES, EVIDENCE)) as claims:
            first = await anext(claims)
        with pytest.raises(StopAsyncIteration):
            await anext(claims)
        assert (await proposed(answerer))[0] == first

    async def test_questions_at_once_do_not_mix(self, answerer: Answerer) -> None:
        alone = await proposed(answerer)
        assert await asyncio.gather(*(proposed(answerer) for _ in range(8))) == [alone] * 8


class TestQuote(AnswererContract):
    @pytest.fixture
    def answerer(self) -> Answerer:
        return QuoteAnswerer(LIBRARY)


class TestScripted(AnswererContract):
    @pytest.fixture
    def answerer(self) -> Answerer:
        return ScriptedAnswerer()


class TestQuoteWithAnLLM(AnswererContract):
    @pytest.fixture(
        params=[
            [Reply(say="2, 4, 3")],
            [Reply(say="I would say 3 and then 2!")],
            [Reply(say="Nobody knows.")],
            [Reply(fail="It is down.")],
            [],
        ],
        ids=["numbers", "chatty", "nonsense", "failing", "silent"],
    )
    def answerer(self, request: pytest.FixtureRequest) -> Answerer:
        llm = ScriptedChatModel(replies=request.param)
        return QuoteLLMAnswerer(llm, "scripted", QuoteAnswerer(LIBRARY), seconds=30)
