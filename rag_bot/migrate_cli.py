"""`rag-bot migrate`: the database brought up to date by hand, or back for an older program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest import console


def migrate(
    to: Annotated[
        str, typer.Option(metavar="REVISION", help="Another revision than the newest: an older one loses data.")
    ] = "",
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit with 1 where it is not up to date.")] = False,
    index: Annotated[
        Path | None,
        typer.Option("--index", metavar="DIR", help="Folder of the index; else RAG_BOT_INDEX, else `index` here."),
    ] = None,
) -> None:
    """Bring the conversations' database up to date. A service does so at its start, unless RAG_BOT_STATE_MIGRATE is `off`."""
    from rag_bot.database import REVISIONS, Database
    from rag_bot.settings import Settings

    database = Database(console.load_settings(Settings, index=index).state_url)
    try:
        before, wanted = database.revision(), to or REVISIONS[-1]
        if check:
            typer.echo(f"The database is at revision {before or 'none: it is empty'}; the newest is {REVISIONS[-1]}.")
            raise typer.Exit(before != REVISIONS[-1])
        database.migrate_to(wanted)
    finally:
        database.close()
    typer.echo(f"The database is at revision {wanted}{f', before at {before}' if before not in (None, wanted) else ''}.")
