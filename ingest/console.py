"""What both command lines share: settings from options, safe printing, one-line errors, JSON, the progress of a run."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from ingest.settings import IngestSettings
    from ingest.types import LedgerEntry, Progress

HELP = {"help_option_names": ["--help", "-h"]}

# What a terminal acts upon rather than shows: control characters, marks that turn the direction of writing, and halves
# of surrogate pairs (bytes of a file name that are no UTF-8).
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

SettingsType = TypeVar("SettingsType", bound="IngestSettings")


def safe(text: str, keep: str = "") -> str:
    """`text` with everything that could steer a terminal written as an escape; the characters in `keep` stay."""
    return _UNSAFE.sub(lambda m: m[0] if m[0] in keep else m[0].encode("unicode_escape").decode("ascii"), text)


def decoded(text: str) -> str:
    """What was typed, read as UTF-8 although the locale may be another. Raises UnicodeError where it is no UTF-8."""
    return os.fsencode(text).decode("utf-8")


def one_line(text: str) -> str:
    """A passage on one line, for showing."""
    return safe(" ".join(text.split()))


def count(number: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def version(command: str) -> str:
    """What `--version` prints."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return f"{command} {installed('rag-bot')}"
    except PackageNotFoundError:
        return f"{command} (run from a checkout that is not installed)"


# --- settings


def load_settings(kind: type[SettingsType], **given: object) -> SettingsType:
    """The settings, where what was `given` on the command line (not None) wins. A value that can't be used: exit 2."""
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return kind(**chosen)
    except (ValueError, OSError) as error:  # pydantic's, TOML's and Unicode's errors are all ValueErrors
        for line in _setting_faults(error, chosen):
            complain(line)
        raise typer.Exit(2) from error


def _setting_faults(error: Exception, chosen: dict[str, Any]) -> list[str]:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return [f"The settings in .env, rag-bot.toml or a file of secrets can't be read: {error}"]
    faults = []
    for fault in error.errors(include_url=False):
        field = "_".join(str(part) for part in fault["loc"])
        name = f"option --{field}" if field in chosen else f"setting RAG_BOT_{field.upper()}"
        faults.append(f"The {name} can't be {fault['input']!r}: {fault['msg']}.")
    return faults


# --- running and failing


def run(app: typer.Typer, name: str, arguments: Sequence[str] | None, errors: tuple[type[Exception], ...]) -> None:
    """Run the command line `app`; one of the project's own `errors` ends it with one line and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # an odd character is no reason to stop in a poor locale
    try:
        app(args=None if arguments is None else list(arguments), prog_name=name)
    except errors as error:
        complain(str(error), getattr(error, "hint", ""))
        sys.exit(1)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("ingest", "rag_bot"):
            raise
        complain(f"The Python module {error.name} is not installed.", "Install the package as the README says.")
        sys.exit(1)
    except OSError as error:
        complain(str(error))
        sys.exit(1)


def complain(sentence: str, hint: str = "") -> None:
    """An error on stderr: what is wrong, and what to do."""
    screen = console(stderr=True)
    screen.print(_styled("Error: ", "bold red") + safe(sentence))
    if hint:
        screen.print(_styled(safe(hint), "dim"))


def note(sentence: str) -> None:
    """A remark on stderr."""
    console(stderr=True).print(_styled(f"note: {safe(sentence)}", "dim"))


@contextmanager
def stoppable(sentence: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM inside say `sentence` before they end the command (with 130 and 143)."""

    def terminate(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, terminate) if threading.current_thread() is threading.main_thread() else None
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, KeyboardInterrupt) or stop.code == 128 + signal.SIGTERM:
            console(stderr=True).print(_styled(sentence, "yellow"))
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


# --- printing


def console(*, stderr: bool = False) -> Console:
    """Rich's console with everything switched off that reads a meaning into text; it wraps on a terminal only."""
    from rich.console import Console

    screen = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    screen.soft_wrap = not screen.is_terminal
    return screen


def _styled(text: str, style: str) -> Any:
    from rich.text import Text

    return Text.assemble((text, style))


