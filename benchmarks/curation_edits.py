"""Edits of a passage after which it says the same, or does not: made near-duplicates for the benchmark of curation."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.data import Passage

_MONTHS = {"January": "July", "March": "April", "May": "June", "August": "October", "December": "November"}


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that is made to a passage: `make` gives None where there is nothing to change. `same` says that the passage
    says the same after it."""

    name: str
    same: bool
    make: Callable[[str, random.Random], str | None]


def _typo(text: str, rng: random.Random) -> str | None:
    """Two letters inside a long word change places."""
    words = [m for m in re.finditer(r"(?<![\w-])[a-z]{6,}(?![\w-])", text) if m.group()[2] != m.group()[3]]
    if not words:
        return None
    word = rng.choice(words)
    at = word.start() + 2
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _layout(text: str, rng: random.Random) -> str:
    """Other line breaks, spaces, quotes and dashes."""
    words = text.split(" ")
    return (
        "".join(f"{word}{rng.choice((' ', ' ', ' ', '  ', chr(10)))}" for word in words).replace('"', "”").replace(" - ", " – ")
    )


def _longer(text: str, rng: random.Random) -> str:
    return text + rng.choice((" Please read this carefully before you go on.", " This text is for whoever wants to know more."))


def _shorter(text: str, rng: random.Random) -> str | None:
    """Without its first words, as where a line was lost; only where no fact and no name is among them."""
    match = re.match(r"(?:[A-Z][a-z]+ )[a-z]{2,}(?: [a-z]{2,}){2} ", text)
    return text[match.end() :] if match else None


def _number(text: str, rng: random.Random) -> str | None:
    found = list(re.finditer(r"(?<![\d.,])\d{1,4}(?![\d.,]\d)", text))
    if not found:
        return None
    match = rng.choice(found)
    return text[: match.start()] + str(int(match.group()) + rng.randint(1, 8)) + text[match.end() :]


def _negation(text: str, rng: random.Random) -> str | None:
    found = list(re.finditer(r"\b(?:is|are|was|were|has|had|can|will|must|should)\b(?! not)", text))
    if not found:
        return None
    match = rng.choice(found)
    return f"{text[: match.end()]} not{text[match.end() :]}"


def _month(text: str, rng: random.Random) -> str | None:
    found = [month for month in _MONTHS if re.search(rf"\b{month}\b", text)]
    return re.sub(rf"\b{found[0]}\b", _MONTHS[found[0]], text, count=1) if found else None


def _name(text: str, rng: random.Random) -> str | None:
    found = list(re.finditer(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b", text))
    if not found:
        return None
    match = rng.choice(found)
    return f"{text[: match.start()]}Brandenstein{text[match.end() :]}"


def _word(text: str, rng: random.Random) -> str | None:
    """Another ordinary word in the place of one, which may change what is said."""
    found = list(re.finditer(r"(?<= )[a-z]{6,}(?= )", text))
    if not found:
        return None
    match = rng.choice(found)
    return f"{text[: match.start()]}contractors{text[match.end() :]}"


EDITS = (
    Edit("another layout", True, _layout),
    Edit("a typing error", True, _typo),
    Edit("a sentence more, without facts", True, _longer),
    Edit("the first words lost", True, _shorter),
    Edit("another number", False, _number),
    Edit("a negation", False, _negation),
    Edit("another month", False, _month),
    Edit("another name", False, _name),
    Edit("another ordinary word", False, _word),
)


def edited(passages: Sequence[Passage], edits: Sequence[Edit]) -> Iterator[tuple[Passage, Edit]]:
    rng = random.Random(1)
    for passage in passages:
        for edit in edits:
            changed = edit.make(passage.text, rng)
            if changed and changed != passage.text:
                yield Passage(f"{passage.id}/{edit.name}", passage.title, changed), edit


def origin(name: str) -> str:
    """The passage that an edit was made of; a passage itself."""
    begin, _, end = name.rpartition("/")
    return begin if any(end == edit.name for edit in EDITS) else name
