"""Where sentences end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sentences import split


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Leave is thirty days. | It is paid!  | Is it enough? | Yes…",
        "He said “No.” | She left (at noon). | Nobody spoke.",
        "Ask Dr. Smith or Mrs. Jones. | They know, i.e. they should.",
        "J. R. Smith wrote it. | So did A. Jones.",
        "The rate is 3.5 per cent. | It rose by 0.25 in 2021. | Then it fell.",
        "See fig. 3 and no. 7 of vol. 2. | The rest is in the appendix.",
        "The office closes at 5 p.m. | Nobody stays.",
        "The lease ran to Sept. 30 and was renewed. | It ends now.",
        "Acme Inc. | Berlin holds the lease.",
        "Write to help@example.org or see example.org/a.b?c=d. | Both work.",
        "He may go, can I? | No, not I. | Then who?",
        "deficiency of vitamin C . | Scurvy follows .",
        "休暇は三十日です。|有給です！|足りますか？|はい。",
        "他说：“不行。”|她走了。",
        "Rules:\n|- No dogs\n|- No cats. | Not one.\n|1. Open the lid\n|2. Close it\n|(3) Leave",
        "1. Open the lid. | 2. Close it.",
        "A heading without a stop\n\n|The paragraph below it\ngoes on here.",
        "One paragraph\n \t \n\n|and another",
        "What?! | Really... | “Yes.” | 🙂 Done",
    ],
)
def test_a_bar_stands_wherever_a_sentence_ends(text: str) -> None:
    # Full-width marks and line breaks end one without a space; elsewhere the bars stand between spaces.
    expected = [part.strip() for part in text.split("|")]
    assert sentences(text.replace(" | ", " ").replace("|", "")) == expected


@given(st.text() | st.text(alphabet='aA1 .!?…。"”)\n\t-(', max_size=60))
def test_sentences_hold_all_but_the_space_between_them(text: str) -> None:
    reached = 0
    for start, end in split(text):
        assert reached <= start < end
        assert not text[reached:start].strip()
        assert text[start:end] == text[start:end].strip()
        reached = end
    assert not text[reached:].strip()


@pytest.mark.parametrize(
    "piece", [".", "?!", ".'", " ", "\n", "\n ", "。", "1. ", "a. ", "Mr. ", ".\n", "x", "((", ".)"], ids=repr
)
def test_text_made_of_one_thing_over_and_over_is_no_trap(piece: str) -> None:
    text = piece * (200_000 // len(piece)) + "x"
    assert sum(end - start for start, end in split(text)) <= len(text)
