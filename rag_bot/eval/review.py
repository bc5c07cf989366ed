"""A person goes through a question set in the terminal: keep, edit, drop; every decision is kept at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rag_bot.eval.files import read, write
from rag_bot.eval.types import Case

Ask = Callable[[str], str | None]
"""Shows a prompt and returns a line, or None at the end of input."""
Show = Callable[[str], None]

KEYS = "[k]eep  [e]dit  [d]rop  [b]ack  [q]uit"


@dataclass(slots=True)
class Tally:
    """What became of the questions that were looked at."""

    kept: int = 0
    edited: int = 0
    dropped: int = 0
    left: int = 0


def review(path: Path, show: Show, ask: Ask, *, again: bool = False) -> Tally:
    """Go through the questions of a file that nobody has looked at yet, or (`again`) all. Stopped at any time, what was decided
    stays. Raises BadDataset."""
    cases: list[Case | None] = list(read(path))
    todo = [at for at, case in enumerate(cases) if case and (again or not case.review)]
    before = {at: cases[at] for at in todo}
    tally, place = Tally(), 0
    while place < len(todo):
        at = todo[place]
        case = before[at]
        assert case is not None
        show(_shown(case, place + 1, len(todo)))
        key = (ask(f"{KEYS}: ") or "q").strip().lower()[:1]
        if key == "q":
            break
        if key == "b":
            place = max(0, place - 1)
            cases[todo[place]] = before[todo[place]]
            write(path, [one for one in cases if one])
            continue
        if key not in ("k", "e", "d"):
            show(f"Type one of the letters: {KEYS}")
            continue
        cases[at] = None if key == "d" else replace(case, review="kept") if key == "k" else _edited(case, show, ask)
        write(path, [one for one in cases if one])
        place += 1
    for at in todo[:place]:
        now = cases[at]
        tally.dropped += now is None
        tally.kept += now is not None and now.review == "kept"
        tally.edited += now is not None and now.review == "edited"
    tally.left = len(todo) - place
    return tally


def _edited(case: Case, show: Show, ask: Ask) -> Case:
    show("An empty line leaves it as it is.")
    question = (ask("Question: ") or "").strip() or case.question
    answers: Sequence[str] = case.answers
    if case.answerable:
        typed = (ask("Answer (several: parted by ||; a single - for none): ") or "").strip()
        if typed:
            answers = () if typed == "-" else [part.strip() for part in typed.split("||") if part.strip()]
    return replace(case, question=question, answers=tuple(answers), review="edited")


def _shown(case: Case, number: int, of: int) -> str:
    lines = [f"\n{number}/{of}  {case.kind}", f"  {case.question}"]
    lines += [f"    before: {turn.question}" for turn in case.turns]
    if case.answerable is False:
        lines.append("  Answer: none; it is to be refused" + (", with this taken out:" if case.hidden else "."))
    elif case.answers:
        lines.append(f"  Answer: {' || '.join(case.answers)}")
    for place in (case.wanted or case.hidden)[:1]:
        quote = " ".join(place.quote.split())
        lines.append(f"  {place.document}")
        lines.append(f"    “{quote[:300]}{'…' if len(quote) > 300 else ''}”" if quote else "    (the whole document)")
    return "\n".join(lines)
