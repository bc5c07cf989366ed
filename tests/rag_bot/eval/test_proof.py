"""Whether cited spans carry their sentence, each alone and all together."""

from __future__ import annotations

from rag_bot.bot import Bot
from rag_bot.eval.proof import Prover
from rag_bot.eval.types import Cited, Said

LEAVE = "Everyone gets 26 days of paid leave a year."
ASKED = "They are asked for in writing, two weeks ahead."
OTHER = "Contractors get no paid leave."


def prove(bot: Bot, sentence: str, *quotes: str) -> Said:
    [info] = [info for info in bot.index.documents() if info.source.endswith("leave.md")]
    text = bot.index.text(info.document_id)
    citations = [
        Cited(n, info.document_id, info.source, info.title, None, (), text.index(quote), text.index(quote) + len(quote), quote)
        for n, quote in enumerate(quotes, 1)
    ]
    return Prover(bot.index.embed_query, bot.index)(Said(sentence, True, tuple(range(1, len(quotes) + 1))), citations)


async def test_a_quote_carries_itself(asked: Bot) -> None:
    assert (prove(asked, LEAVE, LEAVE).carried, prove(asked, LEAVE, LEAVE).useful) == (True, (True,))


async def test_another_span_carries_nothing(asked: Bot) -> None:
    wrong = prove(asked, LEAVE, OTHER)
    assert (wrong.carried, wrong.useful) == (False, (False,))
    assert not prove(asked, LEAVE).carried


async def test_a_changed_figure_is_not_carried(asked: Bot) -> None:
    assert prove(asked, "Everyone gets 26 days of paid leave each year.", LEAVE).carried
    assert not prove(asked, "Everyone gets 27 days of paid leave each year.", LEAVE).carried


async def test_a_needless_citation_is_told_from_a_needed_one(asked: Bot) -> None:
    assert prove(asked, LEAVE, LEAVE, OTHER).useful == (True, False)
    both = prove(asked, f"{LEAVE}\n{ASKED}", LEAVE, ASKED)
    assert (both.carried, both.useful) == (True, (True, True))
