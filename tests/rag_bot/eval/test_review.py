"""A person goes through a set in the terminal; every decision is kept at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rag_bot.eval.files import read, write
from rag_bot.eval.review import Tally, review
from rag_bot.eval.types import Case, Wanted

CASES = [
    Case("a", "A?", True, ("one", "two"), (Wanted("a.md", "here it stands"),), kind="figure"),
    Case("b", "B?", False, hidden=(Wanted("b.md", "gone"),)),
    Case("c", "C?", True),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "set.jsonl", CASES)
    return tmp_path / "set.jsonl"


def go(path: Path, *typed: str, again: bool = False) -> tuple[Tally, str]:
    lines, shown = iter(typed), list[str]()
    tally = review(path, shown.append, lambda prompt: next(lines, None), again=again)
    return tally, "\n".join(shown)


def state(path: Path) -> Sequence[tuple[str, str]]:
    return [(case.id, case.review) for case in read(path)]


def test_keep_drop_and_stop(path: Path) -> None:
    tally, shown = go(path, "k", "D", "q")
    assert tally == Tally(kept=1, dropped=1, left=1)
    assert state(path) == [("a", "kept"), ("c", "")]
    assert "1/3  figure" in shown and "Answer: one || two" in shown and "“here it stands”" in shown
    assert "it is to be refused, with this taken out:" in shown
    tally, shown = go(path, "k")
    assert tally == Tally(kept=1) and "1/1" in shown  # only what was left
    assert go(path)[0] == Tally()
    assert go(path, again=True)[0].left == 2


def test_edit(path: Path) -> None:
    go(path, "e", "How long?", "three || four", "e", "", "e", "", "-")
    a, b, c = read(path)
    assert (a.question, a.answers, a.review, a.wanted) == ("How long?", ("three", "four"), "edited", CASES[0].wanted)
    assert (b.question, b.answerable, b.review) == ("B?", False, "edited")  # no answer is asked for
    assert c.answers == ()


def test_back_takes_a_decision_back(path: Path) -> None:
    tally, _ = go(path, "d", "b", "k", "what?", "k", "q")
    assert state(path) == [("a", "kept"), ("b", "kept"), ("c", "")]
    assert tally == Tally(kept=2, left=1)


def test_what_was_decided_before_the_end_of_input_stays(path: Path) -> None:
    assert go(path, "d")[0] == Tally(dropped=1, left=2)
    assert [case.id for case in read(path)] == ["b", "c"]
