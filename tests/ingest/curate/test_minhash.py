"""How alike two texts are, and which keys they are found by."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.curate import Signature
from ingest.curate.minhash import SIZE, alike, bands, likeness
from ingest.curate.sign import shingles, sign

WORDS = np.random.default_rng(5).choice([f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(600)], 200).tolist()


def one(text: str) -> Signature:
    return sign([text])[0][0]


def test_the_same_words_have_the_same_signature() -> None:
    assert one("The office closes at six.") == one("the office closes at six")
    assert likeness(one("The office closes at six."), one("the OFFICE closes at six")) == 1.0


@pytest.mark.parametrize("changed", [2, 10, 40, 120])
def test_likeness_estimates_the_jaccard_index(changed: int) -> None:
    other = WORDS[: len(WORDS) - changed] + [f"x{word}" for word in WORDS[len(WORDS) - changed :]]
    ours, theirs = set(shingles(WORDS).tolist()), set(shingles(other).tolist())
    exact = len(ours & theirs) / len(ours | theirs)
    assert likeness(one(" ".join(WORDS)), one(" ".join(other))) == pytest.approx(exact, abs=0.2)


def test_the_whole_holds_its_parts() -> None:
    half = len(WORDS) // 2
    _, whole = sign([" ".join(WORDS[:half]), "", " ".join(WORDS[half:])])
    assert likeness(whole, one(" ".join(WORDS))) > 0.9
    assert (whole.facts, whole.names) == (0, 0)


def test_without_words_there_is_no_signature() -> None:
    assert sign(["", " … ", "\n"]) == ([Signature(), Signature(), Signature()], Signature())
    assert sign([]) == ([], Signature())
    assert bands(Signature()) == ([], [])
    assert likeness(Signature(), Signature()) == 0.0


def test_keys_fit_into_the_store_and_tell_facts_apart() -> None:
    ten, twelve = one("The room costs 10 euros for a night."), one("The room costs 12 euros for a night.")
    assert ten.minhash == twelve.minhash
    assert len(ten.minhash) == 2 * SIZE
    assert not set(bands(ten)[0]) & set(bands(twelve)[0])
    assert bands(ten)[1] == bands(twelve)[1]
    assert all(0 <= key < 2**63 for keys in bands(ten) for key in keys)


def test_groups_of_those_that_are_alike() -> None:
    text = " ".join(WORDS)
    texts = {"a": text, "b": text + " and a little more", "c": "Something else altogether is said here.", "d": "", "e": text}
    signatures = {name: one(some) for name, some in texts.items()}
    assert alike(signatures, 0.8) == [["a", "b", "e"]]
    assert alike({}, 0.8) == []
