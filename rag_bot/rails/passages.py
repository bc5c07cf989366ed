"""Passages before they are read: those that give orders to a model are set aside, and a question too far from all of them
is off the subject."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache

from ingest.inspect import Finding
from ingest.inspect.orders import SURE, find_orders
from rag_bot.rails import Screened
from rag_bot.types import Passage, RailVerdict, Verdict

RAIL = "orders"
OFF_TOPIC = "This doesn't seem to be about the documents here. Ask about what they treat."


def screen(passages: Sequence[Passage], nearest: float = 0.0, *, orders: bool = True) -> Screened:
    """The passages without those that look like `orders`. `nearest` is the cosine to the question that the nearest one must
    reach, 0 for none."""
    began = time.perf_counter()
    cosines = [passage.dense for passage in passages if passage.dense is not None]
    if nearest and cosines and max(cosines) < nearest:
        verdict = Verdict(False, "topic", "off-topic", OFF_TOPIC)
        return Screened(verdict, (), (RailVerdict("topic", "passage", False, "off-topic", _since(began)),))
    if not orders:
        return Screened(Verdict(True), tuple(passages))
    kept: list[Passage] = []
    verdicts: list[RailVerdict] = []
    for passage in passages:
        began = time.perf_counter()
        ordered = orders_in(passage)
        verdicts.append(RailVerdict(RAIL, "passage", not ordered, "order" if ordered else "", _since(began)))
        if not ordered:
            kept.append(passage)
    return Screened(Verdict(True), tuple(kept), tuple(verdicts))


def orders_in(passage: Passage) -> bool:
    """Whether the passage gives orders to a model: as found at ingestion, or by the rules of today."""
    return any(_is_order(finding) for finding in passage.chunk.findings) or _orders(passage.chunk.text)


@lru_cache(maxsize=4096)
def _orders(text: str) -> bool:
    return any(_is_order(finding) for finding in find_orders(text))


def _is_order(finding: Finding) -> bool:
    """An order, and not one that is only quoted in a text about attacks."""
    return finding.group == "order" and finding.score >= SURE


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
