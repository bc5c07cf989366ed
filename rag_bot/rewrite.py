"""A follow-up to a question that stands alone: what the conversation is about is put before it, in the user's words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag_bot.types import Standalone, Turn
from rag_bot.words import CONTINUING, EXPLETIVE, FILLER, NAMED, POINTING, POSSESSIVE, STOPWORDS

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_FULL = 4  # a pointing word among more content words than this has what it points to in the same sentence


def rewrite(question: str, turns: Sequence[Turn]) -> Standalone:
    """The question with the words of earlier turns that it needs (`turns` oldest first).

    A question that goes on ("and for contractors?") or points back ("how long does it last?") gets the last question
    that stood alone before it; one that points back gets the turn before, too. Joining all turns finds less than the
    last one alone on MTRAG (benchmarks/retrieval.py has both forms), so nothing more is taken along.
    """
    question = " ".join(question.split())
    if not turns or not leans(question):
        return Standalone(question, question)
    root = next((turn.question for turn in reversed(turns) if not leans(turn.question)), turns[0].question)
    parts = [root]
    if _points(question.lower()) and turns[-1].question != root:
        parts.append(turns[-1].question)
    return Standalone(" ".join([*(" ".join(part.split()) for part in parts), question]), question)


def leans(question: str) -> bool:
    """Whether a question needs the one before to be understood."""
    lowered = FILLER.sub("", question.lower().strip())
    content = [word for word in _WORD.findall(lowered) if word not in STOPWORDS]
    if lowered.startswith(CONTINUING) or _points(lowered) or not content:
        return True
    return len(content) == 1 and not NAMED.match(lowered)


def _points(lowered: str) -> bool:
    """Whether a word stands for something said before the question."""
    pointing, content = False, 0
    for word in _WORD.findall(EXPLETIVE.sub(" ", lowered)):
        if word in POINTING:
            # "What is their notice period?" points back; "the car that an employee drives to his office" does not.
            pointing = pointing or word not in POSSESSIVE or content < 2
        elif word not in STOPWORDS:
            content += 1
    return pointing and content <= _FULL
