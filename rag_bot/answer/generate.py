"""The answerer that lets an LLM write: each sentence with the passages that it says prove it, for the gate to check."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from rag_bot.answer import Answerer, Brief
from rag_bot.answer.written import Written, written
from rag_bot.cite import TextAt
from rag_bot.errors import LLMError
from rag_bot.prompt import NO_ANSWER, Prompt, answer_prompt, as_data
from rag_bot.types import Claim, Passage, Report

if TYPE_CHECKING:
    from rag_bot.llm.llm import LLM

_log = logging.getLogger(__name__)
_ROUNDS = 3  # sentences said again: the model goes round in circles and is stopped

# How models say that they were given nothing to answer with, when they forget the words that they were told to use.
_DECLINED = re.compile(
    rf"""[\W_]*
    (?: (?-i:{re.escape(NO_ANSWER)})\b | {re.escape(NO_ANSWER)}\W*\Z
      | (?:(?:i['’]?m\ )?sorry,?\ (?:but\ )?|unfortunately,?\ )?
        (?: i\ (?:do\ not|don['’]t|cannot|can['’]t)\ (?:know|find|answer|say)\b
          | (?:there\ is\ )?no\ (?:information|mention)\b | none\ of\ the\ (?:\w+\ )?(?:passages|documents|sources)\b
          | (?:the|these|this)\ (?:given\ |provided\ )?
            (?:passages?|documents?|sources?|context|text|information)\b[^.]{{0,40}}?\b
            (?:do(?:es)?\ not|do(?:es)?n['’]t)\ (?:answer|contain|mention|say|state|specify|include|provide|give|cover)\b))""",
    re.IGNORECASE | re.VERBOSE,
)


class GenerateAnswerer:
    """Asks the first LLM; when it fails before it has said anything, the next, and in the end quotes."""

    def __init__(self, llms: Sequence[LLM], quote: Answerer, text_at: TextAt, *, most_tokens: int) -> None:
        self.name = llms[0].name
        self._llms, self._quote, self._text_at, self._most = llms, quote, text_at, most_tokens

    async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        """The sentences of the first LLM that says something; nothing if it says that the passages don't answer."""
        if not brief.passages:
            return
        for llm, following in zip(self._llms, [*(llm.name for llm in self._llms[1:]), "quote"], strict=True):
            brief.budget.begin()
            said = False
            try:
                async with aclosing(self._ask(llm, brief)) as items:
                    async for item in items:
                        said = said or isinstance(item, Claim)
                        yield item
                return
            except LLMError as error:
                _log.warning("%s", error)
                if said:
                    yield Report(notes=(f"{error} What it had not yet written is missing.",), counts={"broken_off": 1})
                    return
                instead = "the sentences that fit best are quoted" if following == "quote" else f"{following} answers"
                yield Report(notes=(f"{error} Instead, {instead}.",), counts={"fallbacks": 1})
        yield Report(model=self._quote.name)
        async with aclosing(self._quote(brief)) as claims:
            async for claim in claims:
                yield claim

    async def _ask(self, llm: LLM, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        prompt = await asyncio.to_thread(self._prompt, llm, brief)
        if not prompt.counts["passages"]:
            raise LLMError(f"The LLM {llm.name} has no room for a passage in its {llm.context:,} tokens.")
        begun, said, again = False, set[str](), 0
        async with aclosing(written(llm.stream(prompt.messages, brief.budget, max_tokens=self._most))) as sentences:
            async for sentence in sentences:
                brief.budget.arrived()
                if not begun:  # said only now: one that fails before is passed over
                    yield Report(model=llm.name, counts=prompt.counts)
                    if _DECLINED.match(sentence.text):
                        yield Report(counts={"declined": 1})
                        return
                begun = True
                if sentence.text in said:
                    again += 1
                    if again == _ROUNDS:
                        return
                    continue
                said.add(sentence.text)
                yield _claim(sentence, len(brief.passages))
        if not begun:
            raise LLMError(f"The LLM {llm.name} said no sentence.")

    def _prompt(self, llm: LLM, brief: Brief) -> Prompt:
        data = [as_data(n, passage, self._header(passage)) for n, passage in enumerate(brief.passages, start=1)]
        return answer_prompt(brief.question, data, brief.turns, llm.context - self._most, llm.count, brief.tone)

    def _header(self, passage: Passage) -> str:
        """The header of a table of which the passage holds later rows."""
        chunk = passage.chunk
        if chunk.header is None or chunk.header[0] >= chunk.start:
            return ""
        return self._text_at(passage.document.document_id, *chunk.header)


def _claim(sentence: Written, passages: int) -> Claim:
    """Marks count from 1 in a prompt; one that names no passage is left out."""
    return Claim(sentence.text, written=True, marks=tuple(n - 1 for n in sentence.marks if 1 <= n <= passages))
