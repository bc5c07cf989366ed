"""`rag-bot usage`: what LLMs took, in tokens and money, by day, model, conversation or key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

from ingest.console import console, plain, print_json, safe
from rag_bot.memory import Memory, Spending, UsageBy
from rag_bot.settings import Settings

_NAMELESS = {"conversation": "(not kept)", "key": "(no key)"}


def report(settings: Settings, by: UsageBy, since: date | None, *, as_json: bool) -> None:
    """Print what was spent, since a day (UTC) or ever, and its total. Raises StateError."""
    memory = Memory.of(settings)
    try:
        rows = memory.usage(by, since)
        [total] = memory.usage("all", since) or [Spending("", 0, 0, 0, 0.0)]
    finally:
        memory.close()
    if as_json:
        whole = {name: value for name, value in asdict(total).items() if name != "name"}
        print_json(
            {"by": by, "since": since.isoformat() if since else None, "rows": [asdict(row) for row in rows], "total": whole}
        )
    elif rows:
        _show(rows, total, by)
    else:
        plain(f"No LLM has taken tokens{f' since {since}' if since else ' yet'}.")


def _show(rows: Sequence[Spending], total: Spending, by: UsageBy) -> None:
    """A table on a terminal; elsewhere a line for each, with tabs."""
    from rich.table import Table

    head = (by.capitalize(), "Answers", "Tokens in", "Tokens out", "US dollars")
    screen = console()
    if not screen.is_terminal:
        for cells in (head, *(_cells(row, by) for row in rows), ("Total", *_cells(total, by)[1:])):
            plain("\t".join(cells))
        return
    table = Table(box=None, pad_edge=False, show_footer=True)
    for name, foot in zip(head, ("Total", *_cells(total, by)[1:]), strict=True):
        table.add_column(name, foot, justify="left" if name == head[0] else "right")
    for row in rows:
        table.add_row(*_cells(row, by))
    screen.print(table)


def _cells(row: Spending, by: UsageBy) -> tuple[str, ...]:
    numbers = (f"{number:,}" for number in (row.answers, row.prompt_tokens, row.completion_tokens))
    return safe(row.name or _NAMELESS.get(by, "")), *numbers, f"{row.cost:,.4f}"
