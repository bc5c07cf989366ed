"""How a run of another process goes: read from the store while that process writes, without loading an index."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ingest.errors import IndexMissing
from ingest.lock import is_held
from ingest.store import Store
from ingest.types import LedgerEntry, Run, Standing

_RATE_LOOKS = 20  # looks back that the rate is taken over


@dataclass(frozen=True, slots=True)
class Look:
    """How far the latest run has come. `live`: a process is writing to the index; `run` is the latest one, if there was any.

    `done` files of it are through; `rate` is files a second of late. `working` are those worked on, the longest first, and
    `entries` the ledger lines since the look before.
    """

    live: bool
    run: Run | None
    done: int
    states: dict[str, int]
    rate: float
    working: tuple[Standing, ...]
    entries: tuple[LedgerEntry, ...]

    @property
    def stopped(self) -> bool:
        """Whether the run ended before it was done."""
        return not self.live and self.run is not None and self.run.outcome != "done"


class Follower:
    """Looks at the index in a folder again and again. Raises IndexMissing where there is none."""

    def __init__(self, folder: Path, store_name: str) -> None:
        if not (folder / store_name).is_file():
            raise IndexMissing(f"There is no index in {folder}.", f"Make one with: ingest add PATH --index {folder}")
        self._folder = folder
        self._store = Store(folder / store_name)
        self._line = self._store.last_line()
        self._run = -1
        self._looks: deque[tuple[float, int]] = deque(maxlen=_RATE_LOOKS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def look(self, now: float) -> Look:
        """What there is to see; `now` is a clock in seconds."""
        live = is_held(self._folder)  # before the rest is read: what is not live any more has written all it will
        self._store.version  # noqa: B018  # asked, it notices that a writer has brought an older store up to date
        with self._store.snapshot():
            run = self._store.last_run()
            states = self._store.state_counts(run.id) if run else {}
            working = self._store.standings("embedding", "parsing") if live else []
            lines = list(self._lines())
        done = sum(states.get(state, 0) for state in ("done", "failed", "quarantined"))
        if run and run.id != self._run:
            self._run = run.id
            self._looks.clear()
        self._looks.append((now, done))
        since, before = self._looks[0]
        rate = (done - before) / (now - since) if now > since else 0.0
        return Look(live, run, done, states, rate, tuple(sorted(working, key=lambda one: one.at)), tuple(lines))

    def _lines(self) -> Iterator[LedgerEntry]:
        while some := self._store.ledger_after(self._line):
            self._line = some[-1][0]
            yield from (entry for _, entry in some)


def seconds_since(at: str) -> float:
    """Seconds since a moment that the store has noted."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())
