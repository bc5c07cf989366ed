"""Settings to a bot: the one place where the chatbot's classes are chosen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ingest.build import open_parsers, open_pipeline
from ingest.errors import IndexMissing
from ingest.index import Index
from ingest.pipeline import Pipeline
from rag_bot.accounts.provider import Provider
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
from rag_bot.prompt import CANARY, PROMPTS
from rag_bot.rails import NoRails, Rails
from rag_bot.rails.masking import Masking
from rag_bot.readers import Readers
from rag_bot.rerank import load_reranker
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
    memory, readers = Memory.of(settings), Readers(settings.readers)
    index = _open_index(settings, create=create)
    for note in index.notes:
        _log.warning("%s", note)
    llms: tuple[LLM, ...] = ()
    judges: tuple[LLM, ...] = ()
    guards: tuple[LLM, ...] = ()
    try:
        llms = load_llms(settings.llm, settings) if settings.answer != "quote" else ()
        judges = load_llms(settings.judge, settings) if llms else ()
        guards = load_llms(settings.rails_llm, settings) if settings.rails_self_check else ()
        fingerprint = index.embedder.fingerprint  # loaded now: no question need wait for it
        reranker = load_reranker(settings.reranker) if settings.reranker else None
        rails = make_rails(settings, guards or llms, fingerprint)
        restricted = settings.rails != "off" and settings.rails_personal != "allow"
        others = settings.model_copy(update={"rails_personal": "allow"})  # for those who may see personal data
        open_rails = make_rails(others, guards or llms, fingerprint) if restricted else rails
    except BaseException:
        for llm in (*llms, *judges, *guards):
            llm.close()
        index.close()
        raise
    embed, parsers = QueryEmbedder(index), open_parsers(settings)

    def open_writer() -> Pipeline:
        index.refresh()  # all may have been embedded anew since, with another embedder
        return open_pipeline(settings, embedder=index.embedder)

    def parts(rails: Rails, masking: Masking | None = None, unmasked: Parts | None = None) -> Parts:
        text_at = masking.text_at if masking else text_reader(index)
        quote = QuoteAnswerer(text_at)
        return Parts(
            index=index,
            memory=memory,
            rails=rails,
            rewrite=ByLLM(llms[0], seconds=settings.rewrite_seconds) if llms and settings.rewrite_seconds else ByRules(),
            retrieve=Retriever(index, embed, reranker, settings.reranked),
            evidence=EvidenceFinder(index.terms, index.idf, index.sentence_cosines, text_at),
            confidence=Confidence(Calibration.load(settings.index), settings.max_wrong),
            answerer=make_answerer(settings, llms, quote, text_at),
            quote=quote,
            gate=Gate(text_at, settings.gate, SupportFinder(embed, index.sentence_cosines, text_at)),
            judge=Judge(judges[0], seconds=settings.judge_seconds) if judges else None,
            masking=masking,
            llms=(*llms, *judges, *guards),
            open_writer=open_writer,
            parsers=parsers,
            readers=readers,
            unmasked=unmasked,
        )

    if not restricted:
        return parts(rails)
    return parts(rails, Masking(index) if settings.rails_personal == "mask" else None, unmasked=parts(open_rails))


def check_settings(settings: Settings) -> None:
    """Raises BadSetting for what can be known to be wrong before anything is opened, and that no waiting will mend."""
    if settings.rails not in ("on", "off") or any(
        (settings.rails_skip, settings.rails_fail_open, settings.rails_harm_allowed, settings.rails_log)
    ):
        make_rails(settings)  # what is at its default needs no look, and loading NeMo takes a second
    if {*_listed(settings.rails_self_check)} - {"input", "output", "facts"}:
        raise BadSetting(
            f"RAG_BOT_RAILS_SELF_CHECK is {settings.rails_self_check!r}.",
            "Name any of input, output and facts, parted by commas.",
        )
    if settings.rails_self_check and not (settings.rails_llm or parse_llms(settings.llm)):
        raise BadSetting("RAG_BOT_RAILS_SELF_CHECK needs an LLM.", "Set RAG_BOT_RAILS_LLM or RAG_BOT_LLM.")
    Readers(settings.readers)
    Confidence(Calibration.load(settings.index), settings.max_wrong)
    Provider.of(settings)
    if len(parse_llms(settings.judge)) > 1:
        raise BadSetting("RAG_BOT_JUDGE names more than one LLM.", "Name the one that is to judge.")
    if not parse_llms(settings.llm) and settings.answer in ("generate", "quote-llm"):
        raise BadSetting(f"RAG_BOT_ANSWER={settings.answer} needs an LLM.", "Set RAG_BOT_LLM, or use RAG_BOT_ANSWER=quote.")


def make_rails(settings: Settings, llms: Sequence[LLM] = (), embedder: str = "") -> Rails:
    """The rails of the settings; self-checks ask the first of the LLMs, `embedder` is the fingerprint of the one in use.

    Raises BadSetting or DependencyMissing.
    """
    if settings.rails == "off":
        return NoRails()
    from rag_bot.rails.local import local_rails
    from rag_bot.rails.log import log_to
    from rag_bot.rails.nemo import NemoRails

    if settings.rails_log:
        log_to(settings.rails_log)
    local = local_rails(
        question_personal=settings.rails_question_personal,
        answer_personal=settings.rails_personal,
        allowed_harm=_listed(settings.rails_harm_allowed),
        allowed_links=_listed(settings.rails_links),
        prompts=PROMPTS,
        canary=CANARY,
        embedder=embedder,
    )
    return NemoRails(
        local,
        folder=None if settings.rails == "on" else Path(settings.rails).expanduser(),
        llm=llms[0] if llms else None,
        self_checks=_listed(settings.rails_self_check),
        skip=_listed(settings.rails_skip),
        fail_open=_listed(settings.rails_fail_open),
        seconds=settings.rails_seconds,
        nearest=settings.rails_nearest,
    )


def _listed(setting: str) -> list[str]:
    return [name.strip() for name in setting.split(",") if name.strip()]


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
