"""An answer's whole text from its sentences: each followed by the marks of its citations, a table set apart."""

from __future__ import annotations

from collections.abc import Sequence

from rag_bot.types import Sentence


def piece(sentence: Sentence, before: Sentence | None) -> str:
    """What a sentence adds to the text of an answer in which `before` came last (None: it is the first)."""
    marks = "".join(f"[{n}]" for n in sentence.citations)
    table = _is_table(sentence)
    gap = "" if before is None else "\n\n" if table or _is_table(before) else " "
    if not marks:
        return f"{gap}{sentence.text}"
    return f"{gap}{sentence.text}\n\n{marks}" if table else f"{gap}{sentence.text} {marks}"


def joined(sentences: Sequence[Sentence]) -> str:
    """The whole text."""
    return "".join(piece(one, before) for before, one in zip([None, *sentences], sentences, strict=False))


def _is_table(sentence: Sentence) -> bool:
    return sentence.text.startswith("|") and "\n" in sentence.text
