"""What the evaluation's tests share: short ways to a question and to a record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rag_bot.eval.metrics import is_right
from rag_bot.eval.types import Case, Cited, Record, Retrieved, Said, Wanted

CASES = (
    Case(
        "leave", "How many days of paid leave does everyone get?", True, ("26 days",), (Wanted("leave.md", "26 days of paid"),)
    ),
    Case("oslo", "What is the night rate in Oslo?", True, ("140 euros",), (Wanted("rates.csv", "Oslo"),), kind="table"),
    Case("quark", "Which quark has the largest mass?", False, kind="none"),
)


def record(id: str, *, wanted: bool = True, rank: int | None = 0, **given: Any) -> Record:
    """A record of a question with one wanted place, which stands at `rank` of five passages (None: nowhere)."""
    case = Case(id, f"Question {id}?", True, wanted=(Wanted("leave.md", "words"),) if wanted else ())
    hits = tuple(hit(n, (0,) if n == rank else ()) for n in range(5))
    made = Record(
        **{"case": case, "question": case.question, "answer": "Yes. [1]", "confidence": 0.8, "retrieved": hits, **given}
    )
    if made.refused or made.case.answerable is None or made.right is not None:
        return made
    return replace(made, right=is_right(made))


def hit(number: int, wanted: tuple[int, ...] = (), document: str = "") -> Retrieved:
    name = document or f"d{number}"
    return Retrieved(name, f"{name}.md", name, (), None, number, number + 1, 1.0, f"text {number}", wanted)


def cited(*wanted: int, n: int = 1, quote: str = "Yes.") -> Cited:
    return Cited(n, "d0", "d0.md", "d0", None, (), 0, len(quote), quote, wanted)


def said(text: str = "Yes.", *marks: int, carried: bool = True, useful: tuple[bool, ...] = ()) -> Said:
    return Said(text, True, marks or (1,), carried, useful or (carried,))
