"""What a terminal shows of an answer: proof, doubt and remarks, and nothing that could steer it."""

from __future__ import annotations

import pytest

from rag_bot.terminal import show_remarks, show_sentence
from rag_bot.types import Answer, Sentence

STRUCK = "\x1b[9m"


def an_answer(question: str, *notes: str) -> Answer:
    return Answer("26 days.", False, question, "marvin", "c", "a", notes=notes)


def test_a_sentence_that_is_not_proved_is_marked_and_on_a_terminal_struck(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show_sentence(Sentence("Leave is 27 days.", (1,), supported=False))
    show_sentence(Sentence("Leave is 26 days.", (1,), supported=True))
    assert capsys.readouterr().out == "Leave is 27 days. [1] (not proved)\nLeave is 26 days. [1]\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_sentence(Sentence("Leave is 27 days.", (1,), supported=False))
    assert f"{STRUCK}Leave is 27 days." in capsys.readouterr().out
    show_sentence(Sentence("Leave is 26 days.", (1,), supported=True))
    assert STRUCK not in capsys.readouterr().out


def test_remarks_are_lines_below_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    show_remarks("And in Rome?", an_answer("How long is leave in Rome?", "Marvin is down.", "Line\nand \x1b[31mred"))
    assert capsys.readouterr().out.splitlines() == [
        "Understood as: How long is leave in Rome?",
        "Marvin is down.",
        "Line and \\x1b[31mred",
    ]


def test_a_question_that_stood_alone_gets_no_remark(capsys: pytest.CaptureFixture[str]) -> None:
    show_remarks(" How long\nis leave? ", an_answer("How long is leave?"))
    assert capsys.readouterr().out == ""
