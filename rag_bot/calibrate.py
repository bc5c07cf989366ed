"""Refusal fitted to one's own documents: questions with known answers are asked, and the probability put on their scale."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_bot.answer.quote import choose
from rag_bot.confidence import FILE, Calibration, features
from rag_bot.errors import BadSetting
from rag_bot.evidence import EvidenceFinder
from rag_bot.retrieve import Retriever
from rag_bot.types import Standalone

FEWEST = 30
"""Fewer questions than these tell too little."""


@dataclass(frozen=True, slots=True)
class Example:
    """A question and the words that a right quote holds, none where the documents don't answer it. `source` is the end of the
    right document's path; empty: any."""

    question: str
    answer: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of an example: the numbers that its probability is made from, and whether the answer would be right."""

    values: tuple[float, ...]
    right: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A calibration that was made, and what it was made from."""

    calibration: Calibration
    questions: int
    answerable: int
    right: int

    def as_dict(self, max_wrong: float, path: Path) -> dict[str, Any]:
        """As `rag-bot calibrate --json` prints it; `smallest_max_wrong` is the smallest share of wrong answers that was
        reached, or null."""
        return {
            "questions": self.questions,
            "answerable": self.answerable,
            "right": self.right,
            "max_wrong": max_wrong,
            "smallest_max_wrong": min((wrong for _, wrong in self.calibration.curve), default=None),
            "threshold": round(self.calibration.threshold(max_wrong), 4),
            "file": str(path),
        }


def read(path: Path) -> list[Example]:
    """Examples of a JSON Lines file: `question`, `answer` (words that a right quote holds; empty or absent: the documents
    don't answer it) and, if need be, `source` (the right file's name). Raises BadSetting."""
    examples = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise BadSetting(f"{path} can't be read: {error}.", "Name a file of JSON Lines.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            question, answer, source = row["question"], row.get("answer") or "", row.get("source") or ""
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadSetting(
                f"Line {number} of {path} is no question: {error!r}.", 'A line is {"question", "answer"}.'
            ) from error
        if not all(isinstance(value, str) for value in (question, answer, source)) or not question.strip():
            raise BadSetting(f"Line {number} of {path} is no question.", "`question`, `answer` and `source` are texts.")
        examples.append(Example(question, answer, source))
    return examples


class Trial:
    """Asks examples as the bot would, and looks whether what it would quote is right."""

    def __init__(self, retrieve: Retriever, evidence: EvidenceFinder, passages: int) -> None:
        self._retrieve, self._evidence, self._passages = retrieve, evidence, passages

    def __call__(self, examples: Sequence[Example]) -> Iterator[Tried]:
        """One for each example that has a question word to look for; what finds nothing at all is refused anyway."""
        for example in examples:
            tried = self._try(example)
            if tried:
                yield tried

    def _try(self, example: Example) -> Tried | None:
        question = Standalone(example.question, example.question)
        vector = self._retrieve.vector(question)
        hits = self._retrieve(example.question, self._passages, vector=vector)
        weights = self._evidence.weights(question)
        evidence = self._evidence(question, weights, hits, vector)
        if not evidence or not weights.terms:
            return None
        right = bool(example.answer) and any(
            example.answer.lower() in item.text.lower() and hits[item.passage].document.source.endswith(example.source)
            for item in choose(evidence)
        )
        return Tried(tuple(features(weights, hits, evidence)), right)


def calibrated(examples: Sequence[Example], trial: Trial, start: Calibration) -> Outcome:
    """The shipped calibration (`start`) put on the scale of these examples. Raises BadSetting where they are too few, or all
    of a kind."""
    tried = list(trial(examples))
    right = [one.right for one in tried]
    if len(tried) < FEWEST or all(right) or not any(right):
        raise BadSetting(
            f"{len(tried)} questions could be asked, of which {sum(right)} were answered right: that is too little to go by.",
            f"Give at least {FEWEST} questions, some of which the documents answer and some not.",
        )
    made = start.refitted([one.values for one in tried], right)
    return Outcome(made, len(tried), sum(bool(example.answer) for example in examples), sum(right))


def write(outcome: Outcome, folder: Path, questions: str) -> Path:
    """Put a calibration into an index folder, where the bot takes it from at its next start."""
    path = folder / FILE
    text = json.dumps(outcome.calibration.as_dict(f"rag-bot calibrate ({outcome.questions} questions: {questions})"), indent=1)
    temporary = path.with_name(f"{FILE}.new")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise BadSetting(f"{path} can't be written: {error.strerror}.", "Check the folder's permissions.") from error
    return path
