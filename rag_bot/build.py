"""Settings to a bot: the one place where the chatbot's classes are chosen."""

from __future__ import annotations

import logging

from ingest.build import open_pipeline
from ingest.errors import IndexMissing
from ingest.index import Index
from ingest.pipeline import Pipeline
from rag_bot.answer import Answerer
from rag_bot.answer.quote import QuoteAnswerer
from rag_bot.answer.quote_llm import QuoteLLMAnswerer
from rag_bot.bot import Bot, Parts, text_reader
from rag_bot.confidence import Calibration, Confidence
from rag_bot.errors import BadSetting
from rag_bot.evidence import EvidenceFinder
from rag_bot.gate import Gate
from rag_bot.llm import load_llm
from rag_bot.memory import Memory
from rag_bot.rails import NoRails, Rails
from rag_bot.retrieve import QueryEmbedder, Retriever
from rag_bot.settings import Settings

_log = logging.getLogger(__name__)


def build_bot(settings: Settings, *, create: bool = False) -> Bot:
    """A bot for these settings; nothing is opened before `Bot.start`. `create` makes an empty index where there is none."""
    return Bot(settings, lambda: open_parts(settings, create=create))


def open_parts(settings: Settings, *, create: bool = False) -> Parts:
    """Open the index and load the embedder. Raises IngestError or BotError."""
    rails = make_rails(settings)  # before anything is opened: a wrong setting leaves nothing behind
    confidence = Confidence(Calibration.load(), settings.max_wrong)
    index = _open_index(settings, create=create)
    for note in index.notes:
        _log.warning("%s", note)
    text_at = text_reader(index)
    try:
        answerer = make_answerer(settings, QuoteAnswerer(text_at))
        _ = index.embedder  # loaded now, so that the first question needn't wait
    except BaseException:
        index.close()
        raise

    def open_writer() -> Pipeline:
        index.refresh()  # all may have been embedded anew since, with another embedder
        return open_pipeline(settings, embedder=index.embedder)

    return Parts(
        index=index,
        memory=Memory(settings.state_url),
        rails=rails,
        retrieve=Retriever(index, QueryEmbedder(index)),
        evidence=EvidenceFinder(index.terms, index.idf, index.sentence_cosines, text_at),
        confidence=confidence,
        answerer=answerer,
        gate=Gate(text_at, settings.gate),
        open_writer=open_writer,
    )


def make_rails(settings: Settings) -> Rails:
    """The rails of the settings. Raises BadSetting."""
    if settings.rails != "off":
        raise BadSetting(f"There are no rails {settings.rails!r} yet.", "Leave RAG_BOT_RAILS out, or set it to off.")
    return NoRails()


def make_answerer(settings: Settings, quote: QuoteAnswerer) -> Answerer:
    """`quote` itself, or an answerer that lets the LLM of the settings choose. Raises BadSetting."""
    if settings.answer == "quote" or (settings.answer == "auto" and not settings.llm):
        return quote
    if settings.answer == "generate":
        raise BadSetting(
            "RAG_BOT_ANSWER=generate can't be used yet: what an LLM writes in its own words can't be proved yet.",
            "Use quote, or quote-llm: the LLM chooses the sentences, and they stay word for word.",
        )
    if not settings.llm:
        raise BadSetting(f"RAG_BOT_ANSWER={settings.answer} needs an LLM.", "Set RAG_BOT_LLM, or use RAG_BOT_ANSWER=quote.")
    return QuoteLLMAnswerer(load_llm(settings.llm), settings.llm, quote, seconds=settings.llm_seconds)


def _open_index(settings: Settings, *, create: bool) -> Index:
    try:
        return Index.open(settings.index, settings=settings)
    except IndexMissing:
        if not create:
            raise
    with open_pipeline(settings) as pipeline:
        embedder = pipeline.index.embedder
    return Index.open(settings.index, settings=settings, embedder=embedder)
