"""The benchmarks' data: read from the folder that RAG_BOT_BENCH_DATA names, never copied into the project."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a data set: what a search should find."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the passages that answer it (id -> grade), and the exact answers where the data set has them."""

    id: str
    text: str
    relevant: dict[str, int]
    answers: tuple[str, ...] = ()
    group: str = ""


def folder() -> Path:
    """The data's folder; exits with one line where it is not set or not there."""
    path = Path(os.environ.get("RAG_BOT_BENCH_DATA", ""))
    if not os.environ.get("RAG_BOT_BENCH_DATA") or not path.is_dir():
        raise SystemExit(
            "Set RAG_BOT_BENCH_DATA to the folder with the data sets (mtrag, scifact, xquad, injection, pii): see benchmarks/README.md."
        )
    return path


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    relevant: dict[str, dict[str, int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split("\t")
        if len(parts) == 3 and parts[2].lstrip("-").isdigit() and int(parts[2]) > 0:
            relevant.setdefault(parts[0], {})[parts[1]] = int(parts[2])
    return relevant


def scifact() -> tuple[list[Passage], list[Question]]:
    """SciFact's corpus and its training claims (BEIR)."""
    root = folder() / "scifact"
    passages = [Passage(str(row["_id"]), row["title"], row["text"]) for row in _lines(root / "corpus.jsonl")]
    relevant = _judgements(root / "train.tsv")
    queries = _lines(root / "queries_train.jsonl")
    return passages, [Question(str(q["_id"]), q["text"], relevant[str(q["_id"])]) for q in queries if str(q["_id"]) in relevant]


def mtrag(domain: str, form: str) -> tuple[list[Passage], list[Question]]:
    """MTRAG's passages of a domain (`clapnq`, `cloud`) and its questions in a form (`lastturn`, `rewrite`, `allturns`)."""
    root = folder() / "mtrag" / domain
    passages = [
        Passage(str(row.get("_id", row.get("id"))), row.get("title") or "", row["text"])
        for row in _lines(root / "passages.jsonl")
    ]
    relevant = _judgements(root / "qrels.tsv")
    queries = _lines(root / f"queries_{form}.jsonl")
    return passages, [
        Question(str(q["_id"]), q["text"].replace("|user|:", " ").strip(), relevant[str(q["_id"])])
        for q in queries
        if str(q["_id"]) in relevant
    ]


def xquad() -> tuple[list[Passage], list[Question]]:
    """XQuAD's English paragraphs and questions; a question's group is its article."""
    data = json.loads((folder() / "xquad" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    passages, questions = [], []
    for article in data:
        title = article["title"].replace("_", " ")
        for number, paragraph in enumerate(article["paragraphs"]):
            passage = Passage(f"{article['title']}/{number}", title, paragraph["context"])
            passages.append(passage)
            for qa in paragraph["qas"]:
                answers = tuple(answer["text"] for answer in qa["answers"])
                questions.append(Question(str(qa["id"]), qa["question"], {passage.id: 1}, answers, article["title"]))
    return passages, questions


def first(passages: Sequence[Passage], questions: Sequence[Question], count: int) -> tuple[list[Passage], list[Question]]:
    """The first `count` passages, and the questions that one of them answers."""
    kept = list(passages[:count])
    return kept, _answered_by(kept, questions)


def around(passages: Sequence[Passage], questions: Sequence[Question], count: int) -> tuple[list[Passage], list[Question]]:
    """About `count` passages: every one that answers a question, and as many others as there is room for, in order."""
    judged = {i for question in questions for i in question.relevant}
    room = count - sum(passage.id in judged for passage in passages)
    others = {passage.id for passage in [p for p in passages if p.id not in judged][: max(0, room)]}
    kept = [passage for passage in passages if passage.id in judged or passage.id in others]
    return kept, _answered_by(kept, questions)


def _answered_by(passages: Sequence[Passage], questions: Sequence[Question]) -> list[Question]:
    ids = {passage.id for passage in passages}
    kept = [replace(q, relevant={i: grade for i, grade in q.relevant.items() if i in ids}) for q in questions]
    return [question for question in kept if question.relevant]


def write_files(passages: Sequence[Passage], folder: Path) -> None:
    """Each passage as a text file (its title, a blank line, its text) whose name carries its id."""
    folder.mkdir(parents=True, exist_ok=True)
    for passage in passages:
        (folder / f"{quote(passage.id, safe='')}.txt").write_text(f"{passage.title}\n\n{passage.text}\n", encoding="utf-8")


def id_of(path: str) -> str:
    """The id of the passage that `write_files` put into this file."""
    return unquote(Path(path).stem)
