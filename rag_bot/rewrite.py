"""A follow-up to a question that stands alone: what the conversation is about is put before it, in the user's words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag_bot.types import Standalone, Turn
from rag_bot.words import CONTINUING, POINTING, STOPWORDS

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_FEW = 2  # a question with no more content words than this leans on the one before


def rewrite(question: str, turns: Sequence[Turn]) -> Standalone:
    """The question with the words of earlier turns that it needs (`turns` oldest first).

    A question that goes on ("and for contractors?") or points back ("how long does it last?") gets the last question
    that stood alone before it; one that points back gets the turn before, too. Joining all turns finds less than the
    last one alone (MTRAG, benchmarks/retrieval.py), so nothing more is taken along.
    """
    question = " ".join(question.split())
    if not turns or not leans(question):
        return Standalone(question, question)
    root = next((turn.question for turn in reversed(turns) if not leans(turn.question)), turns[0].question)
    parts = [root]
    if _points(question) and turns[-1].question != root:
        parts.append(turns[-1].question)
    return Standalone(" ".join([*(" ".join(part.split()) for part in parts), question]), question)


def leans(question: str) -> bool:
    """Whether a question needs the one before to be understood."""
    lowered = question.lower().strip()
    content = [word for word in _words(lowered) if word not in STOPWORDS]
    return lowered.startswith(CONTINUING) or _points(question) or len(content) < _FEW


def _points(question: str) -> bool:
    words = _words(question.lower())
    # "Is it true that …", "is there …", "that the …" don't point back: only a pointing word with little else does.
    pointing = [word for word in words if word in POINTING]
    content = [word for word in words if word not in STOPWORDS and word not in POINTING]
    if not pointing:
        return False
    if words[:2] in (["is", "there"], ["are", "there"]) and pointing == ["there"]:
        return False
    return len(content) <= 4


def _words(text: str) -> list[str]:
    return _WORD.findall(text)
