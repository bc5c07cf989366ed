"""The command line `rag-bot rails`: what each rail says of a text, and what the rails catch and wrongly refuse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ingest import console

if TYPE_CHECKING:
    from rag_bot.explain import Explained
    from rag_bot.settings import Settings

As = Literal["question", "document", "sentence"]

app = typer.Typer(
    help="Guardrails: what they say of a text, and how well they do.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings=console.HELP,
)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("test")
def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; `-` reads it from standard input.")],
    kind: Annotated[As, typer.Option("--as", help="What the text is.")] = "question",
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="QUOTE", help="What a sentence cites; may be given again.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what each rail makes of a text; exit 1 where it may not pass."""
    import asyncio
    import sys

    from rag_bot.errors import BadQuestion

    try:
        text = console.decoded(sys.stdin.read() if text == "-" else text)
    except UnicodeError as error:
        raise BadQuestion("The text is not UTF-8.", "Send it as UTF-8.") from error
    settings = _settings()
    with console.console(stderr=True).status("Loading …"):
        from rag_bot.explain import Explainer

        explained = asyncio.run(Explainer(settings).explain(text, kind, tuple(source or ())))
    if as_json:
        console.print_json(explained.as_dict())
    else:
        _show(explained)
    raise typer.Exit(not explained.allowed)


@app.command("eval")
def eval_(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help='JSON Lines: {"text", "as": question|document|sentence, "expect": pass|refuse, "kind", "sources"}; else a '
            "set that comes with the program.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count what the rails catch and what they wrongly refuse."""
    import asyncio

    settings = _settings()
    with console.console(stderr=True).status("Checking …"):
        from rag_bot.explain import Explainer, read_cases

        rows, wrong = asyncio.run(Explainer(settings).score(read_cases(file)))
    if as_json:
        console.print_json({"kinds": rows, "wrong": wrong})
        return
    _table([("Kind", "Expected", "Texts", "Right", "Share")], [_cells(row) for row in rows])
    for case in wrong:
        console.plain(console.safe(f"{'kept back' if case['expect'] == 'pass' else 'let through'}: {_short(case['text'])}"))


# --- helpers


def _settings() -> Settings:
    from rag_bot.settings import Settings

    return console.load_settings(Settings)


def _show(explained: Explained) -> None:
    rows = [
        (row.rail, "passes" if row.allowed else "refuses", f"{row.ms:.1f} ms", row.reason, row.detail)
        for row in explained.verdicts
    ]
    _table([("Rail", "Says", "Took", "Reason", "Detail")], rows)
    for finding in explained.findings:
        console.plain(
            console.safe(f"{finding.group} {finding.kind} at {finding.start}–{finding.end}: {finding.note}".rstrip(": "))
        )
    if explained.text is not None:
        console.plain(console.safe(f"Goes on as: {explained.text}"))
    console.plain(console.safe(explained.summary))


def _table(head: Sequence[tuple[str, ...]], rows: Sequence[tuple[str, ...]]) -> None:
    lines = [*head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        console.plain(console.safe("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return row["kind"], row["expect"], str(row["texts"]), str(row["right"]), f"{row['share']:.1%}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"
