"""`ingest status --follow`: a run of another process, shown as it goes; a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.console import bar_on, console, count, entry_line, plain, print_json, safe
from ingest.follow import Follower, Look, seconds_since
from ingest.index import STORE

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LOOK_SECONDS = 0.5
_LINE_SECONDS = 5.0  # between two plain lines, if nothing fails meanwhile
_SLOW = 5.0  # a file that takes longer is said with its seconds


def follow(folder: Path, as_json: bool) -> int:
    """Show a run until it ends; 1 where something failed or the run was stopped. Raises IndexMissing."""
    failed = False
    screen = _Json() if as_json else _Bar() if console().is_terminal else _Lines()
    with Follower(folder, STORE) as follower, screen:
        while True:
            look = follower.look(time.monotonic())
            failed = failed or any(entry.status == "failed" for entry in look.entries)
            screen.show(look)
            if not look.live:
                return int(failed or look.stopped)
            time.sleep(_LOOK_SECONDS)


class _Screen:
    """Shows one look after another."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, look: Look) -> None:
        """Show what is new."""
        raise NotImplementedError


class _Json(_Screen):
    """An object a line for each look."""

    def show(self, look: Look) -> None:
        print_json(asdict(look))


class _Lines(_Screen):
    """Failures as they come, and how far it is now and then."""

    def __init__(self) -> None:
        self._said = 0.0

    def show(self, look: Look) -> None:
        _show_failures(look)
        now = time.monotonic()
        if not look.live:
            plain(_end(look))
        elif now - self._said >= _LINE_SECONDS:
            self._said = now
            plain(f"{time.strftime('%H:%M:%S')}  {_far(look)}")


class _Bar(_Screen):
    """A bar, with failures above it."""

    def __init__(self) -> None:
        self._bar: Progress = bar_on(console())
        self._task: TaskID = self._bar.add_task("", total=None, files="", rate="")

    def __enter__(self) -> None:
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, look: Look) -> None:
        for entry in look.entries:
            if entry.status in ("failed", "quarantined"):
                self._bar.console.print(entry_line(entry))
        run = look.run
        self._bar.update(
            self._task,
            description=_doing(look),
            completed=look.done,
            total=run.files if run else None,
            files=f"{look.done:,}/{run.files:,} files" if run else "",
            rate=f"{look.rate:,.1f} files/s" if look.rate else "",
        )
        if not look.live:
            self._bar.stop()
            plain(_end(look))


def _show_failures(look: Look) -> None:
    for entry in look.entries:
        if entry.status in ("failed", "quarantined"):
            console().print(entry_line(entry))


def _far(look: Look) -> str:
    """`120 of 2,000 files, 35.0 files/s; parsing big.pdf for 45 s`."""
    if look.run is None or look.run.ended:
        return "the index is being opened"
    rate = f", {look.rate:,.1f} files/s" if look.rate else ""
    doing = _doing(look)
    return f"{look.done:,} of {count(look.run.files, 'file')}{rate}{f'; {doing}' if doing else ''}"


def _doing(look: Look) -> str:
    """What is worked on: the file that has taken longest."""
    if not look.working:
        return ""
    one = look.working[0]
    seconds = seconds_since(one.at)
    chunks = f" ({one.chunks_done:,} of {one.chunks_total:,} chunks)" if one.chunks_done else ""
    return f"{one.state} {safe(os.path.basename(one.source))}{chunks}" + (f" for {seconds:,.0f} s" if seconds >= _SLOW else "")


def _end(look: Look) -> str:
    if look.run is None:
        return "No run yet."
    states = ", ".join(f"{n:,} {state}" for state, n in sorted(look.states.items())) or "nothing to do"
    how = "was stopped; `ingest retry` goes on" if look.stopped else "is over"
    return f"The run over {count(look.run.files, 'file')} that began at {look.run.began} {how}: {states}."
