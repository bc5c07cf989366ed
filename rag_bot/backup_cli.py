"""`rag-bot backup` and `rag-bot restore`: everything into one file from under a running service, and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest import console

if TYPE_CHECKING:
    from ingest.bundle import Contents
    from rag_bot.backup import Made, Restored
    from rag_bot.settings import Settings

IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="Folder of the index; else RAG_BOT_INDEX, else `index` here."),
]
StateOption = Annotated[
    str | None,
    typer.Option("--state", metavar="URL", help="SQLAlchemy URL of the conversations; else RAG_BOT_STATE, else in the index."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def backup(
    target: Annotated[
        Path, typer.Argument(metavar="FILE|DIR", help="A new file, or a folder that gets one; `-` writes to standard output.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    with_derived: Annotated[
        bool,
        typer.Option("--with-derived", help="Take the search indexes along; else they are built again at restoring."),
    ] = False,
    index: IndexOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy index, uploads and conversations into one file while all goes on. It holds all that they hold: keep it safe."""
    settings = _settings(index, state)
    began = time.monotonic()
    with console.stoppable("Stopped; no backup was made."), console.console(stderr=True).status("Copying …"):
        from rag_bot.backup import make

        made = make(settings, None if target == Path("-") else target, force=force, derived=with_derived)
    _tell_made(made, time.monotonic() - began, as_json=as_json)
    raise typer.Exit(bool(made.faults))


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A backup; `-` reads it from standard input.")],
    check: Annotated[bool, typer.Option("--check", help="Only look whether the backup is whole, and what is in it.")] = False,
    index: IndexOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup into an index folder and a database that are empty."""
    settings = _settings(index, state)
    file, began = None if source == Path("-") else source, time.monotonic()
    with console.stoppable("Stopped; nothing was restored."), console.console(stderr=True).status("Reading …"):
        from rag_bot import backup as story

        restored = None if check else story.restore(settings, file)
        contents = restored.contents if restored else story.check(file)
    if restored:
        _tell_restored(restored, settings, time.monotonic() - began, as_json=as_json)
        raise typer.Exit(bool(restored.index.faults))
    if as_json:
        console.print_json({"whole": True} | _told(contents))
    else:
        console.plain(f"Whole: {_sentence(contents)}.")


def _tell_made(made: Made, seconds: float, *, as_json: bool) -> None:
    for note in made.notes:
        console.note(note)
    for fault in made.faults:
        console.complain(f"The backup is made, but the index has a fault: {fault}", "See: ingest verify")
    if made.file is None:
        return
    size = made.file.stat().st_size
    if as_json:
        console.print_json(
            {"file": str(made.file), "bytes": size, "seconds": round(seconds, 3)}
            | _told(made.contents)
            | {"faults": list(made.faults), "notes": list(made.notes)}
        )
    else:
        console.plain(f"{console.safe(str(made.file))}: {_sentence(made.contents)}; {size:,} bytes in {seconds:,.1f} s.")


def _tell_restored(restored: Restored, settings: Settings, seconds: float, *, as_json: bool) -> None:
    for note in restored.index.notes:
        console.note(note)
    if as_json:
        told = {
            "index": str(settings.index),
            "state": restored.state,
            "seconds": round(seconds, 3),
            "whole": not restored.index.faults,
            "faults": list(restored.index.faults),
        }
        console.print_json(_told(restored.contents) | told)
        return
    for fault in restored.index.faults:
        console.complain(f"The index is restored, but it had a fault when it was backed up: {fault}")
    where = console.safe(str(settings.index) + (f" and {restored.state}" if restored.state else ""))
    console.plain(f"Restored into {where} in {seconds:,.1f} s: {_sentence(restored.contents)}.")


def _told(contents: Contents) -> dict[str, object]:
    """What a backup holds, for programs."""
    index, state = contents.facts["index"], contents.facts["state"]
    return {
        "made_at": contents.at,
        "program": contents.program,
        "format": contents.format,
        "documents": index.get("documents"),
        "chunks": index.get("chunks"),
        "originals": index.get("originals"),
        "uploads_waiting": index.get("uploads_waiting"),
        "embedder": index.get("embedder"),
        "schema": index.get("schema"),
        "derived": index.get("derived"),
        "database": state and state.get("database"),
        "revision": state and state.get("revision"),
        "conversations": _rows(contents, "conversations"),
        "rows": (state or {}).get("rows", {}),
    }


def _sentence(contents: Contents) -> str:
    """What a backup holds, for a person."""
    told = contents.facts["index"]
    parts = [
        console.count(_number(told.get("documents")), "document"),
        console.count(_number(told.get("chunks")), "chunk"),
        console.count(_rows(contents, "conversations"), "conversation"),
    ]
    for number, noun in (
        (_number(told.get("originals")), "original"),
        (_number(told.get("uploads_waiting")), "upload that waits"),
        (_rows(contents, "users"), "user"),
    ):
        parts += [console.count(number, noun)] if number else []
    return f"{', '.join(parts)} (rag-bot {console.safe(contents.program)}, {console.safe(contents.at)})"


def _rows(contents: Contents, table: str) -> int:
    return _number(((contents.facts["state"] or {}).get("rows") or {}).get(table))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _settings(index: Path | None, state: str | None) -> Settings:
    from rag_bot.settings import Settings

    return console.load_settings(Settings, index=index, state=state)
