"""Tokens and money are counted for each answer, whatever becomes of it, and can be read again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rag_bot.bot import NOT_KEPT, Bot
from rag_bot.cli import main
from rag_bot.errors import StateError
from rag_bot.memory import Memory, Spending
from rag_bot.settings import Settings
from rag_bot.types import Answer, SentenceEvent, Turn, Usage
from tests.commands import Outcome, outcome_of
from tests.rag_bot.api.conftest import client_of, wait_until
from tests.rag_bot.support import LEAVE, parts_of, running

CHOOSING = Usage(100, 2, 0.25)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    memory = Memory(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    yield memory
    memory.close()


RagBot = Callable[..., Outcome]


@pytest.fixture
def rag_bot(home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RagBot:
    """Runs `rag-bot …` on the test documents."""
    monkeypatch.chdir(home.index.parent)
    monkeypatch.setenv("RAG_BOT_INDEX", str(home.index))
    monkeypatch.setenv("RAG_BOT_MAX_WRONG", "0.9")  # the hash embedder's answers are not to be refused

    def run(*arguments: str) -> Outcome:
        return outcome_of(main, arguments, capsys)

    return run


def scripted(folder: Path, name: str, *replies: dict[str, object], price: float | None = None) -> str:
    """The setting of an LLM that says the replies; `price` is for a million tokens, in and out."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(replies), encoding="utf-8")
    if price is not None:
        with (folder / "prices.toml").open("a", encoding="utf-8") as prices:
            prices.write(f'"scripted:{path}" = {{ prompt = {price}, completion = {price} }}\n')
    return f"scripted:{path}"


def choosing(home: Settings, *llms: str) -> Settings:
    """Settings under which LLMs choose the sentences that are quoted."""
    prices = home.index.parent / "prices.toml"
    changed = {"llm": ",".join(llms), "answer": "quote-llm", "prices": prices if prices.exists() else None}
    return home.model_copy(update=changed)


async def recorded(bot: Bot, by: Any = "model") -> list[Spending]:
    """What is kept, as soon as something is: what nobody waited for is kept a moment later."""
    async with asyncio.timeout(10):
        while not (rows := bot.memory.usage(by)):
            await asyncio.sleep(0.01)
    return rows


# --- kept in the database


def test_what_was_spent_is_added_up_by_what_is_asked_for(memory: Memory) -> None:
    memory.spent("a1", {"marvin": Usage(10, 1, 0.5), "judge": Usage(5, 1, 0.0)}, "c1", "alice")
    memory.spent("a2", {"marvin": Usage(20, 2, 0.25)}, "c1", "bob")
    memory.spent("a3", {"marvin": Usage(30, 3, 0.0)})
    memory.spent("a4", {})
    today = datetime.now(UTC).date().isoformat()
    assert memory.usage("day") == [Spending(today, 3, 65, 7, 0.75)]
    assert memory.usage("model") == [Spending("marvin", 3, 60, 6, 0.75), Spending("judge", 1, 5, 1, 0.0)]
    assert memory.usage("conversation") == [Spending("c1", 2, 35, 4, 0.75), Spending("", 1, 30, 3, 0.0)]
    assert memory.usage("key") == [Spending("alice", 1, 15, 2, 0.5), Spending("bob", 1, 20, 2, 0.25), Spending("", 1, 30, 3, 0)]
    assert memory.usage("all") == [Spending("", 3, 65, 7, 0.75)]


def test_days_come_in_order_and_earlier_ones_can_be_left_out(memory: Memory, tmp_path: Path) -> None:
    memory.spent("a1", {"marvin": Usage(1, 1, 0.0)})
    memory.spent("a2", {"marvin": Usage(2, 2, 9.0)})
    with sqlite3.connect(tmp_path / "state.sqlite3") as database:
        database.execute("UPDATE usage SET day = '2026-01-31' WHERE answer_id = 'a2'")
    today = datetime.now(UTC).date()
    assert [row.name for row in memory.usage("day")] == ["2026-01-31", today.isoformat()]
    assert [row.prompt_tokens for row in memory.usage("day", date(2026, 1, 31))] == [2, 1]
    assert [row.prompt_tokens for row in memory.usage("day", date(2026, 2, 1))] == [1]
    assert memory.usage("all", today + timedelta(days=2)) == memory.usage("day", today + timedelta(days=2)) == []


