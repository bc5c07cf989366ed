"""Sets as others write them: a small one of each shape, and the real ones where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rag_bot.errors import BadDataset
from rag_bot.eval.datasets import load, sample, with_hidden
from rag_bot.eval.types import Dataset, Wanted


def put(path: Path, *rows: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "beir"
    put(folder / "corpus.jsonl", *({"_id": f"d{n}", "title": f"T{n}", "text": f"Text {n}."} for n in range(6)))
    put(folder / "queries.jsonl", *({"_id": f"q{n}", "text": f"Question {n}?"} for n in range(4)))
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq0\td0\t2\nq0\td1\t1\nq1\td1\t1\nq2\td2\t0\nq3\td3\t1\n", encoding="utf-8"
    )
    return folder


def test_beir(beir: Path) -> None:
    dataset = load(beir)
    assert [case.id for case in dataset.cases] == ["q0", "q1", "q3"]  # q2 is judged to have nothing
    assert dataset.cases[0].wanted == (Wanted("d0", "", 2), Wanted("d1", "", 1))
    assert dataset.cases[0].answerable is True
    assert (dataset.texts[0].name, dataset.texts[0].title, len(dataset.texts)) == ("d0", "T0", 6)


def test_a_sample_keeps_what_is_wanted(beir: Path) -> None:
    some = sample(load(beir), questions=2, texts=3)
    assert [case.id for case in some.cases] == ["q0", "q1"]
    assert [text.name for text in some.texts] == ["d0", "d1", "d2"]
    whole = load(beir)
    assert sample(whole, 99, 99) == Dataset(whole.name, list(whole.cases), list(whole.texts))


def test_questions_asked_again_with_their_place_hidden(beir: Path) -> None:
    more = with_hidden(load(beir), 0.67)
    assert [case.id for case in more.cases[3:]] == ["q0/hidden", "q1/hidden"]
    again = more.cases[3]
    assert (again.answerable, again.wanted, again.hidden) == (False, (), more.cases[0].wanted)
    assert with_hidden(load(beir), 0).cases == load(beir).cases


def test_queries_with_earlier_turns(tmp_path: Path) -> None:
    put(tmp_path / "passages.jsonl", {"id": "p", "text": "Text.", "title": ""}, {"id": "empty", "text": "\n"})
    put(tmp_path / "queries_lastturn.jsonl", {"_id": "q", "text": "|user|: And there?"})
    put(tmp_path / "queries_rewrite.jsonl", {"_id": "q", "text": "|user|: And in Oslo?"})
    put(tmp_path / "queries_allturns.jsonl", {"_id": "q", "text": "|user|: What here?\n|user|: And there?"})
    (tmp_path / "qrels.tsv").write_text("q\tp\t1\n", encoding="utf-8")
    [case] = load(tmp_path).cases
    assert (case.question, [turn.question for turn in case.turns]) == ("And there?", ["What here?"])
    [rewritten] = load(tmp_path / "queries_rewrite.jsonl").cases
    assert (rewritten.question, rewritten.turns) == ("And in Oslo?", ())
    assert [text.name for text in load(tmp_path).texts] == ["p"]


def test_conversations(tmp_path: Path) -> None:
    def task(turn: int, text: str, said: str, answerable: str) -> dict[str, Any]:
        context = {"document_id": f"d{turn}", "text": f"Text {turn}", "feedback": {"relevant": {"x": {"value": "yes"}}}}
        other = {"document_id": "other", "text": "Other"}
        told = {"Answerability": [answerable], "Question Type": ["Factoid"]}
        return {
            "task_id": f"t{turn}", "conversation_id": "c", "turn_id": turn,
            "user": {"text": text, "enrichments": told}, "agent": {"text": said, "contexts": [context, other]},
        }  # fmt: skip

    put(
        tmp_path / "tasks.jsonl",
        task(2, "B?", "b", "UNANSWERABLE"),
        task(1, "A?", "a", "ANSWERABLE"),
        task(3, "C?", "c", "PARTIAL"),
    )
    first, second, third = load(tmp_path).cases
    assert (first.question, first.answers, first.wanted, first.kind) == ("A?", ("a",), (Wanted("d1"),), "Factoid")
    assert (second.answerable, second.answers, second.wanted) == (False, (), ())
    assert [(turn.question, turn.answer) for turn in third.turns] == [("A?", "a"), ("B?", "b")]
    assert third.answerable is None


def test_paragraphs_and_tables(tmp_path: Path) -> None:
    qa = {"id": 5, "question": "When?", "answers": [{"text": "1999"}, {"text": "1999"}]}
    none = {"id": 6, "question": "Why?", "answers": [], "is_impossible": True}
    squad = {"data": [{"title": "Big_Ben", "paragraphs": [{"context": "In 1999.", "qas": [qa, none]}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(squad), encoding="utf-8")
    there, not_there = load(tmp_path / "squad.json").cases
    assert (there.answers, there.wanted, there.answerable) == (("1999",), (Wanted("Big_Ben/0"),), True)
    assert (not_there.answers, not_there.wanted, not_there.answerable) == ((), (), False)

    table = {"uid": "T", "table": [["", "", "Year"], ["", "2019", "2018"], ["Sales", "$ 7", "$ 8 | 9"]]}
    paragraphs = [{"order": 1, "text": "Above."}, {"order": 2, "text": "Below."}]
    question = {
        "uid": "q",
        "question": "Sales?",
        "answer": ["$ 7"],
        "answer_type": "span",
        "answer_from": "table",
        "rel_paragraphs": [],
    }
    (tmp_path / "tat").mkdir()
    (tmp_path / "tat" / "dev.json").write_text(
        json.dumps([{"table": table, "paragraphs": paragraphs, "questions": [question]}]), encoding="utf-8"
    )
    dataset = load(tmp_path / "tat")
    row = "| Sales | $ 7 | $ 8 / 9 |"
    assert dataset.texts[0].text == f"Above.\n\n|  | 2019 | Year 2018 |\n| --- | --- | --- |\n{row}\n\nBelow."
    assert dataset.cases[0].wanted == (Wanted("T", row),)


def test_answerability(tmp_path: Path) -> None:
    passage = {"title": "T", "text": "Text."}
    put(tmp_path / "answerable.jsonl", {"id": 1, "input": "a?", "passages": [passage], "output": [{"answer": "Text"}]})
    put(tmp_path / "unanswerable.jsonl", {"id": 2, "input": "b?", "passages": [passage], "output": [{"answer": ""}]})
    yes, no = load(tmp_path).cases
    assert (yes.answerable, yes.answers, yes.wanted) == (True, ("Text",), (Wanted("1/0"),))
    assert (no.answerable, no.answers) == (False, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none.json", "{}"),
        ("broken.json", "{"),
        ("half.json", '{"data": [{"title": "x"}]}'),
        ("empty.jsonl", ""),
        ("tasks.jsonl", '{"task_id": "1", "user": {}}\n'),
    ],
)
def test_what_is_no_set_gets_a_sentence(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(BadDataset) as caught:
        load(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and caught.value.hint
    with pytest.raises(BadDataset, match="There is no"):
        load(tmp_path / "nowhere")


@pytest.mark.skipif(not os.environ.get("RAG_BOT_BENCH_DATA"), reason="RAG_BOT_BENCH_DATA names no folder")
@pytest.mark.parametrize(
    ("name", "cases", "texts"),
    [
        ("mtrag", 429, 24_629),
        ("mtrag/clapnq", 208, 11_612),
        ("mtrag/clapnq/queries_rewrite.jsonl", 208, 11_612),
        ("scifact", 809, 5_183),
        ("xquad", 1_190, 240),
        ("tatqa", 1_668, 278),
        ("clapnq_answerability", 300, 300),
    ],
)
def test_the_real_sets_are_read_whole(name: str, cases: int, texts: int) -> None:
    dataset = load(Path(os.environ["RAG_BOT_BENCH_DATA"]) / name)
    assert (len(dataset.cases), len(dataset.texts)) == (cases, texts)
    names = {text.name for text in dataset.texts}
    assert all(place.document in names for case in dataset.cases for place in case.wanted)
