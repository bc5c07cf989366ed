"""Question sets as others write them: BEIR folders, SQuAD and XQuAD, TAT-QA, MTRAG, CLAPnq; and our own JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag_bot.errors import BadDataset
from rag_bot.eval.files import lines, read
from rag_bot.eval.types import Case, Dataset, Text, Wanted
from rag_bot.types import Turn

_SPEAKER = "|user|:"  # before each turn of MTRAG's queries
_SPLITS = ("test", "dev", "validation", "train")
_KNOWN = "a .jsonl file of questions, a BEIR folder, or one of the shapes of SQuAD, TAT-QA, MTRAG and CLAPnq"


def load(path: Path) -> Dataset:
    """The set that a file or folder holds, told by its shape. Raises BadDataset."""
    if not path.exists():
        raise BadDataset(f"There is no {path}.", f"Name {_KNOWN}; `rag-bot eval make` makes one of your own documents.")
    try:
        dataset = _of_folder(path) if path.is_dir() else _of_file(path)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise BadDataset(
            f"{path} looks like a known kind of set, but {error!r} is wrong in it.", f"Known is {_KNOWN}."
        ) from error
    if not dataset.cases:
        raise BadDataset(f"{path} has no question in it.", f"Known is {_KNOWN}.")
    return dataset


def sample(dataset: Dataset, questions: int | None = None, texts: int | None = None) -> Dataset:
    """About so many questions, spread evenly over the set; and about so many of its own documents: all that a question wants,
    and as many others as there is room for."""
    cases = list(dataset.cases)
    if questions is not None and len(cases) > questions:
        cases = [cases[at * len(cases) // questions] for at in range(questions)]
    kept = list(dataset.texts)
    if texts is not None and len(kept) > texts:
        needed = {place.document for case in cases for place in (*case.wanted, *case.hidden)}
        others = [text.name for text in kept if text.name not in needed]
        chosen = needed | set(others[: max(0, texts - len(kept) + len(others))])
        kept = [text for text in kept if text.name in chosen]
    return replace(dataset, cases=cases, texts=kept)


def with_hidden(dataset: Dataset, share: float) -> Dataset:
    """The set, and a share of its answerable questions, spread evenly, once more with what answers them hidden."""
    known = [case for case in dataset.cases if case.answerable and case.wanted and not case.hidden]
    count = round(share * len(known))
    again = [
        replace(case, id=f"{case.id}/hidden", answerable=False, answers=(), wanted=(), hidden=case.wanted)
        for case in (known[at * len(known) // count] for at in range(count))
    ]
    return replace(dataset, cases=[*dataset.cases, *again])


def _of_folder(folder: Path) -> Dataset:
    if (folder / "tasks.jsonl").is_file():
        return _mtrag_tasks(folder / "tasks.jsonl")
    for corpus in ("corpus.jsonl", "passages.jsonl"):
        if (folder / corpus).is_file():
            return _beir(folder, None)
    if (folder / "answerable.jsonl").is_file():
        return _clapnq(folder)
    files = sorted(folder.glob("*.json")) or sorted(folder.glob("*.jsonl"))
    if len(files) == 1:
        return _of_file(files[0])
    raise BadDataset(f"The folder {folder} holds no known kind of set.", f"Known is {_KNOWN}.")


def _of_file(path: Path) -> Dataset:
    if path.suffix == ".json":
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise BadDataset(f"{path} can't be read as JSON: {error}.", f"Known is {_KNOWN}.") from error
        if isinstance(data, dict) and "data" in data:
            return _squad(path.stem, data["data"])
        if isinstance(data, list) and data and "table" in data[0]:
            return _tatqa(path.stem, data)
        raise BadDataset(f"{path} is no known kind of set.", f"Known is {_KNOWN}.")
    first: Mapping[str, Any] = next(lines(path), {})
    if "task_id" in first and "user" in first:
        return _mtrag_tasks(path)
    if "input" in first and "passages" in first:
        return _clapnq_of([path], path.stem)
    if "_id" in first and any((path.parent / name).is_file() for name in ("corpus.jsonl", "passages.jsonl")):
        return _beir(path.parent, path)
    return Dataset(path.stem, read(path))


# --- BEIR, and MTRAG's retrieval sets, which have its form


def _beir(folder: Path, queries: Path | None) -> Dataset:
    judgements = _first(
        folder, *(f"qrels/{split}.tsv" for split in _SPLITS), "qrels.tsv", *(f"{split}.tsv" for split in _SPLITS)
    )
    queries = queries or _first(
        folder,
        "queries.jsonl",
        f"queries_{judgements.stem}.jsonl",
        "queries_lastturn.jsonl",
        *(f"queries_{s}.jsonl" for s in _SPLITS),
    )
    corpus = _first(folder, "corpus.jsonl", "passages.jsonl")
    earlier = {}
    if (folder / "queries_allturns.jsonl").is_file() and queries.stem == "queries_lastturn":
        earlier = {str(row["_id"]): _turns(row["text"])[:-1] for row in lines(folder / "queries_allturns.jsonl")}
    relevant = _judged(judgements)
    cases = [
        Case(
            id=name,
            question=_turns(row["text"])[-1],
            answerable=True,
            wanted=tuple(Wanted(document, "", grade) for document, grade in relevant[name].items()),
            turns=tuple(Turn(question, "") for question in earlier.get(name, ())),
            kind="follow-up" if earlier.get(name) else "",
        )
        for row in lines(queries)
        if (name := str(row["_id"])) in relevant
    ]
    return Dataset(folder.name, cases, list(_texts(corpus)))


def _texts(corpus: Path) -> Iterator[Text]:
    for row in lines(corpus):
        if str(row["text"]).strip():
            yield Text(str(row["_id"] if "_id" in row else row["id"]), row["text"], row.get("title") or "")


def _judged(path: Path) -> dict[str, dict[str, int]]:
    """Judgements above 0: question to document to grade; of three columns, or TREC's four."""
    relevant: dict[str, dict[str, int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if len(parts) >= 3 and parts[-1].isdigit() and int(parts[-1]) > 0:
            relevant.setdefault(parts[0], {})[parts[-2]] = int(parts[-1])
    return relevant


def _turns(text: str) -> list[str]:
    """What the user said in each turn; one turn where no speaker is marked."""
    return [turn for part in text.split(_SPEAKER) if (turn := part.strip())] or [text]


def _first(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise BadDataset(f"The folder {folder} has none of {', '.join(dict.fromkeys(names))}.", f"Known is {_KNOWN}.")


# --- conversations with answers


def _mtrag_tasks(path: Path) -> Dataset:
    rows = sorted(lines(path), key=lambda row: (str(row["conversation_id"]), int(row["turn_id"])))
    texts = {text.name: text for corpus in sorted(path.parent.glob("*/passages.jsonl")) for text in _texts(corpus)}
    said: dict[str, list[Turn]] = {}
    cases = []
    for row in rows:
        user, agent = row["user"], row["agent"]
        told = user.get("enrichments") or {}
        [answerable] = told.get("Answerability") or [""]
        for context in agent.get("contexts") or ():
            name = str(context["document_id"])
            texts.setdefault(name, Text(name, context["text"], context.get("title") or ""))
        turns = said.setdefault(str(row["conversation_id"]), [])
        known = {"ANSWERABLE": True, "UNANSWERABLE": False}.get(answerable)
        cases.append(
            Case(
                id=str(row["task_id"]),
                question=user["text"],
                answerable=known,
                answers=(agent["text"],) if known else (),
                wanted=tuple(Wanted(str(c["document_id"])) for c in agent.get("contexts") or () if _relevant(c))
                if known
                else (),
                turns=tuple(turns),
                kind=(told.get("Question Type") or [""])[0],
            )
        )
        turns.append(Turn(user["text"], agent["text"]))
    return Dataset("mtrag", cases, [text for text in texts.values() if text.text.strip()])


def _relevant(context: Mapping[str, Any]) -> bool:
    votes = ((context.get("feedback") or {}).get("relevant") or {}).values()
    return any(vote.get("value") == "yes" for vote in votes)


def _clapnq(folder: Path) -> Dataset:
    return _clapnq_of(
        [path for name in ("answerable", "unanswerable") if (path := folder / f"{name}.jsonl").is_file()], "clapnq"
    )


def _clapnq_of(paths: Sequence[Path], name: str) -> Dataset:
    cases, texts = [], []
    for path in paths:
        for row in lines(path):
            names = [f"{row['id']}/{number}" for number in range(len(row["passages"]))]
            texts += [Text(i, p["text"], p.get("title") or "") for i, p in zip(names, row["passages"], strict=True)]
            answers = tuple(output["answer"] for output in row["output"] if output.get("answer"))
            wanted = tuple(Wanted(each) for each in names) if answers else ()
            cases.append(Case(str(row["id"]), row["input"], bool(answers), answers, wanted))
    return Dataset(name, cases, texts)


# --- paragraphs and tables with exact answers


def _squad(name: str, articles: Sequence[Mapping[str, Any]]) -> Dataset:
    cases, texts = [], []
    for article in articles:
        title = str(article.get("title") or "").replace("_", " ")
        for number, paragraph in enumerate(article["paragraphs"]):
            text = Text(f"{article.get('title') or name}/{number}", paragraph["context"], title)
            texts.append(text)
            for qa in paragraph["qas"]:
                answers = tuple(dict.fromkeys(answer["text"] for answer in qa["answers"]))
                there = not qa.get("is_impossible", False)
                cases.append(
                    Case(str(qa["id"]), qa["question"], there, answers if there else (), (Wanted(text.name),) if there else ())
                )
    return Dataset(name, cases, texts)


def _tatqa(name: str, contexts: Sequence[Mapping[str, Any]]) -> Dataset:
    cases, texts = [], []
    for context in contexts:
        source = str(context["table"]["uid"])
        paragraphs = {int(each["order"]): str(each["text"]) for each in context["paragraphs"]}
        rows = _table(context["table"]["table"])
        before, after = paragraphs.get(1, ""), [text for order, text in sorted(paragraphs.items()) if order > 1]
        texts.append(Text(source, "\n\n".join([before, "\n".join(rows), *after]), "", markdown=True))
        for question in context["questions"]:
            given = question["answer"]
            answers = [str(each) for each in given] if isinstance(given, list) else [str(given)]
            quotes = [paragraphs[int(order)] for order in question["rel_paragraphs"] if int(order) in paragraphs]
            if "table" in question["answer_from"]:
                quotes += [row for row in rows[2:] if any(answer in row for answer in answers)]
            cases.append(
                Case(
                    id=str(question["uid"]),
                    question=question["question"],
                    answerable=True,
                    answers=(", ".join(answers),),
                    wanted=tuple(Wanted(source, quote) for quote in dict.fromkeys(quotes)) or (Wanted(source),),
                    kind=f"{question['answer_type']} from {question['answer_from']}",
                )
            )
    return Dataset(name, cases, texts)


def _table(cells: Sequence[Sequence[str]]) -> list[str]:
    """The rows as Markdown; rows at the top that name nothing in their first cell are one header."""
    rows = [[" ".join(str(cell).replace("|", "/").split()) for cell in row] for row in cells]
    head = 1
    while head < len(rows) - 1 and not rows[head - 1][0] and not rows[head][0]:
        head += 1
    header = [" ".join(filter(None, column)) for column in zip(*rows[:head], strict=False)]
    as_line: Callable[[Sequence[str]], str] = lambda row: f"| {' | '.join(row)} |"  # noqa: E731
    return [as_line(header), as_line(["---"] * len(header)), *(as_line(row) for row in rows[head:])]
