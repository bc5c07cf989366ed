"""Settings to a bot: the one place where the chatbot's classes are chosen."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ingest.build import open_pipeline
from ingest.errors import IndexMissing
from ingest.index import Index
from ingest.pipeline import Pipeline
from rag_bot.answer import Answerer
from rag_bot.answer.generate import GenerateAnswerer
from rag_bot.answer.quote import QuoteAnswerer
from rag_bot.answer.quote_llm import QuoteLLMAnswerer
from rag_bot.bot import Bot, Parts, text_reader
from rag_bot.cite import TextAt
from rag_bot.confidence import Calibration, Confidence
from rag_bot.errors import BadSetting
from rag_bot.evidence import EvidenceFinder
from rag_bot.gate import Gate
from rag_bot.judge import Judge
from rag_bot.llm.llm import LLM
from rag_bot.llm.load import load_llms
from rag_bot.llm.spec import parse_llms
from rag_bot.memory import Memory
from rag_bot.rails import NoRails, Rails
from rag_bot.retrieve import QueryEmbedder, Retriever
from rag_bot.rewrite import ByLLM, ByRules
from rag_bot.settings import Settings
from rag_bot.support import SupportFinder

_log = logging.getLogger(__name__)


def build_bot(settings: Settings, *, create: bool = False) -> Bot:
    """A bot for these settings; nothing is opened before `Bot.start`. `create` makes an empty index where there is none."""
    return Bot(settings, lambda: open_parts(settings, create=create))


def open_parts(settings: Settings, *, create: bool = False) -> Parts:
    """Open the index and load the embedder. Raises IngestError or BotError."""
    check_settings(settings)  # before anything is opened: a wrong setting leaves nothing behind
    memory = Memory(settings.state_url)
    index = _open_index(settings, create=create)
    for note in index.notes:
        _log.warning("%s", note)
    text_at = text_reader(index)
    llms: tuple[LLM, ...] = ()
    judges: tuple[LLM, ...] = ()
    try:
        llms = load_llms(settings.llm, settings) if settings.answer != "quote" else ()
        judges = load_llms(settings.judge, settings) if llms else ()
        quote = QuoteAnswerer(text_at)
        answerer = make_answerer(settings, llms, quote, text_at)
        _ = index.embedder  # loaded now, so that the first question needn't wait
    except BaseException:
        for llm in (*llms, *judges):
            llm.close()
        index.close()
        raise
    embed = QueryEmbedder(index)
    support = SupportFinder(embed, index.sentence_cosines, text_at)

    def open_writer() -> Pipeline:
        index.refresh()  # all may have been embedded anew since, with another embedder
        return open_pipeline(settings, embedder=index.embedder)

    return Parts(
        index=index,
        memory=memory,
        rails=make_rails(settings),
        rewrite=ByLLM(llms[0], seconds=settings.rewrite_seconds) if llms and settings.rewrite_seconds else ByRules(),
        retrieve=Retriever(index, embed),
        evidence=EvidenceFinder(index.terms, index.idf, index.sentence_cosines, text_at),
        confidence=Confidence(Calibration.load(settings.index), settings.max_wrong),
        answerer=answerer,
        quote=quote,
        gate=Gate(text_at, settings.gate, support),
        judge=Judge(judges[0], seconds=settings.judge_seconds) if judges else None,
        llms=(*llms, *judges),
        open_writer=open_writer,
    )


def check_settings(settings: Settings) -> None:
    """Raises BadSetting for what can be known to be wrong before anything is opened, and that no waiting will mend."""
    make_rails(settings)
    Confidence(Calibration.load(settings.index), settings.max_wrong)
    if len(parse_llms(settings.judge)) > 1:
        raise BadSetting("RAG_BOT_JUDGE names more than one LLM.", "Name the one that is to judge.")
    if not parse_llms(settings.llm) and settings.answer in ("generate", "quote-llm"):
        raise BadSetting(f"RAG_BOT_ANSWER={settings.answer} needs an LLM.", "Set RAG_BOT_LLM, or use RAG_BOT_ANSWER=quote.")


def make_rails(settings: Settings) -> Rails:
    """The rails of the settings. Raises BadSetting."""
    if settings.rails != "off":
        raise BadSetting(f"There are no rails {settings.rails!r} yet.", "Leave RAG_BOT_RAILS out, or set it to off.")
    return NoRails()


def make_answerer(settings: Settings, llms: Sequence[LLM], quote: QuoteAnswerer, text_at: TextAt) -> Answerer:
    """What the settings say is to answer; `quote` where no LLM is set."""
    if not llms:
        return quote
    if settings.answer == "quote-llm":
        return QuoteLLMAnswerer(llms, quote)
    return GenerateAnswerer(llms, quote, text_at, most_tokens=settings.llm_tokens)


def _open_index(settings: Settings, *, create: bool) -> Index:
    try:
        return Index.open(settings.index, settings=settings)
    except IndexMissing:
        if not create:
            raise
    with open_pipeline(settings) as pipeline:
        embedder = pipeline.index.embedder
    return Index.open(settings.index, settings=settings, embedder=embedder)
