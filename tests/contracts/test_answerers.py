"""What holds for every answerer, whoever chooses the sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from rag_bot.answer import Answerer, Brief
from rag_bot.answer.generate import GenerateAnswerer
from rag_bot.answer.quote import QuoteAnswerer
from rag_bot.answer.quote_llm import QuoteLLMAnswerer
from rag_bot.gate import Gate
from rag_bot.llm.llm import LLM, Breaker, Engine
from rag_bot.llm.scripted import Reply, ScriptedChatModel
from rag_bot.support import Support, SupportFinder
from rag_bot.types import Claim, Evidence, Passage, Report, Standalone
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
) -> list[Claim | Report]:
    return [claim async for claim in answerer(Brief(QUESTION, passages, evidence))]


class WordForWord(SupportFinder):
    """Finds a written sentence where the passages that it is marked with hold it word for word."""

    def __init__(self) -> None:
        pass

    def __call__(self, sentence: str, marks: Sequence[int], passages: Sequence[Passage]) -> Support:
        for place in marks:
            chunk = passages[place].chunk
            if (at := chunk.text.find(sentence)) >= 0:
                return Support(True, ((place, (chunk.start + at, chunk.start + at + len(sentence))),), 1.0)
        return Support(False, reason=f"{sentence!r} does not stand there.")


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
        gate = Gate(LIBRARY, support=WordForWord())
        judged = [gate.prove(claim, PASSAGES) for claim in claims]
        assert [each.verdict.reason for each in judged] == [""] * len(claims)
        assert all(each.claim.citations for each in judged)

    async def test_what_is_quoted_is_cited_and_what_is_written_is_marked(self, answerer: Answerer) -> None:
        claims = [claim for claim in await proposed(answerer) if isinstance(claim, Claim)]
        assert all(claim.citations and not claim.marks for claim in claims if not claim.written)
        assert all(claim.marks and not claim.citations for claim in claims if claim.written)
        assert all(0 <= place < len(PASSAGES) for claim in claims for place in claim.marks)

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
        async with aclosing(answerer(Brief(QUESTION, PASSAGES, EVIDENCE))) as claims:
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
        llm = LLM("scripted", Engine(ScriptedChatModel(replies=request.param)))
        return QuoteLLMAnswerer([llm], QuoteAnswerer(LIBRARY))


class TestGenerate(AnswererContract):
    @pytest.fixture(
        params=[
            [Reply(say="🦊 Leave is 26 days. [1] It ends in March [1, 7].")],
            [Reply(say="<think>Hm.</think>It ends in March.[passage 1]")],
            [Reply(say="It ends in March [1]. Lunch is at", fail="It broke.")],
            [Reply(fail="It is down.")],
            [Reply(say="[1]")],
        ],
        ids=["two", "thinking", "broken", "failing", "marks alone"],
    )
    def answerer(self, request: pytest.FixtureRequest) -> Answerer:
        llm = LLM("scripted", Engine(ScriptedChatModel(replies=request.param)), breaker=Breaker(limit=100))
        return GenerateAnswerer([llm], QuoteAnswerer(LIBRARY), LIBRARY, most_tokens=256)
