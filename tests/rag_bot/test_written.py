"""A reply that streams in is cut into sentences with their marks; nothing is lost, however it is torn."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bot.answer.written import Written, written


async def pieces(texts: Iterable[str]) -> AsyncGenerator[str, None]:
    for text in texts:
        yield text


async def sentences(*texts: str) -> list[Written]:
    return [sentence async for sentence in written(pieces(texts))]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Leave is 26 days [2].", [("Leave is 26 days.", (2,))]),
        ("Leave is 26 days. [2] It ends in March. [1]", [("Leave is 26 days.", (2,)), ("It ends in March.", (1,))]),
        ("Leave is 26 days.[2] It ends in March.[1]", [("Leave is 26 days.", (2,)), ("It ends in March.", (1,))]),
        ("He said “no.”[2] It ends.", [("He said “no.”", (2,)), ("It ends.", ())]),
        ("Leave is 26 days [2]. It ends in March [1].", [("Leave is 26 days.", (2,)), ("It ends in March.", (1,))]),
        ("Leave is 26 days [1][3].", [("Leave is 26 days.", (1, 3))]),
        ("Leave is 26 days [1], [3].", [("Leave is 26 days.", (1, 3))]),
        ("Leave is 26 days [1] and [3].", [("Leave is 26 days.", (1, 3))]),
        ("Leave is 26 days. [1], [3] It ends.", [("Leave is 26 days.", (1, 3)), ("It ends.", ())]),
        ("Leave is 26 days [3, 1, 3].", [("Leave is 26 days.", (3, 1))]),
        ("Leave is 26 days [1-3].", [("Leave is 26 days.", (1, 2, 3))]),
        ("Leave is 26 days [9–7].", [("Leave is 26 days.", (9, 7))]),
        ("Leave is 26 days [Passage 2].", [("Leave is 26 days.", (2,))]),
        ("Leave is 26 days [passages 2 and 4].", [("Leave is 26 days.", (2, 4))]),
        ("Leave is 26 days (source 2).", [("Leave is 26 days.", (2,))]),
        ("Leave is 26 days 【2†L1-L9】.", [("Leave is 26 days.", (2,))]),
        ("Leave is 26 days[^2].", [("Leave is 26 days.", (2,))]),
        ("Leave is **26 days** [1].", [("Leave is 26 days.", (1,))]),
        ("- Leave is 26 days [1]\n- It ends in March [2]", [("- Leave is 26 days", (1,)), ("- It ends in March", (2,))]),
        ("Leave is 26 days\n\n[1]\n[2]\n", [("Leave is 26 days", (1, 2))]),
        ("[1] Leave is 26 days.", [("Leave is 26 days.", (1,))]),
        ("Dr. Smith earns 3.5 euros, e.g. on Mondays.", [("Dr. Smith earns 3.5 euros, e.g. on Mondays.", ())]),
        ("See [sic] and (1998) and [a b].", [("See [sic] and (1998) and [a b].", ())]),
        ("休暇は26日です。[1]三月に終わります。", [("休暇は26日です。", (1,)), ("三月に終わります。", ())]),
        ("“Quoted.”[1]! [2] Next.", [("“Quoted.”", (1, 2)), ("Next.", ())]),
        ("Leave. — [2]", [("Leave.", (2,))]),
        ("It ends [2", [("It ends [2", ())]),
        ("[1] . **", []),
        (" \n ", []),
        ("", []),
    ],
)
async def test_a_reply_is_cut_into_sentences_with_their_marks(reply: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    whole = [Written(*pair) for pair in expected]
    assert await sentences(reply) == whole
    assert await sentences(*reply) == whole


WORDS = ["Leave", "is", "26", "days", "3.5", "Dr. Smith", "Ünïcode 🦊", "“quoted.”"]
ENDS = [".", "!", "?", "…", "", ":"]
MARKS = ["", "[1]", " [2]", "[3][4]", " [5, 6]", " [passage 7]", "[8-9]", " (source 10)", "[", " [x]", "(11)"]
GAPS = [" ", "\n", "\n\n", "  ", "\n- "]
REPLIES = st.lists(
    st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), *map(st.sampled_from, (MARKS, ENDS, MARKS, GAPS))),
    max_size=6,
).map(lambda parts: "".join(" ".join(words) + "".join(rest) for words, *rest in parts))


@given(REPLIES, st.data())
async def test_however_a_reply_is_torn_its_sentences_are_the_same(reply: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=8)))
    torn = [reply[start:end] for start, end in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    assert await sentences(*torn) == await sentences(reply)


@given(REPLIES)
async def test_every_word_and_every_mark_comes_out_once_and_in_order(reply: str) -> None:
    found = await sentences(*reply)
    said = " ".join(sentence.text for sentence in found)
    marks = r"\[[\d, -]+\]|\[passage \d\]|\(source \d+\)"
    left = re.sub(marks, " ", reply)
    assert re.findall(r"\w+", said) == re.findall(r"\w+", left)
    named = [
        number
        for mark in re.findall(marks, reply)
        for number in (range(8, 10) if "8-9" in mark else map(int, re.findall(r"\d+", mark)))
    ]
    assert set(named) == {number for sentence in found for number in sentence.marks}


async def test_a_sentence_comes_as_soon_as_the_next_has_begun() -> None:
    given = []

    async def telling() -> AsyncGenerator[str, None]:
        for text in ("Leave is 26 days.", " [2", "]", " It", " ends."):
            given.append(text)
            yield text

    stream = written(telling())
    assert await anext(stream) == Written("Leave is 26 days.", (2,))
    assert given[-1] == " It"
    assert await anext(stream) == Written("It ends.", ())


async def test_when_the_reply_breaks_off_the_last_sentence_is_lost_and_the_others_are_not() -> None:
    async def breaking() -> AsyncGenerator[str, None]:
        yield "Leave is 26 days [1]. It ends in March, unl"
        raise ConnectionError("gone")

    stream = written(breaking())
    assert await anext(stream) == Written("Leave is 26 days.", (1,))
    with pytest.raises(ConnectionError):
        await anext(stream)


async def test_closing_it_closes_the_reply() -> None:
    closed = []

    async def telling() -> AsyncGenerator[str, None]:
        try:
            yield "One. Two. Three."
            yield "Four."
        finally:
            closed.append(True)

    stream = written(telling())
    await anext(stream)
    await stream.aclose()
    assert closed == [True]


@pytest.mark.parametrize(
    "reply",
    [
        "a. [" + "1, " * 1_500,
        "a. [" + "1 and " * 1_000,
        "a. [1," + " " * 4_000 + "x",
        "a.\n" + "[1]\n" * 1_000,
        "a. " + "[1] " * 1_200,
        "**" * 3_000,
        "(" * 5_000,
        "word " * 4_000,
        "\n" * 5_000,
    ],
    ids=lambda reply: f"{reply[:8]!r}",
)
async def test_a_reply_that_never_ends_a_mark_or_a_sentence_is_soon_read(reply: str) -> None:
    """Two ways to match a text would make some of these take years."""
    found = await sentences(*(reply[at : at + 4] for at in range(0, len(reply), 4)))
    words = re.sub(r"\[1\]", "", reply)
    assert re.findall(r"\w+", " ".join(sentence.text for sentence in found)) == re.findall(r"\w+", words)
