"""What a document hides from its reader, judged: by itself where only who wants to hide does so, else by what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ingest.inspect import Finding
from ingest.types import Hidden

Detector = Callable[[str], Sequence[Finding]]

ORDERS = "gives orders"
"""The note of hidden text that does."""
SURE = 0.5
"""From this score on, hidden text is masked or has its document held back, and what looks like an order is one."""


def find_hidden(text: str, hidden: Sequence[Hidden], find_orders: Detector | None) -> list[Finding]:
    """A finding for each of the `hidden` that is sure, or that gives orders.

    Comments, descriptions of pictures and their like stand in every honest document: they count by what they say only.
    """
    found = []
    for one in hidden:
        said = one.beside if one.start == one.end else text[one.start : one.end]
        orders = bool(find_orders and any(order.score >= SURE for order in find_orders(said)))
        if one.sure or orders:
            found.append(Finding("hidden", one.kind, one.start, one.end, 1.0 if one.sure else 0.9, ORDERS if orders else ""))
    return found
