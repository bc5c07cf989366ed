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
_NEAR = 500  # characters between two passages
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
    ordering: list[Passage] = []
    seconds: list[float] = []
    for passage in passages:
        began = time.perf_counter()
        if orders_in(passage):
            ordering.append(passage)
        seconds.append(_since(began))
    kept: list[Passage] = []
    verdicts: list[RailVerdict] = []
    for passage, ms in zip(passages, seconds, strict=True):
        # What an order is about (a piece of code, say) may stand in the passage after it.
        reason = "order" if passage in ordering else "beside-order" if any(_beside(passage, one) for one in ordering) else ""
        verdicts.append(RailVerdict(RAIL, "passage", not reason, reason, ms))
        if not reason:
            kept.append(passage)
    return Screened(Verdict(True), tuple(kept), tuple(verdicts))


def _beside(passage: Passage, other: Passage) -> bool:
    """Whether two passages are of one document, and near to each other in it."""
    if passage.document.document_id != other.document.document_id:
        return False
    return passage.chunk.start - other.chunk.end <= _NEAR and other.chunk.start - passage.chunk.end <= _NEAR


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
