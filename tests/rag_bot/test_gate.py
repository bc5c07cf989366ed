"""The gate: nothing passes whose proof is not in the stored text at the stated place, to the character."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rag_bot.cite import cite
from rag_bot.gate import Gate, GateMode
from rag_bot.support import SupportFinder
from rag_bot.types import Citation, Claim, Judged
from tests.rag_bot.support import Library, passage

TEXT = "🦊 Employees do not get 30 days of leave. They get 26 days. They get 26 days."
QUOTE = "Employees do not get 30 days of leave."


def claim_of(text: str, *spans: tuple[int, int]) -> Claim:
    """The claim that quotes these spans of the text, word for word."""
    found = passage(text)
    citations = tuple(cite(n, found, (start, end), text[start:end]) for n, (start, end) in enumerate(spans, 1))
    return Claim("\n".join(citation.quote for citation in citations), citations)


def changed(claim: Claim, **fields: object) -> Claim:
    """The claim with something else in its first citation."""
    first: Citation = replace(claim.citations[0], **fields)  # type: ignore[arg-type]
    return replace(claim, citations=(first, *claim.citations[1:]))


@pytest.fixture
def claim() -> Claim:
    start = TEXT.index(QUOTE)
    return claim_of(TEXT, (start, start + len(QUOTE)))


@pytest.fixture
def gate() -> Gate:
    return Gate(Library({"doc": TEXT}))


def test_a_sentence_that_stands_in_the_text_passes(gate: Gate, claim: Claim) -> None:
    assert gate(claim).allowed


@pytest.mark.parametrize(
    "said",
    [
        "Employees do not get 31 days of leave.",
        "Employees get 30 days of leave.",
        "get 30 days of leave.",
        "Employees do not get 30 days of leave. They get 26 days.",
        "employees do not get 30 days of leave.",
        "Employees do not get 3 0 days of leave.",
        "",
        " ",
    ],
)
def test_other_words_than_the_quotes_are_refused(gate: Gate, claim: Claim, said: str) -> None:
    verdict = gate(replace(claim, text=said))
    assert (verdict.allowed, verdict.rail) == (False, "gate")
    assert verdict.reason


def test_the_same_words_on_other_lines_are_the_same(gate: Gate, claim: Claim) -> None:
    assert gate(replace(claim, text=claim.text.replace(" ", "\n  "))).allowed


@pytest.mark.parametrize(
    "fields",
    [
        {"start": 1},
        {"start": 3},
        {"end": 39},
        {"end": 41},
        {"start": -77},
        {"end": 10_000},
        {"document_id": "another"},
        {"quote": "Employees do get 30 days of leave."},
        {"quote": ""},
        {"quote": "", "start": 5, "end": 5},
        {"quote": " ", "start": 11, "end": 12},
    ],
    ids=str,
)
def test_a_quote_that_is_not_at_its_place_is_refused(gate: Gate, claim: Claim, fields: dict[str, object]) -> None:
    assert (claim.citations[0].start, claim.citations[0].end) == (2, 40)
    assert not gate(changed(claim, **fields)).allowed


def test_the_same_words_elsewhere_are_no_proof_at_this_place(gate: Gate) -> None:
    first = TEXT.index("They get")
    second = TEXT.rindex("They get")
    assert gate(claim_of(TEXT, (first, first + 17))).allowed
    assert gate(claim_of(TEXT, (second, second + 17))).allowed
    assert not gate(changed(claim_of(TEXT, (first, first + 17)), start=second)).allowed


def test_a_place_that_reaches_over_the_end_is_refused(gate: Gate) -> None:
    last = claim_of(TEXT, (len(TEXT) - 17, len(TEXT)))
    assert gate(last).allowed
    assert not gate(changed(last, end=len(TEXT) + 1)).allowed


def test_a_sentence_without_a_citation_is_refused(gate: Gate, claim: Claim) -> None:
    assert not gate(replace(claim, citations=())).allowed


def test_one_bad_citation_among_good_ones_is_refused(gate: Gate) -> None:
    two = claim_of(TEXT, (2, 40), (41, 58))
    assert gate(two).allowed
    assert not gate(replace(two, citations=(two.citations[0], replace(two.citations[1], end=57)))).allowed
    assert not gate(replace(two, citations=two.citations[:1])).allowed


def test_a_document_that_is_gone_proves_nothing(claim: Claim) -> None:
    assert not Gate(Library({}))(claim).allowed


@pytest.mark.parametrize(("mode", "allowed"), [("strict", False), ("flag", False), ("off", True)])
def test_only_off_does_not_look(claim: Claim, mode: GateMode, allowed: bool) -> None:
    gate = Gate(Library({"doc": TEXT}), mode)
    assert gate.mode == mode
    assert gate(claim).allowed
    assert gate(replace(claim, text="Employees get a car.")).allowed is allowed
    assert gate(Claim("Employees get a car.")).allowed is allowed


@st.composite
def claims(draw: st.DrawFn) -> tuple[str, Claim]:
    """A text and a claim that quotes one or two spans of it."""
    text = draw(st.text(min_size=1, max_size=60))
    spans = []
    for _ in range(draw(st.integers(1, 2))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        assume(text[start:end].strip())
        spans.append((start, end))
    return text, claim_of(text, *spans)


@given(claims())
def test_what_is_quoted_word_for_word_always_passes(made: tuple[str, Claim]) -> None:
    text, claim = made
    assert Gate(Library({"doc": text}))(claim).allowed


@given(claims(), st.data())
def test_whatever_is_tampered_with_is_refused(made: tuple[str, Claim], data: st.DataObject) -> None:
    text, claim = made
    citation = data.draw(st.sampled_from(claim.citations))
    match data.draw(st.sampled_from(["text", "quote", "start", "end", "document"])):
        case "text":
            said = data.draw(st.text(max_size=60) | st.sampled_from([claim.text[1:], claim.text[:-1], claim.text * 2]))
            assume(said.split() != claim.text.split())
            tampered = replace(claim, text=said)
        case "quote":
            quote = data.draw(st.text(max_size=60) | st.just(citation.quote[:-1]))
            assume(quote != citation.quote)
            tampered = _with(claim, citation, replace(citation, quote=quote))
        case "start":
            start = data.draw(st.integers(-80, 80))
            assume(start != citation.start)
            tampered = _with(claim, citation, replace(citation, start=start))
        case "end":
            end = data.draw(st.integers(-80, 80))
            assume(end != citation.end)
            tampered = _with(claim, citation, replace(citation, end=end))
        case _:
            tampered = _with(claim, citation, replace(citation, document_id="another"))
    assert not Gate(Library({"doc": text, "another": ""}))(tampered).allowed


def _with(claim: Claim, old: Citation, new: Citation) -> Claim:
    return replace(claim, citations=tuple(new if citation is old else citation for citation in claim.citations))


# --- what an LLM has written

LEAVE = passage("Employees get 26 days of leave a year. It is asked for in writing.", name="leave")
ILLNESS = passage("Who is ill calls the office before nine.", name="illness")
PASSAGES = [ILLNESS, LEAVE]
SHELF = Library({"leave": LEAVE.chunk.text, "illness": ILLNESS.chunk.text})


def written(text: str, *marks: int) -> Claim:
    return Claim(text, written=True, marks=marks)


def gate_of(mode: GateMode, library: Library = SHELF) -> Gate:
    """Judges by words alone: nothing here is near to anything in meaning."""
    support = SupportFinder(lambda text: np.zeros(1, np.float32), lambda vector, ids: {}, library)
    return Gate(library, mode, support)


def quotes(judged: Judged) -> list[str]:
    return [citation.quote for citation in judged.claim.citations]


@pytest.mark.parametrize("marks", [(1,), (0,), (), (7,)])
def test_a_written_sentence_gets_the_spans_that_carry_it_whatever_its_marks(marks: tuple[int, ...]) -> None:
    judged = gate_of("strict").prove(written("Employees have 26 days of leave each year.", *marks), PASSAGES)
    assert judged.verdict.allowed
    assert quotes(judged) == ["Employees get 26 days of leave a year."]
    [citation] = judged.claim.citations
    assert SHELF(citation.document_id, citation.start, citation.end) == citation.quote


@pytest.mark.parametrize(("mode", "allowed"), [("strict", False), ("flag", False), ("off", True)])
def test_a_written_sentence_with_another_figure_is_refused_with_the_reason(mode: GateMode, allowed: bool) -> None:
    judged = gate_of(mode).prove(written("Employees get 30 days of leave a year.", 1), PASSAGES)
    assert judged.verdict.allowed is allowed
    assert allowed or "30" in judged.verdict.reason
    assert quotes(judged) == ["Employees get 26 days of leave a year."]  # what comes nearest


def test_a_greeting_needs_no_proof_and_nothing_is_proved_by_nothing() -> None:
    assert gate_of("strict").prove(written("You're welcome!"), PASSAGES).verdict.allowed
    assert not gate_of("strict").prove(written("Employees get 26 days of leave a year."), []).verdict.allowed


def test_a_written_sentence_rests_on_no_document_that_is_gone() -> None:
    gone = gate_of("strict", Library({"illness": ILLNESS.chunk.text}))
    assert not gone.prove(written("Employees get 26 days of leave a year.", 1), PASSAGES).verdict.allowed


def test_a_quoted_claim_is_judged_word_for_word(gate: Gate, claim: Claim) -> None:
    assert gate.prove(claim, []) == Judged(claim, gate(claim))
    assert not gate.prove(replace(claim, text="Employees get leave."), []).verdict.allowed
