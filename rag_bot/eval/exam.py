"""A set of questions to a finished run: its documents' index, the run, its figures, its report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rag_bot.errors import BadDataset
from rag_bot.eval import corpus, report
from rag_bot.eval.files import replace_text
from rag_bot.eval.judged import Judging
from rag_bot.eval.metrics import check
from rag_bot.eval.run import Examiner, Tell, run
from rag_bot.eval.store import PAGE, REPORT, Info, RunFolder, info_of
from rag_bot.eval.summary import Summary, summarise
from rag_bot.eval.types import Dataset
from rag_bot.settings import Settings

INDEXES = "indexes"


@dataclass(frozen=True, slots=True)
class Exam:
    """A finished run: where it is kept and its figures."""

    folder: RunFolder
    info: Info
    summary: Summary


def prepared(settings: Settings, dataset: Dataset, folder: Path, tell: corpus.Tell = lambda done, of: None) -> Settings:
    """The settings with the index that the questions are asked of: the user's, or one of the documents that the set brings,
    kept in `folder`. Raises IngestError."""
    if not dataset.texts:
        return settings
    kind = f"{settings.embedder.replace('/', '_').strip('._')}-{settings.chunk_tokens}"
    path = folder / INDEXES / f"{dataset.name}-{corpus.key_of(dataset.texts)}-{kind}"
    settings = settings.model_copy(update={"index": path})
    corpus.fill(settings, dataset.texts, tell)
    return settings


def examine(
    settings: Settings,
    dataset: Dataset,
    choose: Callable[[Info], RunFolder],
    *,
    beyond: bool,
    judge: bool = False,
    tell: Tell = lambda done, of, record: None,
) -> Exam:
    """Ask everything and write the report. `choose` names the folder, knowing what is run. Raises BotError or IngestError."""
    check()
    judging = Judging.of(settings) if judge else None
    examiner = Examiner(settings, beyond=beyond, judge=judging)
    with asyncio.Runner() as loop:
        try:
            loop.run(examiner.start())
            status = examiner.bot.index.status()
            if not status["documents"]:
                raise BadDataset(f"The index {settings.index} has no documents to ask.", "Fill it with: ingest add PATH")
            about = {name: status[name] for name in ("documents", "chunks", "embedder", "version", "bytes")}
            info = info_of(dataset.name, dataset.cases, settings, about, {"refused_too": beyond, "judged": judge})
            folder = choose(info)
            records = loop.run(run(examiner, dataset.cases, folder, info, tell))
        finally:
            loop.run(examiner.close())
    summary, info = summarise(records), folder.info
    write(folder, summary, info)
    return Exam(folder, info, summary)


def write(folder: RunFolder, summary: Summary, info: Info) -> None:
    """The report as a page and as JSON, beside the records."""
    replace_text(folder.path / REPORT, json.dumps(report.as_dict(summary, info), indent=1) + "\n")
    replace_text(folder.path / PAGE, report.html(summary, info))
