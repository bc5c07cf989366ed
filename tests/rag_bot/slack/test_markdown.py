"""Markdown as Slack shows it: every word kept, nothing that Slack takes for a mark of its own, and never slow."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bot.chat_platform.pieces import split
from rag_bot.slack.markdown import Translator, cut, escape, link, to_mrkdwn
from tests.fakes.slack_blocks import mrkdwn

TABLE = "| city | rate |\n| --- | --- |\n| Oslo | 140 |\n| São Paulo | 95 |"


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("Some **bold**, *slanted*, ~~gone~~ and `code`.", "Some *bold*, _slanted_, ~gone~ and `code`."),
        ("in**fix**es", "in\u200b*fix*\u200bes"),
        ("# Title\n\nText", "*Title*\nText"),
        ("- one\n- two\n  - deeper\n\n3. three\n4. four", "• one\n• two\n    • deeper\n3. three\n4. four"),
        ("> quoted\n> lines", "> quoted\n> lines"),
        ("[label](https://example.com/?a=1&b=2)", "<https://example.com/?a=1&amp;b=2|label>"),
        ("[label](javascript:alert(1))", "[label](javascript:alert(1))"),
        ("![a picture](https://example.com/x.png)", "<https://example.com/x.png|a picture>"),
        ("<https://example.com>", "<https://example.com|https://example.com>"),
        ("a < b & c > d <!channel> <@U1>", "a &lt; b &amp; c &gt; d &lt;!channel&gt; &lt;@U1&gt;"),
        ("```python\na < b\n```", "```\na &lt; b\n```"),
        (TABLE, "```\ncity       rate\nOslo       140\nSão Paulo  95\n```"),
        ("", ""),
    ],
)
def test_slacks_own_form(markdown: str, shown: str) -> None:
    assert to_mrkdwn(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("Some **bold** [1].", "Some **bold** [1]."),
        (
            "Dear <!channel>, ask <@U1> <https://bad.example|good>",
            "Dear <\u2060!channel>, ask <\u2060@U1> <\u2060https://bad.example|good>",
        ),
        ("![x](https://example.com/x.png)", "[x](https://example.com/x.png)"),
        ("```\n![x]\n```\n![x]", "```\n![x]\n```\n[x]"),
        (f"Rates:\n\n{TABLE}\n\nDone", "Rates:\n\n```\ncity       rate\nOslo       140\nSão Paulo  95\n```\n\nDone"),
        ("a | b\nno table", "a | b\nno table"),
    ],
)
def test_markdown_that_slack_takes(markdown: str, shown: str) -> None:
    assert Translator().feed(markdown) == shown


MARKS = "** * _ ` [ ![ < > & ! | \\ ](https://x.example) <!channel> <@U1> <#C1|x> &lt;".split()
LINES = ["```\n", "~~~\n", "\n", "\n\n", "| a | b |\n", "| --- | --- |\n", "- ", "1. ", "> ", "# "]
parts = st.sampled_from([*MARKS, *LINES, "word ", "sentence. ", "é🦊 "])
texts = st.lists(parts, max_size=40).map("".join)


@given(texts)
def test_slacks_own_form_alerts_nobody_and_keeps_every_word(text: str) -> None:
    shown = to_mrkdwn(text)
    mrkdwn(shown, "shown")
    for word in ("word", "sentence", "🦊"):
        assert shown.count(word) == text.count(word)


@given(st.lists(texts, max_size=5))
def test_markdown_alerts_nobody_and_may_come_in_pieces(pieces: list[str]) -> None:
    whole = Translator().feed("".join(pieces))
    assert not re.search(r"<[@#!]|<https?:", whole)
    translator = Translator()
    apart = [translator.feed(piece) for piece in pieces]
    assert not re.search(r"<[@#!]|<https?:", "".join(apart))
    for word in ("word", "sentence", "🦊"):
        assert whole.count(word) == "".join(pieces).count(word) == "".join(apart).count(word)


@given(texts, st.integers(64, 400))
def test_pieces_hold_everything_and_are_short_enough(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert all(0 < len(piece) <= limit for piece in pieces)
    together = "".join(pieces)
    for word in ("word", "sentence", "🦊"):
        assert together.count(word) == text.count(word)
    for piece in pieces:  # a block of code that is opened in a piece is closed in it
        inside = ""
        for line in piece.split("\n"):
            match = re.match(r" {0,3}(`{3,16}(?!`)(?=[^`]*$)|~{3,16}(?!~))", line)
            if inside:
                inside = "" if match and match[1].startswith(inside) and not line.strip().strip(inside[0]) else inside
            elif match:
                inside = match[1]
        assert not inside


def test_marks_stay_with_their_sentence() -> None:
    text = "Leave is 26 days. [1] [2] It is asked for in writing. [3]\n\n- Lunch is free. [4]\n- Tea is. [5]"
    for limit in range(64, 110):
        pieces = split(text, limit)
        assert not any(piece.lstrip("- ").startswith("[") for piece in pieces)
        assert "".join("".join(pieces).split()) == "".join(text.split())


def test_pieces_end_where_sentences_end() -> None:
    text = " ".join(f"This is sentence number {n}." for n in range(40))
    pieces = split(text, 200)
    assert " ".join(pieces) == text
    assert all(piece.endswith(".") for piece in pieces)


def test_code_stays_whole_or_is_cut_at_lines() -> None:
    code = "```python\n" + "\n".join(f"line {n}" for n in range(10)) + "\n```"
    assert split(f"Before it. {'x' * 50}\n\n{code}\n\nAfter it.", 140)[1].startswith("```python\nline 0")
    parts = split("```python\n" + "\n".join(f"line {n}" for n in range(200)) + "\n```", 300)
    assert len(parts) > 3
    assert all(part.startswith("```python\nline") and part.endswith("\n```") for part in parts)
    lines = [line for part in parts for line in part.split("\n")[1:-1]]
    assert lines == [f"line {n}" for n in range(200)]


@pytest.mark.parametrize(
    "text",
    [
        "*" * 10**6,
        "[" * 10**6,
        "`" * 10**6,
        "<" * 10**6,
        "|" * 10**6,
        "| - " * 250_000,
        "> " * 10**5,
        "_a_ " * 10**5,
        "\n" * 10**6,
    ],
)
def test_hostile_text_is_read_in_time(text: str) -> None:
    began = time.process_time()
    Translator().feed(text)
    split(text, 3000)
    translated = time.process_time() - began
    to_mrkdwn(text[:100_000])
    assert translated < 5
    assert time.process_time() - began < 20


def test_small_helpers() -> None:
    assert escape("<&>") == "&lt;&amp;&gt;"
    assert link("https://x.example/a|b>", "a|b") == "<https://x.example/a%7Cb%3E|a¦b>"
    assert link("file:///etc", "x") == "x"
    assert cut("one two three four", 12) == "one two…"
    assert cut("x" * 30, 10) == "x" * 9 + "…"
