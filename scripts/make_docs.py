"""Writes docs/configuration.md and docs/cli.md from the code itself; with --check it only says whether they are stale."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import typer.main
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ingest.cli import app as ingest_app
from ingest.settings import IngestSettings
from rag_bot.cli import app as bot_app
from rag_bot.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH = 100

CONFIGURATION = """\
# Configuration

*Made from the code by `make docs`: change `ingest/settings.py` or `rag_bot/settings.py`, not this page.*

Everything has a default that works on one machine. A setting is looked for in these places; the first that has it wins:

1. the command line's own option (`--index`, `--host`, `--port`),
2. the environment: `RAG_BOT_PORT=9000`,
3. the file `.env` in the current folder, a line each: `RAG_BOT_PORT=9000`,
4. a file in `/run/secrets`, or in the folder that `CREDENTIALS_DIRECTORY` names, with the variable's name, in either case,
5. the file `rag-bot.toml` in the current folder, with the names in small letters and without `RAG_BOT_`:

```toml
port = 9000
embedder = "minilm"
```

`rag-bot doctor` says what is in use and what is missing.
"""
CLI = """\
# Command lines

*Made from the code by `make docs`: this is what `--help` prints.*

Both exit with 0 when all is well, 1 when something failed, and 2 when the command line or a setting can't be used.
"""


def configuration() -> str:
    """The page of all settings, a table for each class of them."""
    parts = [CONFIGURATION]
    for title, settings, known in (
        ("Index and ingestion", IngestSettings, set[str]()),
        ("Answering and serving", Settings, set(IngestSettings.model_fields)),
    ):
        parts.append(f"## {title}\n")
        parts.append("| Variable | Value | Default | What it does |\n| --- | --- | --- | --- |")
        parts += [_row(name, field) for name, field in settings.model_fields.items() if name not in known]
        parts.append("")
    return "\n".join(parts)


def command_lines() -> str:
    """The page of what every command's `--help` prints."""
    parts = [CLI]
    for command, text in helps().items():
        heading = "###" if " " in command else "##"
        parts.append(f"{heading} {command}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def helps() -> dict[str, str]:
    """What `--help` prints, by the command's full name, such as `ingest add`."""
    found: dict[str, str] = {}
    for name, app in (("ingest", ingest_app), ("rag-bot", bot_app)):
        found |= _helps(typer.main.get_command(app), name, None)
    return found


def _row(name: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    shown = "" if default in ("", None) else f"`{default}`"
    cells = (f"`RAG_BOT_{name.upper()}`", _value(field), shown, field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(field: FieldInfo) -> str:
    """What may be given, in words: `whole number, 1 to 50`."""
    limits = []
    for rule in field.metadata:
        match rule:
            case annotated_types.Ge(ge=bound):
                limits.append(f"at least {bound}")
            case annotated_types.Gt(gt=bound):
                limits.append(f"more than {bound}")
            case annotated_types.Le(le=bound):
                limits.append(f"at most {bound}")
            case annotated_types.Lt(lt=bound):
                limits.append(f"less than {bound}")
    return ", ".join([_kind(field.annotation), *limits])


def _kind(annotation: Any) -> str:
    names = {
        SecretStr: "text, kept secret",
        str: "text",
        int: "whole number",
        float: "number",
        bool: "`true` or `false`",
        Path: "path",
        type(None): "nothing",
    }
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_kind(choice) for choice in get_args(annotation))
    return names.get(annotation) or str(getattr(annotation, "__name__", annotation))


# Typer carries its own copy of click's classes, whose names it does not give to others.
def _helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    """(full name, help) of the command and of all below it."""
    context = command.make_context(name, [], parent, resilient_parsing=True, terminal_width=WIDTH, color=False)
    yield context.command_path, "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())
    for child, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _helps(below, child, context)


def pages() -> dict[Path, str]:
    """Every page that is made here, with its text."""
    return {DOCS / "configuration.md": configuration(), DOCS / "cli.md": command_lines()}


def stale() -> list[Path]:
    """The pages that are not what the code would make of them."""
    return [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("Usage: python -m scripts.make_docs [--check]", file=sys.stderr)
        return 2
    old = stale()
    for path in old:
        shown = path.relative_to(DOCS.parent)
        if arguments:
            print(f"{shown} is stale: run `make docs` and keep what it writes.", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[path], encoding="utf-8")
            print(f"{shown} written.")
    return 1 if arguments and old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