def test_a_database_from_before_gets_the_table_and_keeps_the_rest(memory: Memory, tmp_path: Path) -> None:
    memory.save("How long?", Answer("Long.", False, "How long?", "quote", "c1", "a0"))
    memory.close()
    with sqlite3.connect(tmp_path / "state.sqlite3") as database:
        for name in ("alembic_version", "usage", "users", "api_keys", "counters", "audit", "secrets"):
            database.execute(f"DROP TABLE {name}")
        database.execute("DROP INDEX ix_conversations_owner")
        database.execute("ALTER TABLE conversations DROP COLUMN owner")
        database.execute("UPDATE schema_version SET version = 1")
    again = Memory(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    assert again.usage() == []
    again.spent("a1", {"marvin": Usage(1, 2, 0.5)})
    assert [row.cost for row in again.usage()] == [0.5]
    assert [turn.answer for turn in again.turns("c1")] == ["Long."]
    again.close()


# --- counted by the story


async def test_an_answers_tokens_and_money_are_kept_with_its_conversation_and_stay_when_that_goes(
    home: Settings, tmp_path: Path
) -> None:
    settings = choosing(home, scripted(tmp_path, "marvin", {"say": "1"}, price=1_000_000))
    async with running(settings) as bot:
        answer = await bot.answer(LEAVE)
        tokens = answer.usage.prompt_tokens
        assert tokens > 50 and answer.usage == Usage(tokens, 1, tokens + 1)
        expected = [Spending(answer.conversation_id, 1, tokens, 1, tokens + 1.0)]
        assert bot.memory.usage("conversation") == expected
        bot.memory.delete(answer.conversation_id)
        assert bot.memory.usage("conversation") == expected
        assert bot.spent == {"marvin": answer.usage}


async def test_an_answer_without_an_llm_costs_nothing(asked: Bot) -> None:
    await asked.answer(LEAVE)
    assert asked.memory.usage() == [] and asked.spent == {}


async def test_a_conversation_that_the_caller_keeps_is_counted_without_its_id(home: Settings, tmp_path: Path) -> None:
    async with running(choosing(home, scripted(tmp_path, "marvin", {"say": "1"}))) as bot:
        answer = await bot.answer(LEAVE, turns=[Turn("Who is ill?", "Nobody.")])
        [row] = bot.memory.usage("conversation")
        assert bot.memory.conversations() == []
    assert (row.name, row.prompt_tokens) == ("", answer.usage.prompt_tokens)


async def test_each_llm_of_a_chain_pays_for_itself(home: Settings, tmp_path: Path) -> None:
    nonsense = scripted(tmp_path, "zaphod", {"say": "I will not choose."}, price=1)
    settings = choosing(home, nonsense, scripted(tmp_path, "marvin", {"say": "1"}, price=2))
    async with running(settings) as bot:
        answer = await bot.answer(LEAVE)
        rows = {row.name: row for row in bot.memory.usage("model")}
    assert answer.model == "marvin"
    assert rows.keys() == {"marvin", "zaphod"}
    assert rows["marvin"].cost == pytest.approx(2e-6 * (rows["marvin"].prompt_tokens + 1))
    assert rows["zaphod"].completion_tokens == 4
    assert answer.usage.cost == pytest.approx(rows["marvin"].cost + rows["zaphod"].cost)


@pytest.mark.parametrize("keep", [True, False])
async def test_what_was_spent_before_the_client_hung_up_is_counted(home: Settings, tmp_path: Path, keep: bool) -> None:
    async with running(choosing(home, scripted(tmp_path, "marvin", {"say": "1"}))) as bot:
        stream = bot.stream(LEAVE, turns=None if keep else [])
        async for event in stream:
            if isinstance(event, SentenceEvent):
                break
        await stream.aclose()
        [row] = await recorded(bot, "conversation")
        assert (row.answers, row.completion_tokens) == (1, 1)
        assert bool(row.name) == keep
        assert bot.spent["marvin"].prompt_tokens == row.prompt_tokens


async def test_what_was_spent_before_the_task_was_cancelled_is_counted_once(home: Settings, tmp_path: Path) -> None:
    slow = scripted(tmp_path, "marvin", {"say": "one two three four five six", "pause": 0.05})
    async with running(choosing(home, slow)) as bot:
        task = asyncio.create_task(bot.answer(LEAVE))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [row] = await recorded(bot)
        assert (row.name, row.answers) == ("marvin", 1)
        assert row.prompt_tokens > 50


async def test_an_answer_is_given_although_what_it_cost_can_not_be_kept(
    home: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(Memory):
        def save(self, *arguments: Any, **named: Any) -> None:
            raise StateError("The disk is full.")

        def spent(self, *arguments: Any, **named: Any) -> None:
            raise StateError("The disk is still full.")

    settings = choosing(home, scripted(tmp_path, "marvin", {"say": "1"}, {"say": "1"}))
    async with running(settings, memory=Full(home.state_url)) as bot:
        kept = await bot.answer(LEAVE)
        theirs = await bot.answer(LEAVE, turns=[])
    for answer in (kept, theirs):
        assert not answer.abstained and answer.usage.completion_tokens == 1
    assert NOT_KEPT in kept.notes and NOT_KEPT not in theirs.notes
    assert "The disk is full." in caplog.text
    assert caplog.text.count("The disk is still full.") == 2


# --- /metrics and the routes


def test_metrics_count_tokens_money_and_fallbacks(home: Settings, tmp_path: Path) -> None:
    nonsense = scripted(tmp_path, "zaphod", {"say": "I will not choose."})
    settings = choosing(home, nonsense, scripted(tmp_path, "marvin", {"say": "1"}, price=1_000_000))
    with client_of(Bot(settings, lambda: parts_of(settings))) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        answer = client.post("/v1/chat", json={"question": LEAVE}).json()
        body = {"messages": [{"role": "user", "content": LEAVE}]}
        completion = client.post("/v1/chat/completions", json=body).json()
        lines = client.get("/metrics").text.splitlines()
    values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}
    usage = answer["usage"]
    assert values['rag_bot_llm_tokens_total{kind="completion",model="marvin"}'] == 2
    assert values['rag_bot_llm_tokens_total{kind="completion",model="zaphod"}'] == 8
    prompts = [values[f'rag_bot_llm_tokens_total{{kind="prompt",model="{name}"}}'] for name in ("marvin", "zaphod")]
    assert sum(prompts) == 2 * usage["prompt_tokens"]
    assert values['rag_bot_llm_cost_dollars_total{model="marvin"}'] == pytest.approx(2 * usage["cost"])
    assert values['rag_bot_llm_cost_dollars_total{model="zaphod"}'] == 0
    assert values["rag_bot_llm_fallbacks_total"] == 2
    assert values["rag_bot_sentences_cut_total"] == 0
    assert answer["counts"]["fallbacks"] == 1
    assert answer["notes"] == ["What the LLM zaphod chose made no sense."]
    tokens = (usage["prompt_tokens"], usage["completion_tokens"])
    assert completion["usage"] == {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}


# --- `rag-bot usage`


def test_usage_is_shown_in_lines_and_for_programs(rag_bot: RagBot, home: Settings) -> None:
    memory = Memory(home.state_url)
    memory.spent("a1", {"marvin": Usage(1_000, 20, 0.5), "zap\x1bhod": Usage(1, 2, 0.25)}, "c1")
    memory.spent("a2", {"marvin": Usage(10, 3, 1e-5)})
    memory.close()
    today = datetime.now(UTC).date().isoformat()
    assert rag_bot("usage").out.splitlines() == [
        "Day\tAnswers\tTokens in\tTokens out\tUS dollars",
        f"{today}\t2\t1,011\t25\t0.7500",
        "Total\t2\t1,011\t25\t0.7500",
    ]
    assert [line.split("\t")[:2] for line in rag_bot("usage", "--by", "model").out.splitlines()] == [
        ["Model", "Answers"], ["marvin", "2"], ["zap\\x1bhod", "1"], ["Total", "2"],
    ]  # fmt: skip
    assert "(not kept)\t1\t10\t3\t0.0000" in rag_bot("usage", "--by", "conversation").out
    assert rag_bot("usage", "--by", "key", "--since", today, "--json").json == {
        "by": "key",
        "since": today,
        "rows": [{"name": "", "answers": 2, "prompt_tokens": 1011, "completion_tokens": 25, "cost": pytest.approx(0.75001)}],
        "total": {"answers": 2, "prompt_tokens": 1011, "completion_tokens": 25, "cost": pytest.approx(0.75001)},
    }


def test_usage_on_a_terminal_is_a_table_with_a_total(rag_bot: RagBot, home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(home.state_url)
    memory.spent("a1", {"marvin": Usage(1_000, 20, 0.5)})
    memory.close()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    shown = rag_bot("usage", "--by", "model").out
    assert "\t" not in shown
    assert [line.split() for line in shown.replace("\x1b[0m", "").replace("\x1b[1m", "").splitlines()][1:] == [
        ["marvin", "1", "1,000", "20", "0.5000"],
        ["Total", "1", "1,000", "20", "0.5000"],
    ]


def test_where_nothing_was_spent_it_says_so(rag_bot: RagBot) -> None:
    empty = rag_bot("usage")
    assert (empty.code, empty.out, empty.err) == (0, "No LLM has taken tokens yet.\n", "")
    assert rag_bot("usage", "--since", "2026-11-01").out == "No LLM has taken tokens since 2026-11-01.\n"
    assert rag_bot("usage", "--json").json == {
        "by": "day",
        "since": None,
        "rows": [],
        "total": {"answers": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0},
    }


@pytest.mark.parametrize(
    "arguments", [["--since", "yesterday"], ["--since", "2026-02-30"], ["--since", "1.11.2026"], ["--by", "year"]], ids=" ".join
)
def test_a_wrong_date_or_grouping_is_wrong_usage(rag_bot: RagBot, arguments: list[str]) -> None:
    failed = rag_bot("usage", *arguments)
    assert (failed.code, failed.out) == (2, "")
    assert arguments[1] in failed.err


def test_usage_without_a_place_for_it_says_what_is_missing(rag_bot: RagBot) -> None:
    failed = rag_bot("usage", "--index", "no/such/folder")
    assert (failed.code, failed.out) == (1, "")
    assert "no folder" in failed.err and "Traceback" not in failed.err


# --- `rag-bot models check`


def test_checking_says_of_each_llm_how_it_does(rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    well = scripted(tmp_path, "well", {"say": "one two three", "pause": 0.01}, price=0.5)
    monkeypatch.setenv("RAG_BOT_LLM", well)
    monkeypatch.setenv("RAG_BOT_JUDGE", scripted(tmp_path, "judge", {"say": "one"}))
    monkeypatch.setenv("RAG_BOT_PRICES", str(tmp_path / "prices.toml"))
    found = rag_bot("models", "check")
    assert (found.code, found.err) == (0, "")
    first, second = found.out.splitlines()
    assert first.startswith("well (RAG_BOT_LLM) answers: context 8,192 tokens, first token after 0.")
    assert first.endswith(" tokens/s, $0.5 in and $0.5 out for a million tokens")
    assert second.startswith("judge (RAG_BOT_JUDGE) answers:") and second.endswith(", no price known")


def test_checking_fails_where_an_llm_does_and_goes_on_with_the_rest(
    rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, ill = scripted(tmp_path, "well", {"say": "one two"}), scripted(tmp_path, "ill", {"fail": "No route to it."})
    monkeypatch.setenv("RAG_BOT_LLM", f"{ill},marvin:40,{well}")
    found = rag_bot("models", "check", "--json")
    assert (found.code, found.json["ok"]) == (1, False)
    rows = found.json["llms"]
    assert [(row["name"], row["ok"]) for row in rows] == [("ill", False), ("40", False), ("well", True)]
    assert (rows[0]["reason"], rows[0]["first_token"], rows[0]["context"]) == ("No route to it.", None, 8192)
    assert "marvin" in rows[1]["reason"] and rows[1]["hint"]
    assert rows[2]["first_token"] > 0 and rows[2]["price"] is None
    told = rag_bot("models", "check")
    assert told.code == 1
    assert "ill (RAG_BOT_LLM) can't be used. No route to it.\n" in told.out


def test_checking_without_an_llm_says_so(rag_bot: RagBot) -> None:
    none = rag_bot("models", "check")
    assert (none.code, none.err) == (0, "")
    assert none.out.startswith("No LLM is set: answers are quotes")
    assert rag_bot("models", "check", "--json").json == {"ok": True, "llms": []}


# --- shown beside an answer


def test_what_went_wrong_and_how_a_follow_up_was_understood_is_shown(
    rag_bot: RagBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = rag_bot("ask", LEAVE, "--json").json
    assert first["notes"] == [] and first["usage"]["cost"] == 0
    monkeypatch.setenv("RAG_BOT_ANSWER", "quote-llm")
    monkeypatch.setenv("RAG_BOT_LLM", scripted(tmp_path, "marvin", {"fail": "Marvin is down."}))
    told = rag_bot("ask", "And for contractors?", "--conversation", first["conversation_id"])
    lines = told.out.splitlines()
    understood = lines.index(f"Understood as: {LEAVE} And for contractors?")
    assert lines[understood + 1].startswith("Marvin is down.")
    assert "Understood as" not in rag_bot("ask", LEAVE).out
