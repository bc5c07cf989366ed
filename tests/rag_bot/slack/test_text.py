"""What somebody wrote in Slack as plain words."""

from __future__ import annotations

import time

import pytest

from rag_bot.slack.platform import safe_name
from rag_bot.slack.text import names, names_others, plain


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("<@U0BOT> how &lt;many&gt; &amp; why?", "how <many> & why?"),
        ("<@U0BOT|bot>, ask <@U1> in <#C1|general> or <#C2>", ", ask @U1 in #general or #channel"),
        ("see <https://a.example/x|the page>, <https://b.example>", "see the page, https://b.example"),
        ("or <mailto:a@b.example|a@b.example>", "or a@b.example"),
        ("<!here> <!subteam^S1|@team> on <!date^1392734382^{date}|18 Feb>", "on 18 Feb"),
        ("<@U0BOT>", ""),
        ("a < b > c", "a < b > c"),
    ],
)  # fmt: skip
def test_words(written: str, words: str) -> None:
    assert plain(written, "U0BOT") == words


def test_who_is_named() -> None:
    assert names("hey <@U0BOT>", "U0BOT") and not names("hey <@U0BOTX>", "U0BOT")
    assert not names_others("hey <@U0BOT>", "U0BOT")
    for others in ("<@U1> <@U0BOT>", "<!here> look", "<!subteam^S1>"):
        assert names_others(others, "U0BOT")


@pytest.mark.parametrize(
    "text", ["<" * 10**6, "<@" * 500_000, "<!date^" * 100_000, "<https://" * 100_000, "<#C" * 300_000, "<@U|" * 200_000]
)
def test_hostile_text_is_read_in_time(text: str) -> None:
    began = time.process_time()
    plain(text, "U0BOT")
    names_others(text, "U0BOT")
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.md", "a.md"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.txt", "y.txt"),
        ("..", ".."),
        ("", "file"),
        ("a\x00b\n.md", "a_b_.md"),
    ],
)
def test_names_of_files(name: str, safe: str) -> None:
    assert safe_name(name) == safe
