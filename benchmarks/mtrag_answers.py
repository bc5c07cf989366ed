"""MTRAG's conversations answered by quotes and by the demo's LLM: how near to people's answers, how well cited."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.registry import Options
from benchmarks.results import Result, Table
from rag_bot.eval import datasets
from rag_bot.eval.exam import Exam, examine, prepared
from rag_bot.eval.metrics import MEASURES
from rag_bot.eval.store import RunFolder
from rag_bot.eval.types import Dataset
from rag_bot.settings import Settings

_TEXTS = 3_000  # the passages that any question wants, and others up to so many
_WRITTEN = 60  # questions for the LLM, which takes some seconds for each
_LLM = "llama-cpp:smollm2"
_SHOWN = (
    *("rougeL", "f1", "bleu", "citation_recall", "citation_precision", "citation_wanted", "supported"),
    *("right", "refused", "declined", "nDCG@10"),
)


def run(options: Options) -> dict[str, Any]:
    """All turns quoted, and a sample of them quoted and written, each by `rag-bot eval`'s own examiner."""
    whole = datasets.load(data.folder() / "mtrag" / "tasks.jsonl")
    texts, questions = (200, 20) if options.quick else (_TEXTS, len(whole.cases))
    whole = datasets.sample(whole, questions, texts)
    some = replace(datasets.sample(whole, 3 if options.quick else _WRITTEN), texts=whole.texts)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        settings = prepared(Settings(state=f"sqlite:///{home}/state.sqlite3"), whole, home)
        written = settings.model_copy(
            update={"answer": "generate", "llm": _LLM, "llm_first_seconds": 120.0, "llm_seconds": 300.0}
        )
        exams = {
            "quote": _examined(settings.model_copy(update={"answer": "quote"}), whole, home / "all"),
            "quote, the sample": _examined(settings.model_copy(update={"answer": "quote"}), some, home / "quoted"),
            "generate, the sample": _examined(written, some, home / "written"),
        }
    return _result(exams, len(whole.texts)).as_dict()


def _examined(settings: Settings, dataset: Dataset, folder: Path) -> Exam:
    folder.mkdir()
    return examine(settings, dataset, lambda _: RunFolder(folder), beyond=False)


def _result(exams: dict[str, Exam], texts: int) -> Result:
    figures: dict[str, dict[str, Any]] = {}
    for way, exam in exams.items():
        found = {name: exam.summary.scores[name] for name in _SHOWN if name in exam.summary.scores}
        figures[way] = {name: {"mean": one.value, "low": one.low, "high": one.high} for name, one in found.items()}
        figures[way]["questions"] = exam.summary.count
    rows: list[list[object]] = [
        [MEASURES[name].title, *(_shown(each.get(name)) for each in figures.values())] for name in _SHOWN
    ]
    rows.insert(0, ["Questions", *(each["questions"] for each in figures.values())])
    note = (
        f"MTRAG's turns with their conversation, asked of {texts:,} of its passages: all that a turn wants, and others. "
        f"Figures as `rag-bot eval run` has them, with 95 % intervals (bootstrap). The LLM is the demo's ({_LLM}): its 135 "
        "million parameters are far too few for the task."
    )
    return Result(figures, [Table("Answers to MTRAG", ("figure", *figures), rows, note)])


def _shown(figure: dict[str, float] | None) -> str:
    return "{mean:.3f} ({low:.3f} to {high:.3f})".format(**figure) if figure else ""
