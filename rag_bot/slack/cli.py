"""The command line `rag-bot slack`: run the bot over Socket Mode, print the app's manifest, check the set-up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest import console
from rag_bot.errors import BadSetting

if TYPE_CHECKING:
    from rag_bot.settings import Settings

app = typer.Typer(
    help="Answer in Slack (over Socket Mode), or with a subcommand prepare for it.",
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings=console.HELP,
)


@app.callback()
def slack(
    context: typer.Context,
    index: Annotated[
        Path | None, typer.Option("--index", metavar="DIR", help="Folder of the index; else RAG_BOT_INDEX, else `index` here.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve `/metrics` for Prometheus on this port of RAG_BOT_HOST.")
    ] = None,
) -> None:
    if context.invoked_subcommand is not None:
        return
    settings = _settings(index=index)
    try:
        from rag_bot.slack.run import run
    except ModuleNotFoundError as error:
        raise _absent(error) from error
    run(settings, metrics_port)


@app.command()
def manifest(
    name: Annotated[str, typer.Option(help="What the app is called.")] = "Ask your documents",
    url: Annotated[str, typer.Option(help="Public address of `rag-bot serve`, for HTTP; else the app uses Socket Mode.")] = "",
) -> None:
    """Print the app's manifest, to make the app in Slack from."""
    from rag_bot.slack.manifest import manifest as made

    typer.echo(json.dumps(made(name, url), indent=2))


@app.command()
def check(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Say which token, scope or event is missing."""
    import asyncio

    settings = _settings()
    try:
        from rag_bot.slack.check import check as look
    except ModuleNotFoundError as error:
        raise _absent(error) from error
    from rag_bot.doctor import show

    checks = asyncio.run(look(settings))
    well = not any(one.state == "missing" for one in checks)
    if as_json:
        console.print_json({"ok": well, "checks": [one.as_dict() for one in checks]})
    else:
        show(checks)
    raise typer.Exit(not well)


def _settings(**given: object) -> Settings:
    from rag_bot.settings import Settings

    return console.load_settings(Settings, **given)


def _absent(error: ModuleNotFoundError) -> BadSetting:
    return BadSetting(f"The package of the module {error.name} is not installed.", "pip install 'rag-bot[slack]'")
