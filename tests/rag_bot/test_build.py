"""Settings to a bot: what is opened when, and which classes are chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.errors import EmbedderMismatch, IndexMissing
from rag_bot.answer.generate import GenerateAnswerer
from rag_bot.answer.quote import QuoteAnswerer
from rag_bot.answer.quote_llm import QuoteLLMAnswerer
from rag_bot.build import build_bot, open_parts
from rag_bot.confidence import Calibration
from rag_bot.errors import BadSetting
from rag_bot.rails import NoRails
from rag_bot.rails.nemo import NemoRails
from rag_bot.settings import Settings
from tests.rag_bot.support import LEAVE, running


async def test_nothing_is_opened_before_the_start(tmp_path: Path) -> None:
    bot = build_bot(Settings(index=tmp_path / "index", embedder="hash"))
    assert "being loaded" in (bot.ready() or "")
    with pytest.raises(IndexMissing):
        await bot.start()
    assert "no index" in (bot.ready() or "").lower()
    assert list(tmp_path.iterdir()) == []
    await bot.close()


async def test_an_empty_index_is_made_where_that_is_asked_for(tmp_path: Path) -> None:
    bot = build_bot(Settings(index=tmp_path / "index", embedder="hash"), create=True)
    await bot.start()
    assert bot.ready() is None
    assert bot.index.counts() == (0, 0)
    assert (await bot.upload("a.txt", b"The garage closes at nine.")).status == "added"
    assert (await bot.search("garage", 1))[0].chunk.text == "The garage closes at nine."
    await bot.close()


async def test_an_index_that_is_there_is_taken_with_its_embedder(home: Settings) -> None:
    assert home.embedder == "minilm"
    bot = build_bot(home, create=True)
    await bot.start()
    assert bot.index.embedder.name == "hash"
    assert bot.model == "quote"
    assert (await bot.search(LEAVE, 1))[0].document.title == "Leave"
    await bot.close()


async def test_another_embedder_than_the_indexs_is_refused(home: Settings) -> None:
    bot = build_bot(Settings(index=home.index, embedder="minilm"))
    with pytest.raises(EmbedderMismatch, match="hash"):
        await bot.start()
    await bot.close()


def opened(settings: Settings, **changed: Any) -> Any:
    parts = open_parts(settings.model_copy(update=changed))
    parts.retrieve.embed.close()
    parts.index.close()
    return parts


def test_settings_reach_the_steps(home: Settings) -> None:
    parts = opened(home, gate="flag", max_wrong=0.05)
    assert parts.gate.mode == "flag"
    assert parts.confidence.threshold == Calibration.load().threshold(0.05)
    assert isinstance(parts.answerer, QuoteAnswerer)
    assert isinstance(parts.rails, NemoRails)
    assert isinstance(opened(home, rails="off").rails, NoRails)
    assert opened(home, max_wrong=0.3).confidence.threshold < parts.confidence.threshold


def test_an_llm_is_used_where_it_is_set(home: Settings, tmp_path: Path) -> None:
    script = tmp_path / "replies.json"
    script.write_text('[{"say": "1"}]')
    for answer, kind in (("auto", GenerateAnswerer), ("generate", GenerateAnswerer), ("quote-llm", QuoteLLMAnswerer)):
        parts = opened(home, llm=f"scripted:{script}", answer=answer)
        assert isinstance(parts.answerer, kind)
        assert parts.answerer.name == "replies"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"rails": "nowhere"}, "nowhere"),
        ({"llm": "marvin"}, "marvin"),
        ({"answer": "quote-llm"}, "needs an LLM"),
        ({"answer": "generate"}, "generate"),
        ({"judge": "scripted:a.json,scripted:b.json"}, "more than one LLM"),
        ({"answer": "generate", "llm": "marvin:40"}, "marvin"),
    ],
    ids=str,
)
async def test_what_can_not_be_had_is_said_at_the_start(home: Settings, changed: dict[str, str], says: str) -> None:
    bot = build_bot(home.model_copy(update=changed))
    with pytest.raises(BadSetting, match=says) as caught:
        await bot.start()
    assert caught.value.hint
    assert says in (bot.ready() or "")
    await bot.close()


async def test_conversations_stand_beside_the_index_or_where_they_are_told_to(home: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite3"
    for state, file in (("", home.index / "state.sqlite3"), (f"sqlite:///{elsewhere}", elsewhere)):
        bot = build_bot(home.model_copy(update={"state": state}))
        await bot.start()
        assert not file.exists()
        await bot.answer(LEAVE)
        await bot.close()
        assert file.exists()


async def test_a_judge_is_asked_also_where_follow_ups_are_rewritten_by_rules(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "writer.json").write_text('[{"say": "Everyone gets 26 days of paid leave a year [1]."}]')
    (tmp_path / "judge.json").write_text('[{"say": "no"}]')
    settings = home.model_copy(
        update={"llm": f"scripted:{tmp_path}/writer.json", "judge": f"scripted:{tmp_path}/judge.json", "rewrite_seconds": 0}
    )
    async with running(settings) as bot:
        answer = await bot.answer(LEAVE)
    assert answer.counts["sentences_cut"] == 1
    assert answer.model == "quote"
