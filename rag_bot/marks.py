"""An answer's whole text from its sentences: each followed by the marks of its citations; a table stands
apart, and an item of a list on a line of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag_bot.types import Sentence

_ITEM = re.compile(r"(?:[-*•–]|\d{1,3}[.)])\s")  # of a list that an LLM wrote


def piece(sentence: Sentence, before: Sentence | None) -> str:
    """What a sentence adds to the text of an answer in which `before` came last (None: it is the first)."""
    marks = "".join(f"[{n}]" for n in sentence.citations)
    table = _is_table(sentence)
    apart = table or (before is not None and _is_table(before))
    gap = "" if before is None else "\n\n" if apart else "\n" if _ITEM.match(sentence.text) else " "
    if not marks:
        return f"{gap}{sentence.text}"
    return f"{gap}{sentence.text}\n\n{marks}" if table else f"{gap}{sentence.text} {marks}"


def joined(sentences: Sequence[Sentence]) -> str:
    """The whole text."""
    return "".join(piece(one, before) for before, one in zip([None, *sentences], sentences, strict=False))


def _is_table(sentence: Sentence) -> bool:
    return sentence.text.startswith("|") and "\n" in sentence.text
