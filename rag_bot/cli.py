"""The command line `rag-bot`: ask the documents, hold a conversation, serve the chat, look whether all is well."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ingest import console
from ingest.errors import IngestError
from rag_bot import accounts_cli, backup_cli, compare_cli, eval_cli, gaps_cli, migrate_cli, models_cli, rails_cli
from rag_bot.errors import BadQuestion, BotError
from rag_bot.slack import cli as slack_cli

if TYPE_CHECKING:
    import asyncio

    from rag_bot.bot import Bot
    from rag_bot.settings import Settings

app = typer.Typer(
    help="Ask your documents: every sentence of an answer is proved by a quote.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=console.HELP,
)

app.add_typer(models_cli.app, name="models")
app.add_typer(rails_cli.app, name="rails")
app.add_typer(eval_cli.app, name="eval")
app.command()(compare_cli.compare)
app.command()(gaps_cli.gaps)
app.add_typer(slack_cli.app, name="slack")
app.add_typer(accounts_cli.keys, name="keys")
app.add_typer(accounts_cli.users, name="users")
app.command()(accounts_cli.audit)
app.command()(migrate_cli.migrate)
app.command()(backup_cli.backup)
app.command()(backup_cli.restore)

IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="Folder of the index; else RAG_BOT_INDEX, else `index` here."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ConversationOption = Annotated[
    str | None, typer.Option("--conversation", metavar="ID", help="Go on with this conversation (its `conversation_id`).")
]


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `rag-bot`."""
    console.run(app, "rag-bot", arguments, (BotError, IngestError))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(console.version("rag-bot"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


@app.command()
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question; `-` reads it from standard input.")],
    conversation: ConversationOption = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one question, with its sources."""
    import asyncio

    from rag_bot.terminal import tell

    settings = _settings(index=index)
    question = _question(question)
    with asyncio.Runner() as loop:
        bot = _start(loop, settings)
        try:
            if as_json:
                console.print_json(loop.run(bot.answer(question, conversation)).as_dict())
            else:
                tell(loop, bot, question, conversation, quotes=True)
        finally:
            loop.run(bot.close())


@app.command()
def chat(conversation: ConversationOption = None, index: IndexOption = None) -> None:
    """Hold a conversation: follow-up questions know what was said."""
    import asyncio

    from rag_bot.chat import converse

    settings = _settings(index=index)
    with asyncio.Runner() as loop:
        bot = _start(loop, settings)
        try:
            converse(loop, bot, conversation)
        finally:
            loop.run(bot.close())


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else RAG_BOT_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on, 0 for a free one; else RAG_BOT_PORT.")
    ] = None,
    index: IndexOption = None,
) -> None:
    """Serve the chat page and the API."""
    settings = _settings(host=host, port=port, index=index)
    from rag_bot.api.serve import serve as serve_forever

    serve_forever(settings)


@app.command()
def usage(
    by: Annotated[Literal["day", "model", "conversation", "key"], typer.Option(help="What to add it up for.")] = "day",
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Begin with this day (UTC); else all.")
    ] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what LLMs took, in tokens and money."""
    settings = _settings(index=index)
    from rag_bot.usage_cli import report

    report(settings, by, since.date() if since else None, as_json=as_json)


@app.command()
def calibrate(
    questions: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="JSON Lines: `question`, `answer` (words of a right quote; none: unanswerable)."),
    ],
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit to your own documents when an answer is refused."""
    settings = _settings(index=index)
    from rag_bot.calibrate_cli import calibrate as fit

    fit(settings, questions, as_json=as_json)


@app.command()
def doctor(index: IndexOption = None, as_json: JsonOption = False) -> None:
    """Say what is missing, and what mends it."""
    settings = _settings(index=index)
    from rag_bot.doctor import examine, show

    with console.console(stderr=True).status("Looking …"):
        checks = examine(settings)
    well = not any(check.state == "missing" for check in checks)
    if as_json:
        console.print_json({"ok": well, "checks": [check.as_dict() for check in checks]})
    else:
        show(checks)
    raise typer.Exit(not well)


# --- helpers


def _settings(**given: object) -> Settings:
    from rag_bot.settings import Settings

    return console.load_settings(Settings, **given)


def _question(given: str) -> str:
    """The question as text; `-` is the whole of standard input."""
    try:
        return console.decoded(sys.stdin.read() if given == "-" else given)
    except UnicodeError as error:
        raise BadQuestion("The question is not UTF-8 text.", "Send it as UTF-8.") from error


def _start(loop: asyncio.Runner, settings: Settings) -> Bot:
    """A bot that is ready; loading its models takes a while."""
    screen = console.console(stderr=True)
    with screen.status("Loading …"):
        from rag_bot.build import build_bot

        bot = build_bot(settings)
        loop.run(bot.start())
    return bot


if __name__ == "__main__":
    main()
