"""`rag-bot calibrate`: asks questions of the index, and writes beside it when an answer is to be refused."""

from __future__ import annotations

from pathlib import Path

from ingest.console import console, plain, print_json
from ingest.index import Index
from rag_bot.bot import text_reader
from rag_bot.calibrate import Trial, calibrated, read, write
from rag_bot.confidence import Calibration
from rag_bot.evidence import EvidenceFinder
from rag_bot.retrieve import QueryEmbedder, Retriever
from rag_bot.settings import Settings


def calibrate(settings: Settings, questions: Path, *, as_json: bool) -> None:
    """Fit, write and report. Raises BadSetting, IndexMissing and what opening an index raises."""
    with console(stderr=True).status("Asking …"), Index.open(settings.index, settings=settings) as index:
        examples = read(questions)
        evidence = EvidenceFinder(index.terms, index.idf, index.sentence_cosines, text_reader(index))
        embed = QueryEmbedder(index)
        try:
            trial = Trial(Retriever(index, embed), evidence, settings.passages)
            outcome = calibrated(examples, trial, Calibration.load())
        finally:
            embed.close()
    path = write(outcome, settings.index, questions.name)
    report = outcome.as_dict(settings.max_wrong, path)
    if as_json:
        print_json(report)
        return
    plain(f"Asked {outcome.questions} questions; {outcome.right} would be answered right. Written: {path}")
    plain(f"With RAG_BOT_MAX_WRONG={settings.max_wrong:g} an answer needs a confidence of {report['threshold']:.2f}.")
    smallest = report["smallest_max_wrong"]
    if smallest is None or smallest > settings.max_wrong:
        plain("Hardly any answer reaches that on these questions: allow more wrong ones, or add what the documents lack.")
