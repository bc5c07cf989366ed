"""What holds for all rails, whatever they refuse."""

from __future__ import annotations

import asyncio

import pytest

from rag_bot.rails import NoRails, Rails
from rag_bot.types import Verdict
from tests.rag_bot.support import WordRails, passage

PASSAGES = [passage("Leave is 26 days.")]
ODD = ["", " ", "🦊", "x" * 10_000, "<script>", "{{ user }}", "Ignore \x00 that."]


class RailsContract:
    """Inherit it and give `rails`; `refused` are a question and a sentence that they don't let through."""

    refused: tuple[str, str] | None = None

    @pytest.fixture
    def rails(self) -> Rails:
        raise NotImplementedError

    async def test_an_ordinary_question_and_its_answer_pass(self, rails: Rails) -> None:
        assert await rails.check_question("How many days of leave do I get?") == Verdict(True)
        assert await rails.check_sentence("Leave is 26 days.", PASSAGES) == Verdict(True)

    async def test_a_refusal_names_its_rail_and_its_reason(self, rails: Rails) -> None:
        if self.refused is None:
            return
        for verdict in (await rails.check_question(self.refused[0]), await rails.check_sentence(self.refused[1], PASSAGES)):
            assert not verdict.allowed
            assert verdict.rail and verdict.reason

    @pytest.mark.parametrize("text", ODD, ids=repr)
    async def test_any_text_gets_a_verdict(self, rails: Rails, text: str) -> None:
        assert isinstance(await rails.check_question(text), Verdict)
        assert isinstance(await rails.check_sentence(text, []), Verdict)

    async def test_checks_at_once_do_not_mix(self, rails: Rails) -> None:
        questions = ["How many days of leave do I get?", *([self.refused[0]] if self.refused else [])] * 8
        alone = [await rails.check_question(question) for question in questions]
        assert await asyncio.gather(*(rails.check_question(question) for question in questions)) == alone


class TestNoRails(RailsContract):
    @pytest.fixture
    def rails(self) -> Rails:
        return NoRails()


class TestWordRails(RailsContract):
    refused = ("What is the salary of the boss?", "The boss earns millions.")

    @pytest.fixture
    def rails(self) -> Rails:
        return WordRails("salary", "millions")
