"""Detectors of what has no place in an answer: personal data, secrets, orders to a model, hidden text.

Documents meet them at ingestion; the chatbot's rails call the same ones. A detector takes a text and gives `Finding`s,
and never fails on any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Group = Literal["personal", "secret", "order", "hidden"]

MASK = "█"
"""What stands in the place of each masked character, so that every offset into the text stays right."""

_SEEN = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector found at `text[start:end]`. `kind` names it within its group, such as `email` or `iban`.

    `score` is in 0..1, higher is surer. `note` says why in a few words, and never repeats what was found.
    """

    group: Group
    kind: str
    start: int
    end: int
    score: float = 1.0
    note: str = ""


def masked(text: str, findings: Iterable[Finding]) -> str:
    """The text with every character found, but for white space, replaced by `MASK`: it keeps its length and its lines."""
    parts, at = [], 0
    for start, end in sorted((max(0, finding.start), min(finding.end, len(text))) for finding in findings):
        if end > max(at, start):
            parts += [text[at:start], _SEEN.sub(MASK, text[max(at, start) : end])]
            at = end
    return "".join([*parts, text[at:]]) if parts else text
