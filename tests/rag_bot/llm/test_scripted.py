"""The LLM that says what it is told to, and the setting that names it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag_bot.errors import BadSetting, LLMUnavailable
from rag_bot.llm.scripted import Reply, ScriptedChatModel


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "replies.json"
    path.write_text(json.dumps([{"when": "holiday", "say": "2"}, {"when": "ill", "fail": "down"}, {"say": "none"}]))
    return path


def test_the_first_reply_that_fits_is_said(script: Path) -> None:
    llm = ScriptedChatModel.from_file(script)
    assert llm.invoke("my holiday, ill or not").text == "2"
    assert llm.invoke("my pay").text == "none"
    with pytest.raises(LLMUnavailable, match="down"):
        llm.invoke("I am ill")


def test_it_counts_words_as_tokens() -> None:
    message = ScriptedChatModel(replies=[Reply(say="two words")]).invoke("three short words")
    assert message.usage_metadata == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def test_what_no_reply_fits_is_an_error() -> None:
    with pytest.raises(LLMUnavailable, match="no reply"):
        ScriptedChatModel(replies=[Reply(when="holiday", say="2")]).invoke("pay")


@pytest.mark.parametrize("content", ["", "{", '{"say": "x"}', '["x"]', '[{"say": 1}]', "5"])
def test_a_script_that_can_not_be_read_is_a_bad_setting(tmp_path: Path, content: str) -> None:
    path = tmp_path / "replies.json"
    path.write_text(content)
    with pytest.raises(BadSetting, match=r"replies\.json") as caught:
        ScriptedChatModel.from_file(path)
    assert "say" in caught.value.hint


def test_a_script_that_is_not_there_is_a_bad_setting(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="No such file"):
        ScriptedChatModel.from_file(tmp_path / "none.json")
