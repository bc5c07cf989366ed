"""Good text scores high; each flaw lowers the score and is named."""

from __future__ import annotations

import time

import pytest

from ingest.curate.quality import quality

GOOD = (
    "Leave is asked for in writing, two weeks ahead.\nWhoever falls ill during it gets the days back.\n"
    "Unused days may be taken over into the next year.\nThe manager answers within three days.\n"
    "Contractors have a rule of their own, which is in their contract.\nParents may take more.\n"
)


def both(text: str) -> tuple[float, dict[str, float]]:
    score, flaws = quality(text, text)
    return score, dict(flaws)


def test_good_text() -> None:
    assert both(GOOD) == (1.0, {})


@pytest.mark.parametrize(
    ("flaw", "text"),
    [
        ("few words", "12 400 7,5 8 9 33 21 0,4 17 88 euros\n"),
        ("repeated lines", "Acme Ltd, confidential.\n" * 20 + GOOD),
        ("code", "ask {write();}\nanswer {send();}\nleave {days();}\nwork {year();}\nstop {end();}\n"),
        ("mojibake", GOOD + "FÃ¼r cafÃ© und RÃ©sumÃ© â€™ ï¿½ ï¿½ ï¿½"),
        ("mojibake", GOOD + "\ufffd" * 20),
        ("broken words", "Th1s l|ne w~as re4d f<rom a b|ad sc~an a1nd s0me w0rds bro<ke"),
        ("broken words", "t h e l e a v e i s a s k e d f o r i n w r i t i n g"),
    ],
)
def test_each_flaw_is_named(flaw: str, text: str) -> None:
    score, flaws = both(text)
    assert score < 0.75
    assert min(flaws, key=lambda name: flaws[name]) == flaw


def test_numbers_in_tables_are_no_flaw() -> None:
    assert quality("| 1 | 2 |\n" * 50, "") == (1.0, {})


@pytest.mark.parametrize("text", ["", "a", "7", " \n\n ", "\x00", "\ud800", "\u202e" * 100])
def test_the_score_is_in_its_range(text: str) -> None:
    assert 0.0 <= both(text)[0] <= 1.0


def test_a_million_identical_lines() -> None:
    began = time.process_time()
    score, flaws = both("The same line.\n" * 1_000_000)
    assert score < 0.1
    assert set(flaws) == {"repeated lines"}
    assert time.process_time() - began < 20