def plain(text: str) -> None:
    """Text on stdout as it is; it must be safe already."""
    from rich.text import Text

    screen = console()
    if screen.is_terminal:
        screen.print(Text(text))
    else:
        print(text, flush=True)  # Rich would make blanks of tabs


def indented(text: str, by: int, style: str = "") -> None:
    """Safe text on stdout behind an indent, which a terminal keeps on every line."""
    from rich.padding import Padding
    from rich.text import Text

    screen = console()
    if screen.is_terminal:
        screen.print(Padding(Text(text, style), (0, 0, 0, by)))
    else:
        plain(" " * by + text)


def place(title: str, heading: Sequence[str], page: int | None, at: str | None = None) -> str:
    """Where a passage stands: `Leave policy › Parental leave, page 3`; `at` is its place in the file's own terms."""
    names = [title, *(name for name in heading if name != title)]
    where = at or (f"page {page}" if page is not None else "")
    return safe(" › ".join(names) + (f", {where}" if where else ""))


def print_json(data: object) -> None:
    """One JSON value on stdout: ASCII only, so that no locale breaks it and no terminal obeys it."""
    print(json.dumps(data, indent=2 if sys.stdout.isatty() else None), flush=True)


_SLOW = 30.0  # seconds between two lines that name a file that takes long


# --- the progress of `ingest add` and `ingest sync`


class Watch:
    """Shows a run on stderr: a bar on a terminal, elsewhere a line for each file that is not as it was.

    On a terminal the failures stand below the summary, in sight, not above it. A file that takes long is named.
    """

    def __init__(self, *, lines: bool = True) -> None:
        self._screen = console(stderr=True)
        self._lines = lines
        self._named: dict[str, float] = {}
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._begun: float | None = None

    def __enter__(self) -> Watch:
        if self._screen.is_terminal:
            self._bar = bar_on(self._screen)
            self._task = self._bar.add_task("Loading the embedder and reading", total=None, files="", rate="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        if self._bar and self._task is not None:
            self._advance(self._bar, self._task, progress)
        entry = progress.entry
        if self._bar or not self._lines:
            return
        if entry and entry.status != "unchanged":
            self._screen.print(entry_line(entry))
        for one in progress.working:
            if one.seconds > self._named.get(one.source, 0.0) + _SLOW:
                self._named[one.source] = one.seconds
                self._screen.print(_styled(f"still {one.state} {safe(one.source)} ({one.seconds:,.0f} s)", "dim"))

    def _advance(self, bar: Bar, task: TaskID, progress: Progress) -> None:
        # The clock starts at the first report: loading the embedder is not the speed of embedding.
        self._begun = self._begun or time.monotonic()
        seconds = time.monotonic() - self._begun
        rate = f"{progress.chunks_done / seconds:,.0f} chunks/s" if progress.chunks_done and seconds > 0.5 else ""
        name = safe(os.path.basename(progress.source or ""))
        slow = f"{progress.working[0].state} {name} for {progress.working[0].seconds:,.0f} s" if progress.working else ""
        bar.update(
            task,
            description=slow or name,
            completed=progress.files_done,
            total=progress.files_total,
            files=f"{progress.files_done:,}/{progress.files_total:,} files",
            rate=rate,
        )


def bar_on(screen: Console) -> Bar:
    """A bar of a run, not yet started: its task has `files` and `rate` as fields."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[files]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        console=screen,
        transient=True,
        expand=True,
    )


_COLOURS = {"added": "green", "replaced": "green", "removed": "yellow", "failed": "red", "quarantined": "red"}


def entry_line(entry: LedgerEntry) -> Any:
    """What became of one file, on a line."""
    from rich.text import Text

    detail = "; ".join(filter(None, [count(entry.chunks, "chunk") if entry.chunks else "", entry.reason]))
    line = Text.assemble((f"{entry.status:<12}", _COLOURS.get(entry.status, "dim")), safe(entry.source))
    return line.append(f"  {safe(detail)}", "dim") if detail else line
