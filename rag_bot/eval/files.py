"""Question sets and records as JSON Lines, and question sets as CSV for a spreadsheet and back."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rag_bot.errors import BadDataset
from rag_bot.eval.types import Case, Wanted
from rag_bot.types import Turn

FORM = 'Each line is like {"question": "…", "answers": ["…"], "wanted": [{"document": "…", "quote": "…"}], "answerable": true}.'
COLUMNS = ("id", "review", "question", "answers", "answerable", "kind", "document", "quote")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run at the beginning of a cell
_BETWEEN = " || "  # between several answers in one cell
_YES, _NO = frozenset("yes true 1 y".split()), frozenset("no false 0 n".split())


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file. Raises BadDataset with the number of the first line that is none."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise BadDataset(f"Line {number} of {path} is no JSON object.", FORM)
                yield row
    except OSError as error:
        raise BadDataset(f"{path} can't be read: {error.strerror}.", "Name a file or folder with questions.") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadDataset(f"Line {number} of {path} is no JSON: {error}.", FORM) from error
    except UnicodeDecodeError as error:
        raise BadDataset(f"{path} is not UTF-8 text.", FORM) from error


def read(path: Path) -> list[Case]:
    """A question set of this project's own form. Raises BadDataset."""
    cases = [case_of(row, f"Line {number} of {path}", str(number)) for number, row in enumerate(lines(path), 1)]
    seen: dict[str, int] = {}
    for at, case in enumerate(cases):
        if case.id in seen:  # records are known by it
            cases[at] = replace(case, id=f"{case.id}#{at + 1}")
        seen[cases[at].id] = at
    return cases


def case_of(row: Mapping[str, Any], where: str, number: str) -> Case:
    """One object as a question. Short forms are taken, too: `answer` or `gold_answer` for `answers`, `document` with `quote`
    or `documents` for `wanted`, `earlier` for `turns`, and questions alone for earlier turns. Raises BadDataset."""
    question = row.get("question") or row.get("query") or row.get("text")
    if not isinstance(question, str) or not question.strip():
        raise BadDataset(f"{where} has no question.", FORM)
    try:
        answers = row.get("answers", row.get("answer", row.get("gold_answer")))
        wanted = tuple(_places(row.get("wanted", row.get("passages"))))
        if row.get("document"):
            wanted = (*wanted, Wanted(str(row["document"]), str(row.get("quote") or "")))
        wanted = (*wanted, *(Wanted(str(name)) for name in row.get("documents") or ()))
        texts = tuple(str(each) for each in ([answers] if isinstance(answers, str) else answers or ()) if str(each).strip())
        return Case(
            id=str(row.get("id") or row.get("_id") or number),
            question=question.strip(),
            answerable=_answerable(row, bool(texts or wanted)),
            answers=texts,
            wanted=wanted,
            hidden=tuple(_places(row.get("hidden"))),
            turns=tuple(_turn(each) for each in row.get("turns") or row.get("earlier") or ()),
            kind=str(row.get("kind") or ""),
            review=row["review"] if row.get("review") in ("kept", "edited") else "",
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BadDataset(f"{where} can't be understood: {error!r}.", FORM) from error


def _answerable(row: Mapping[str, Any], has_answer: bool) -> bool | None:
    """As the row says; else by whether it has an answer or a place, or says outright that it has none."""
    if isinstance(row.get("answerable"), bool):
        return bool(row["answerable"])
    told = {"answers", "answer", "gold_answer", "wanted", "document", "documents", "passages"} & row.keys()
    return has_answer if told else None


def _places(rows: object) -> Iterator[Wanted]:
    if isinstance(rows, str | Mapping):
        rows = [rows]
    for row in rows if isinstance(rows, Sequence) else ():
        if isinstance(row, str):
            yield Wanted(row)
        else:
            grade = int(row.get("grade", 1))
            yield Wanted(
                str(row.get("document") or row.get("source") or ""), str(row.get("quote") or row.get("text") or ""), grade
            )


def _turn(row: object) -> Turn:
    if isinstance(row, str):
        return Turn(row, "")
    if not isinstance(row, Mapping):
        raise TypeError(f"{row!r} is no earlier turn")
    return Turn(str(row["question"]), str(row.get("answer") or ""))


def row_of(case: Case) -> dict[str, Any]:
    """A question as an object, without what is empty."""
    row = asdict(case)
    row["turns"] = [{"question": turn.question, "answer": turn.answer} for turn in case.turns]
    return {name: value for name, value in row.items() if value or name == "answerable"}


def write(path: Path, cases: Iterable[Case]) -> None:
    """A question set, whole or not at all."""
    replace_text(path, "".join(json.dumps(row_of(case), ensure_ascii=False) + "\n" for case in cases))


def replace_text(path: Path, text: str) -> None:
    """Put a text in a file's place in one step: whoever stops it half-way leaves the former one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(temporary, path)


# --- CSV


def to_csv(cases: Iterable[Case]) -> str:
    """A table for a spreadsheet. Write `drop`, `keep` or `edited` into the column `review`, and change what is to be changed.

    No cell is a formula: one that would be begins with an apostrophe, which `from_csv` takes away.
    """
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(COLUMNS)
    for case in cases:
        first = (case.wanted or case.hidden or (Wanted(""),))[0]
        answerable = "" if case.answerable is None else "yes" if case.answerable else "no"
        answers = _BETWEEN.join(case.answers)
        cells = (case.id, case.review, case.question, answers, answerable, case.kind, first.document, first.quote)
        table.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return out.getvalue()


def from_csv(text: str, cases: Sequence[Case]) -> list[Case]:
    """The questions as a table says they are to be now: rows marked `drop`, and those that are gone, are left out.

    What the table doesn't show (places beyond the first, earlier turns) stays as it was. Raises BadDataset.
    """
    before = {case.id: case for case in cases}
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=_delimiter(text))
    try:
        missing = {"id", "question"} - set(reader.fieldnames or ())
    except csv.Error as error:
        raise BadDataset(f"The table can't be read: {error}.", "Write it as CSV.") from error
    if missing:
        raise BadDataset(f"The table has no column {' and '.join(sorted(missing))}.", f"Its columns are {', '.join(COLUMNS)}.")
    try:
        rows = [{name: _cell(value) for name, value in row.items() if name} for row in reader]
    except csv.Error as error:
        raise BadDataset(f"Line {reader.line_num + 1} of the table can't be read: {error}.", "Write it as CSV.") from error
    kept = []
    for cells in rows:
        if cells.get("review", "").lower() in ("drop", "dropped", "d") or not cells["question"]:
            continue
        old = before.get(cells["id"])
        if old is None:
            hint = "Leave the ids as they are."
            raise BadDataset(f"The table has a question {cells['id']!r} that the set does not have.", hint)
        kept.append(_changed(old, cells))
    return kept


def _changed(old: Case, cells: Mapping[str, str]) -> Case:
    answers = tuple(part for part in cells.get("answers", "").split(_BETWEEN) if part) if "answers" in cells else old.answers
    word = cells.get("answerable", "").lower()
    answerable = True if word in _YES else False if word in _NO else old.answerable
    new = replace(old, question=cells["question"], answers=answers, answerable=answerable)
    if new != old or cells.get("review", "").lower() == "edited":
        return replace(new, review="edited")
    return replace(new, review="kept") if cells.get("review", "").lower() in ("keep", "kept", "k") else new


def _cell(value: object) -> str:
    text = str(value or "")
    text = text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
    return text.strip()


def _delimiter(text: str) -> str:
    """Commas, semicolons or tabs: spreadsheets write what their country does."""
    head = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=head.count)
