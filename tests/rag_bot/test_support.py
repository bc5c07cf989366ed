"""Support: which sentences of the passages carry a written sentence, and what is missing where none do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.embedder import HashEmbedder, Vectors
from ingest.sentences import units
from ingest.types import Span
from rag_bot.support import Support, SupportFinder
from rag_bot.types import Passage
from tests.rag_bot.support import Library, passage

LEAVE = (
    "Everyone gets 26 days of paid leave a year. They are asked for in writing, two weeks ahead. "
    "Contractors do not get paid leave. The office in Oslo is closed from 3 to 5 July 2024."
)
TRAVEL = "A hotel in Oslo costs at most 140 euros a night. Maria Jensen signs the claims. Dogs are forbidden in the office."
RATES = "| City | Night rate |\n| --- | --- |\n| Oslo | 140 euros |\n| Lisbon | 95 euros |\n| Paris | 180 euros |"
HEADER = (0, RATES.index("\n| Oslo"))


@dataclass
class Desk:
    """Passages and the finder over them, with the hash embedder; remembers what was embedded."""

    passages: Sequence[Passage]
    gone: Sequence[str] = ()
    embedded: list[str] = field(default_factory=list)

    def ask(self, sentence: str, *marks: int) -> Support:
        texts = {p.document.document_id: " " * p.chunk.start + p.chunk.text for p in self.passages}
        library = Library({name: text for name, text in texts.items() if name not in self.gone})
        return SupportFinder(self._embed, self._cosines, library)(sentence, marks, self.passages)

    def quotes(self, support: Support) -> list[str]:
        return [self._text(place, span) for place, span in support.spans]

    def _text(self, place: int, span: Span) -> str:
        chunk = self.passages[place].chunk
        return chunk.text[span[0] - chunk.start : span[1] - chunk.start]

    def _embed(self, text: str) -> Vectors:
        self.embedded.append(text)
        vector: Vectors = HashEmbedder().embed_queries([text])[0]
        return vector

    def _cosines(self, vector: Vectors, chunks: Sequence[int]) -> dict[int, list[float]]:
        held = {p.chunk.id: [p.chunk.text[start:end] for start, end in units(p.chunk)] for p in self.passages}
        return {i: (HashEmbedder().embed_documents(held[i]) @ vector).tolist() for i in chunks if held[i]}


@pytest.fixture
def desk() -> Desk:
    return Desk(
        [
            passage(LEAVE, name="leave", start=100, id=1, heading=("Holidays",)),
            passage(TRAVEL, name="travel", id=2),
            passage(RATES, name="rates", id=3, header=HEADER),
        ]
    )


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Everyone gets 26 days of paid leave a year.", "Everyone gets 26 days of paid leave a year."),
        ("Everyone gets twenty-six paid leave days each year.", "Everyone gets 26 days of paid leave a year."),
        ("Paid leave is asked for in writing, 2 weeks ahead.", "They are asked for in writing, two weeks ahead."),
        ("Contractors don't get any paid leave.", "Contractors do not get paid leave."),
        ("The Oslo office is closed on 3 July 2024.", "The office in Oslo is closed from 3 to 5 July 2024."),
        ("The office in Oslo is closed until 2024-07-05.", "The office in Oslo is closed from 3 to 5 July 2024."),
        ("A hotel in Oslo costs at most EUR 140 a night.", "A hotel in Oslo costs at most 140 euros a night."),
        ("- Claims are signed by **Maria Jensen**.", "Maria Jensen signs the claims."),
        ("Dogs are not allowed in the office.", "Dogs are forbidden in the office."),
    ],
)
def test_what_a_source_sentence_says_is_carried_by_it(desk: Desk, sentence: str, quote: str) -> None:
    support = desk.ask(sentence)
    assert support.supported, support.reason
    assert quote in " ".join(desk.quotes(support))


@pytest.mark.parametrize(
    ("sentence", "missing"),
    [
        ("Everyone gets 30 days of paid leave a year.", "The number “30 days” is not in the sources."),
        ("Everyone gets 26 hours of paid leave a year.", "The number “26 hours” is not in the sources."),
        ("A hotel in Oslo costs at most 140 dollars a night.", "The number “140 dollars” is not in the sources."),
        ("A hotel in Oslo costs at most 26 euros a night.", "26 euros"),
        ("The office in Oslo is closed on 3 August 2024.", "The date “3 August 2024” is not in the sources."),
        ("The office in Oslo is closed from 3 to 5 July 2023.", "“5 July 2023”"),
        ("The office in Bergen is closed from 3 to 5 July 2024.", "The name “Bergen” is not in the sources."),
        ("Bergen is closed from 3 to 5 July 2024.", "The name “Bergen” is not in the sources."),
        ("Ole Jensen signs the claims.", "The name “Ole” is not in the sources."),
        ("Contractors get paid leave.", "the opposite"),
        ("Everyone does not get 26 days of paid leave a year.", "the opposite"),
        ("Dogs are allowed in the office.", "the opposite"),
        ("A hotel in Oslo costs at least 140 euros a night.", "the opposite of “least”"),
        (
            "Write to boss@example.org for leave in writing, two weeks ahead.",
            "The address “boss@example.org” is not in the sources.",
        ),
        ("The canteen serves fresh soup every morning.", "The sources do not say this."),
    ],
)
def test_what_is_missing_is_named(desk: Desk, sentence: str, missing: str) -> None:
    support = desk.ask(sentence, 0, 1)
    assert not support.supported
    assert missing in support.reason


def test_a_figure_that_counts_something_else_proves_nothing(desk: Desk) -> None:
    support = desk.ask("Everyone gets 140 days of paid leave a year.")
    assert not support.supported
    assert "140" in support.reason


def test_a_name_in_the_place_of_another_is_found_out() -> None:
    desk = Desk([passage("Maria Jensen signs the travel claims. Ole Berg runs the canteen.", id=1)])
    assert desk.ask("Maria Jensen signs the travel claims.").supported
    support = desk.ask("Ole Berg signs the travel claims.")
    assert not support.supported
    assert "Ole" in support.reason or "Berg" in support.reason


@pytest.mark.parametrize(
    "sentence",
    ["Contractors get 26 days of paid leave a year.", "Contractors get twenty-six leave days.", "Dogs get 26 days a year."],
)
def test_what_is_said_of_others_is_not_carried(desk: Desk, sentence: str) -> None:
    assert not desk.ask(sentence, 0).supported


def test_the_marked_passage_is_looked_at_first() -> None:
    twice = [passage("Leave is 26 days a year.", name=name, id=number) for number, name in enumerate(("old", "new"), 1)]
    desk = Desk(twice)
    for mark in (0, 1):
        assert [place for place, _ in desk.ask("Leave is 26 days a year.", mark).spans] == [mark]


def test_a_wrong_mark_is_mended(desk: Desk) -> None:
    support = desk.ask("Maria Jensen signs the claims.", 0)
    assert support.supported
    assert [place for place, _ in support.spans] == [1]


@pytest.mark.parametrize("marks", [(), (99,), (-1,), (0, 0, 7)])
def test_marks_that_name_no_passage_count_for_nothing(desk: Desk, marks: tuple[int, ...]) -> None:
    assert desk.ask("Maria Jensen signs the claims.", *marks).supported


def test_spans_are_offsets_in_the_document(desk: Desk) -> None:
    (place, (start, end)) = desk.ask("Contractors do not get paid leave.", 0).spans[0]
    assert (place, LEAVE[start - 100 : end - 100]) == (0, "Contractors do not get paid leave.")


def test_two_sentences_may_carry_one(desk: Desk) -> None:
    support = desk.ask("A hotel in Oslo costs at most 140 euros a night, and Maria Jensen signs the claims.", 1)
    assert support.supported, support.reason
    assert desk.quotes(support) == ["A hotel in Oslo costs at most 140 euros a night. Maria Jensen signs the claims."]


def test_a_row_comes_with_its_header(desk: Desk) -> None:
    support = desk.ask("The night rate in Lisbon is 95 euros.", 2)
    assert support.supported, support.reason
    assert desk.quotes(support) == [RATES[slice(*HEADER)], "| Lisbon | 95 euros |"]


def test_the_first_row_and_its_header_are_one_span(desk: Desk) -> None:
    support = desk.ask("The night rate in Oslo is 140 euros.", 2)
    assert desk.quotes(support) == [RATES[: RATES.index("\n| Lisbon")]]


def test_a_figure_of_another_row_is_refused(desk: Desk) -> None:
    assert not desk.ask("The night rate in Lisbon is 180 euros.", 2).supported


def test_a_heading_may_hold_the_name() -> None:
    desk = Desk([passage("The office opens at 9 am.", heading=("Bergen",), id=1)])
    assert desk.ask("The office in Bergen opens at 9:00.").supported
    assert not desk.ask("The office in Oslo opens at 9:00.").supported


@pytest.mark.parametrize(
    "sentence", ["Hello!", "Thank you very much.", "You're welcome!", "Good morning and thanks.", "I'm happy to help."]
)
def test_politeness_needs_no_proof(desk: Desk, sentence: str) -> None:
    assert desk.ask(sentence) == Support(True)


@pytest.mark.parametrize("sentence", ["Yes.", "Hello, leave is 40 days.", "Thanks to the new rule you may leave early."])
def test_more_than_politeness_needs_proof(desk: Desk, sentence: str) -> None:
    assert not desk.ask(sentence).supported


@pytest.mark.parametrize(
    "sentence",
    [
        "The documents do not mention parking.",
        "Unfortunately, the provided passages don't say anything about pensions.",
        "The sources do not specify the price of lunch.",
    ],
)
def test_saying_that_the_documents_are_silent_needs_no_proof(desk: Desk, sentence: str) -> None:
    assert desk.ask(sentence) == Support(True)


@pytest.mark.parametrize(
    "sentence",
    [
        "The documents do not mention parking, but it is free.",
        "The documents do not mention that parking costs 40 euros.",
        "The documents do not mention parking in Bergen.",
        "The documents do not mention parking; it is free.",
        "The documents do not mention paid leave of contractors.",
    ],
)
def test_a_claim_behind_silence_is_refused(desk: Desk, sentence: str) -> None:
    support = desk.ask(sentence)
    assert not support.supported
    assert support.reason


def test_a_passage_whose_document_is_gone_proves_nothing(desk: Desk) -> None:
    desk.gone = ["leave"]
    assert not desk.ask("Contractors do not get paid leave.", 0).supported


def test_another_passage_takes_the_place_of_one_that_is_gone() -> None:
    desk = Desk(
        [passage("Leave is 26 days a year.", name=name, id=i) for i, name in enumerate(("old", "new"), 1)], gone=["old"]
    )
    assert [place for place, _ in desk.ask("Leave is 26 days a year.", 0).spans] == [1]


def test_without_passages_nothing_is_supported() -> None:
    assert Desk([]).ask("Leave is 26 days.").reason == "There are no sources."


@pytest.mark.parametrize("sentence", ["", " ", "**", "…", "🎉", "-"])
def test_a_sentence_that_says_nothing_is_refused(desk: Desk, sentence: str) -> None:
    assert desk.ask(sentence) == Support(False, reason="The sentence says nothing.")


def test_words_alone_decide_where_they_can(desk: Desk) -> None:
    assert desk.ask("Contractors do not get paid leave.").supported
    assert not desk.ask("Everyone gets 30 days of paid leave a year.").supported
    assert desk.embedded == []


def test_meaning_decides_where_words_do_not(desk: Desk) -> None:
    near = "Everyone gets 26 days of paid rest a year, truly."
    far = "Everyone hopes that this year brings calm weather, happy songs and tasty bread."
    assert desk.ask(near, 0).supported
    assert desk.embedded == [near]
    assert not desk.ask(far, 0).supported
    assert desk.embedded == [near, far]


def test_another_language_is_not_carried_by_words(desk: Desk) -> None:
    assert not desk.ask("Alle bekommen bezahlten Urlaub und viel frische Suppe.").supported


LONG = ["a", "A ", "1 ", "not ", "日", "🎉", "(", "**", "May 3 ", "a@", "http://", "twenty-", "[1]", "’s ", "\n"]


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("length", [1_900, 10_000])
def test_long_and_odd_sentences_get_an_answer(desk: Desk, text: str, length: int) -> None:
    assert not desk.ask(text * (length // len(text))).supported


@given(st.text(max_size=80), st.lists(st.integers(-3, 5), max_size=3))
def test_whatever_is_said_the_spans_lie_in_their_passages(sentence: str, marks: list[int]) -> None:
    desk = Desk([passage(LEAVE, name="leave", start=100, id=1), passage(RATES, name="rates", id=3, header=HEADER)])
    support = desk.ask(sentence, *marks)
    assert support.supported or support.reason
    for place, (start, end) in support.spans:
        chunk = desk.passages[place].chunk
        assert chunk.start <= start < end <= chunk.end


@pytest.mark.parametrize("sentence", ["They may sell up to 26 days a year.", "Hotels may refund 140 euros."])
def test_of_few_words_the_one_that_is_missing_may_be_all_that_is_said(desk: Desk, sentence: str) -> None:
    assert not desk.ask(sentence).supported


@pytest.mark.parametrize("sentence", ["How many days of paid leave does everyone get?", "The answer is: 26.", "26 days."])
def test_a_question_or_a_bare_figure_says_nothing_that_can_be_proved(desk: Desk, sentence: str) -> None:
    assert not desk.ask(sentence).supported


def test_what_a_model_puts_before_its_answer_does_not_count(desk: Desk) -> None:
    assert desk.ask("The answer is: everyone gets 26 days of paid leave a year.").supported


@pytest.mark.parametrize(
    ("source", "carried"),
    [
        ("The main causes of the long war among the cities were pride, it is said.", True),
        ("What were the main causes of the long war among the cities, is it pride?", False),
        ("Explain the main causes of the long war among the cities, were it pride.", False),
    ],
)
def test_a_sentence_that_only_asks_carries_no_answer_by_nearness(source: str, carried: bool) -> None:
    desk = Desk([passage(source, id=1)])
    assert desk.ask("The main causes of the long war among the cities were pride and greed.").supported is carried
