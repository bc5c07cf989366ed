"""The benchmarks' data: read from the folder that RAG_BOT_BENCH_DATA names, never copied into the project."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

TURN = "<::>"
"""What parts the id of a conversation of MTRAG from the number of the turn."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a data set: what a search should find. `table` stands below the text where there is one."""

    id: str
    title: str
    text: str
    table: tuple[tuple[str, ...], ...] = ()


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
            "Set RAG_BOT_BENCH_DATA to the folder with the data sets (mtrag, xquad, injection, …): see benchmarks/README.md."
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


def mtrag_turns(domain: str) -> dict[str, list[tuple[str, str]]]:
    """The earlier turns of each of MTRAG's questions, oldest first, as (question, answer); an answer that is in no task is
    empty."""
    root = folder() / "mtrag"
    answers = {row["task_id"]: row["agent"]["text"] for row in _lines(root / "tasks.jsonl")}
    turns = {}
    for row in _lines(root / domain / "queries_allturns.jsonl"):
        asked = [text.strip() for text in row["text"].split("|user|:")[1:]]
        conversation = row["_id"].split(TURN)[0]
        turns[str(row["_id"])] = [
            (text, answers.get(f"{conversation}{TURN}{number}", "")) for number, text in enumerate(asked[:-1], start=1)
        ]
    return turns


@dataclass(frozen=True, slots=True)
class Task:
    """A turn of MTRAG's conversations with its earlier turns, what a person said of it (`ANSWERABLE`, `UNANSWERABLE`,
    `PARTIAL`, `CONVERSATIONAL`), its gold answer, and the passages that people found relevant."""

    id: str
    domain: str
    text: str
    turns: tuple[tuple[str, str], ...]
    kind: str
    answer: str
    relevant: frozenset[str]


def mtrag_tasks() -> tuple[dict[str, list[Passage]], list[Task]]:
    """MTRAG's tasks, and for each domain the passages that any of them was shown: the relevant ones, and those that a search
    by ELSER put beside them."""
    rows = list(_lines(folder() / "mtrag" / "tasks.jsonl"))
    said = {row["task_id"]: (row["user"]["text"], row["agent"]["text"]) for row in rows}
    shown: dict[str, dict[str, Passage]] = {}
    tasks = []
    for row in rows:
        conversation, _, number = row["task_id"].partition(TURN)
        earlier = (said.get(f"{conversation}{TURN}{n}") for n in range(1, int(number)))
        for one in row["agent"]["contexts"]:
            shown.setdefault(row["domain"], {})[one["document_id"]] = Passage(
                one["document_id"], one.get("title") or "", one["text"]
            )
        relevant = frozenset(
            one["document_id"]
            for one in row["agent"]["contexts"]
            if any(vote["value"] == "yes" for vote in one.get("feedback", {}).get("relevant", {}).values())
        )
        kind = row["user"]["enrichments"]["Answerability"][0]
        text, answer = said[row["task_id"]]
        tasks.append(Task(row["task_id"], row["domain"], text, tuple(t for t in earlier if t), kind, answer, relevant))
    return {domain: list(passages.values()) for domain, passages in shown.items()}, tasks


def half(question: Question) -> int:
    """0 for the half on which constants are chosen, 1 for the half that is reported; what belongs together stays together:
    a conversation's turns, an article's questions."""
    return zlib.crc32((question.group or question.id.split(TURN)[0]).encode()) % 2


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


def tatqa() -> tuple[list[Passage], list[Question]]:
    """TAT-QA's contexts (paragraphs and a table of a financial report) and those of its questions whose answer stands in a
    cell or two of the table; a question's group is its context."""
    data = json.loads((folder() / "tatqa" / "tatqa_dataset_dev.json").read_text(encoding="utf-8"))
    passages, questions = [], []
    for context in data:
        uid = context["table"]["uid"]
        rows = tuple(tuple(row) for row in context["table"]["table"])
        paragraphs = sorted(context["paragraphs"], key=lambda paragraph: paragraph["order"])
        passages.append(Passage(uid, "", "\n\n".join(paragraph["text"] for paragraph in paragraphs), rows))
        cells = {cell.strip() for row in rows for cell in row}
        for one in context["questions"]:
            answers = tuple(str(answer).strip() for answer in one["answer"]) if isinstance(one["answer"], list) else ()
            if one["answer_type"] in ("span", "multi-span") and answers and set(answers) <= cells:
                questions.append(Question(one["uid"], one["question"], {uid: 1}, answers, uid))
    return passages, questions


def clapnq_answerability() -> tuple[list[Passage], list[Question]]:
    """CLAP NQ's questions with a passage each that answers it, or does not; what is answerable has the sentences that a
    person chose as `answers` and its passage as `relevant`, the others have neither. A question's group is its passage."""
    root = folder() / "clapnq_answerability"
    passages, questions = [], []
    for kind in ("answerable", "unanswerable"):
        for row in _lines(root / f"{kind}.jsonl"):
            passage = Passage(f"{kind}/{row['id']}", row["passages"][0]["title"], row["passages"][0]["text"])
            passages.append(passage)
            sentences = tuple(s for output in row["output"] for s in output["selected_sentences"])
            relevant = {passage.id: 1} if kind == "answerable" else {}
            questions.append(Question(str(row["id"]), row["input"], relevant, sentences, passage.id))
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
