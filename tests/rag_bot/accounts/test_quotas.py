"""Quotas: counted in the database, together for all replicas, anew with each window."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from rag_bot.accounts.quotas import DAY, MINUTE, Counting, Quotas
from rag_bot.accounts.types import MAY, Principal
from rag_bot.memory import Memory
from rag_bot.types import Usage

ADA = Principal("user:ada", "ada", "reader", MAY["reader"])
BOB = replace(ADA, id="user:bob")
NOON = 20_000 * DAY + DAY // 2 + 30.0  # half a minute into one


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def test_a_window_takes_its_number_and_begins_anew(memory: Memory) -> None:
    clock = Clock()
    counting, quotas = Counting(memory, clock), Quotas(questions_per_minute=2, questions_per_day=3)

    def ask() -> tuple[list[float], list[str]]:
        standings = counting.question(ADA, quotas)
        return [standing.left for standing in standings], [standing.name for standing in standings if standing.over]

    assert ask() == ([1, 2], [])
    assert ask() == ([0, 1], [])
    assert ask()[1] == ["minute"]
    assert ask()[1] == ["minute"]  # what was refused was not taken from the day
    assert [standing.reset for standing in counting.question(ADA, quotas)] == [30, DAY // 2 - 30]
    clock.now += MINUTE
    assert ask() == ([1, 0], [])
    assert ask()[1] == ["day"]
    assert counting.question(BOB, quotas)[0].left == 1  # nobody pays for another
    clock.now += DAY
    assert ask() == ([1, 2], [])


def test_a_key_s_own_quotas_go_before_the_settings() -> None:
    settings = Quotas(questions_per_minute=5, cost_per_day=1)
    own = replace(ADA, quotas={"questions_per_minute": 0, "tokens_per_day": 100})
    assert settings.of(own) == Quotas(questions_per_minute=0, tokens_per_day=100, cost_per_day=1)
    assert settings.of(ADA) == settings


def test_no_quota_writes_nothing(memory: Memory) -> None:
    assert Counting(memory).question(ADA, Quotas()) == []
    with memory.transaction() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM counters")).scalar() == 0


def test_tokens_and_money_are_what_the_llms_took_today(memory: Memory) -> None:
    counting, quotas = Counting(memory), Quotas(tokens_per_day=100, cost_per_day=0.5)
    assert [standing.left for standing in counting.question(ADA, quotas)] == [100, 0.5]
    memory.spent("a1", {"gpt": Usage(60, 20, 0.1)}, "c1", ADA.id)
    memory.spent("a2", {"gpt": Usage(1000, 0, 9.0)}, "c2", BOB.id)
    tokens, cost = counting.question(ADA, quotas)
    assert (tokens.left, tokens.over, round(cost.left, 6)) == (20, False, 0.4)
    memory.spent("a3", {"gpt": Usage(10, 20, 0.1)}, "c1", ADA.id)
    assert [standing.over for standing in counting.question(ADA, quotas)] == [True, False]


def test_replicas_count_together(memory: Memory) -> None:
    quotas = Quotas(questions_per_day=25)
    taken: list[bool] = []
    memory.open()

    def replica() -> None:
        counting = Counting(memory, lambda: NOON)
        taken.extend(not any(s.over for s in counting.question(ADA, quotas)) for _ in range(10))

    threads = [threading.Thread(target=replica) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 40 and sum(taken) == 25


def test_tries_are_counted_also_when_they_are_too_many(memory: Memory) -> None:
    counting = Counting(memory, lambda: NOON)
    left = [counting.attempts("address 10.0.0.1", 3, 300).left for _ in range(5)]
    assert left == [2, 1, 0, -1, -2]
    counting.forgive("address 10.0.0.1", 300)
    assert counting.attempts("address 10.0.0.1", 3, 300).left == 2


@pytest.mark.parametrize("later", [0, 2 * DAY])
def test_windows_that_are_over_are_forgotten(memory: Memory, later: int) -> None:
    Counting(memory, lambda: NOON).question(ADA, Quotas(questions_per_day=5))
    Counting(memory, lambda: NOON + later).question(BOB, Quotas(questions_per_day=5))
    with memory.transaction() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM counters")).scalar() == (1 if later else 2)
