"""Labels of documents: words by which rules say who may read them; the same label is the same text, however it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MOST = 32
"""Labels that one document may have."""
LONGEST = 64
"""Characters of a label."""
_TOLD = 20_000  # characters, and texts, that are looked at
_INVISIBLE = ("Cc", "Cf", "Cs")  # control characters, what only formats, half surrogate pairs
_PARTED = re.compile(r"[,\r\n]")


def labels_of(told: Iterable[str]) -> tuple[str, ...]:
    """The labels that some texts name, each text one or several with commas or lines between: in order, each once.

    Upper and lower case, width, spaces around and invisible characters make no difference. Raises ValueError, saying what is
    wrong with them, rather than leave one out: a document must not be read by more people for it.
    """
    found: set[str] = set()
    left = _TOLD
    for text in told:
        left -= len(text) + 1
        if left < 0:
            raise ValueError(f"its labels have more than {_TOLD:,} characters")
        found |= {label for part in _PARTED.split(text) if (label := _normalised(part))}
        if len(found) > MOST:
            raise ValueError(f"it has more than {MOST} labels")
    for label in found:
        if len(label) > LONGEST:
            raise ValueError(f"the label {label[:20]}… has {len(label)} characters; {LONGEST} are the most")
    return tuple(sorted(found))


def _normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # Before what is invisible goes: a tab is a control character, and a space.
    words = " ".join(folded.split())
    return " ".join("".join(sign for sign in words if unicodedata.category(sign) not in _INVISIBLE).split())
