"""The answerer without an LLM: which sentences it takes, in which order, and what it cites."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rag_bot.answer import Brief
from rag_bot.answer.quote import MOST, QuoteAnswerer, choose
from rag_bot.types import Claim, Evidence, Passage, Standalone
from tests.rag_bot.support import Library, evidence_of, passage

QUESTION = Standalone("q", "q")


def texts(evidence: Sequence[Evidence]) -> list[str]:
    return [item.text for item in choose(evidence)]


def scored(*sentences: tuple[str, float]) -> list[Evidence]:
    """Evidence of one passage that holds these sentences in this order, best score first."""
    passages = [passage(" ".join(text for text, _ in sentences))]
    return sorted((evidence_of(passages, 0, text, score) for text, score in sentences), key=lambda item: -item.score)


async def claims_of(passages: Sequence[Passage], evidence: Sequence[Evidence], library: Library) -> list[Claim]:
    items = [item async for item in QuoteAnswerer(library)(Brief(QUESTION, passages, evidence))]
    return [item for item in items if isinstance(item, Claim)]


def test_no_evidence_no_sentence() -> None:
    assert choose([]) == []


def test_a_sentence_that_is_far_ahead_stands_alone() -> None:
    assert texts(scored(("Leave is 26 days.", 2.0), ("Lunch is at noon.", 1.0))) == ["Leave is 26 days."]


async def test_a_brief_answer_is_the_best_quote_alone() -> None:
    passages = [passage("Pigs grunt. Cats purr.")]
    evidence = [evidence_of(passages, 0, "Pigs grunt.", 1.0), evidence_of(passages, 0, "Cats purr.", 0.99)]
    library = Library({"doc": "Pigs grunt. Cats purr."})
    for tone, quotes in (("plain", 2), ("brief", 1)):
        brief = Brief(QUESTION, passages, evidence, tone=tone)  # type: ignore[arg-type]
        assert len([item async for item in QuoteAnswerer(library)(brief)]) == quotes


def test_at_most_three_sentences_the_best_first_and_the_others_in_reading_order() -> None:
    found = scored(("Dogs bark.", 0.97), ("Cats purr.", 0.98), ("Pigs grunt.", 1.0), ("Cows moo.", 0.96), ("Owls hoot.", 0.99))
    assert texts(found) == ["Pigs grunt.", "Cats purr.", "Owls hoot."]
    assert len(choose(found)) == MOST == 3
    assert [item.text for item in choose(found, 1)] == ["Pigs grunt."]


def test_after_the_best_sentence_each_passage_is_read_from_top_to_bottom() -> None:
    passages = [passage("Ants dig. Bees fly.", name="a"), passage("Cats purr. Dogs bark.", name="b")]
    found = [
        evidence_of(passages, 1, "Dogs bark.", 1.0),
        evidence_of(passages, 0, "Bees fly.", 0.99),
        evidence_of(passages, 0, "Ants dig.", 0.98),
    ]
    assert texts(found) == ["Dogs bark.", "Ants dig.", "Bees fly."]


def test_what_was_said_is_not_said_again() -> None:
    passages = [passage("Gifts up to 50 euros are fine for all of us.", name=name) for name in "ab"]
    passages.append(passage("Gifts up to 50 euros are fine for all of them.", name="c"))
    found = [evidence_of(passages, n, p.chunk.text, 1.0 - n / 100) for n, p in enumerate(passages)]
    assert texts(found) == ["Gifts up to 50 euros are fine for all of us."]


def test_sentences_that_differ_in_a_figure_disagree_and_are_both_quoted() -> None:
    passages = [
        passage("Hotels cost 165 euros a night at most.", name="new"),
        passage("Hotels cost 120 euros a night at most.", name="old"),
    ]
    found = [evidence_of(passages, n, p.chunk.text, 1.0 - n / 100) for n, p in enumerate(passages)]
    assert texts(found) == [p.chunk.text for p in passages]


def test_a_sentence_without_a_word_of_the_question_is_not_a_second_answer() -> None:
    passages = [passage("Leave is 26 days. Lunch is at noon.")]
    second = evidence_of(passages, 0, "Lunch is at noon.", 0.99, coverage=0.0)
    assert texts([evidence_of(passages, 0, "Leave is 26 days."), second]) == ["Leave is 26 days."]


@pytest.mark.parametrize(
    "start", ["It", "They", "This", "These", "That,", "However, leave", "In 2026, it", "But leave", "Since the war began, they"]
)
def test_the_sentence_that_a_pronoun_leans_on_comes_along(start: str) -> None:
    leaning = f"{start} must be taken by March."
    found = scored(("Lunch is at noon.", 0.1), ("Leave is 26 days.", 0.2), (leaning, 1.0))
    assert texts(found) == ["Leave is 26 days.", leaning]


def test_a_sentence_that_names_its_subject_stands_alone() -> None:
    assert texts(scored(("Leave is 26 days.", 0.2), ("Italy is far.", 1.0))) == ["Italy is far."]


def test_nothing_stands_before_the_first_sentence() -> None:
    assert texts(scored(("It ends in March.", 1.0), ("Leave is 26 days.", 0.2))) == ["It ends in March."]


def test_what_is_leaned_on_is_never_of_another_passage() -> None:
    passages = [passage("Lunch is at noon.", name="a"), passage("It ends in March.", name="b", start=500)]
    found = [evidence_of(passages, 1, "It ends in March."), evidence_of(passages, 0, "Lunch is at noon.", 0.1)]
    assert texts(found) == ["It ends in March."]


async def test_claims_are_word_for_word_and_numbered_as_they_appear() -> None:
    text = "🦊 Leave is 26 days.\nLunch is at noon."
    passages = [passage(text)]
    found = [evidence_of(passages, 0, "🦊 Leave is 26 days."), evidence_of(passages, 0, "Lunch is at noon.", 0.99)]
    claims = await claims_of(passages, found, Library({"doc": text}))
    assert [claim.text for claim in claims] == ["🦊 Leave is 26 days.", "Lunch is at noon."]
    assert [[(c.n, text[c.start : c.end]) for c in claim.citations] for claim in claims] == [
        [(1, "🦊 Leave is 26 days.")],
        [(2, "Lunch is at noon.")],
    ]


async def test_what_leans_on_the_sentence_before_is_one_quote_with_it() -> None:
    text = "Leave is 26 days.\nIt must be taken by March. Lunch is at noon."
    passages = [passage(text)]
    found = [evidence_of(passages, 0, "It must be taken by March."), evidence_of(passages, 0, "Leave is 26 days.", 0.2)]
    [claim] = await claims_of(passages, found, Library({"doc": text}))
    assert claim.text == "Leave is 26 days.\nIt must be taken by March."
    [citation] = claim.citations
    assert text[citation.start : citation.end] == citation.quote == claim.text


LIST = "Bring these:\n- a passport\n- a badge\n- a pen\n\nLunch is at noon."


@pytest.mark.parametrize("best", ["Bring these:", "- a passport", "- a badge", "- a pen"])
async def test_a_list_is_quoted_whole_with_the_words_that_announce_it(best: str) -> None:
    passages = [passage(LIST)]
    others = [line for line in ("Bring these:", "- a passport", "- a badge", "- a pen", "Lunch is at noon.") if line != best]
    found = [evidence_of(passages, 0, best), *(evidence_of(passages, 0, line, 0.1) for line in others)]
    [claim] = await claims_of(passages, found, Library({"doc": LIST}))
    assert claim.text == claim.citations[0].quote == LIST[: LIST.index("\n\n")]


async def test_of_a_list_without_an_end_one_item_is_quoted() -> None:
    text = "\n".join(f"- item number {n}" for n in range(60))
    passages = [passage(text)]
    lines = text.split("\n")
    found = [evidence_of(passages, 0, lines[30]), *(evidence_of(passages, 0, line, 0.1) for line in lines if line != lines[30])]
    [claim] = await claims_of(passages, found, Library({"doc": text}))
    assert claim.text == "- item number 30"


async def test_rows_of_one_table_share_the_citation_of_its_header() -> None:
    table = "| city | rate |\n| --- | --- |\n| Oslo | 140 |\n| Rome | 150 |\n| Bonn | 160 |"
    passages = [passage(table, header=(0, 29))]
    found = [evidence_of(passages, 0, "| Rome | 150 |"), evidence_of(passages, 0, "| Bonn | 160 |", 0.99)]
    claims = await claims_of(passages, found, Library({"doc": table}))
    assert [claim.text for claim in claims] == [f"{table[:29]}\n| Rome | 150 |", f"{table[:29]}\n| Bonn | 160 |"]
    assert [[(c.n, c.quote) for c in claim.citations] for claim in claims] == [
        [(1, table[:29]), (2, "| Rome | 150 |")],
        [(1, table[:29]), (3, "| Bonn | 160 |")],
    ]


async def test_the_quote_is_what_is_stored_now() -> None:
    """A document that changed since the search: the gate sees that sentence and quote differ."""
    passages = [passage("Leave is 26 days.")]
    [claim] = await claims_of(passages, [evidence_of(passages, 0, "Leave is 26 days.")], Library({"doc": "Leave is 27 days."}))
    assert (claim.text, claim.citations[0].quote) == ("Leave is 26 days.", "Leave is 27 days.")
