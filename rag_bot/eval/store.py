"""A run on the disk: what was run (`run.json`), and a line for each question as soon as it is answered (`records.jsonl`)."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rag_bot.errors import BadDataset
from rag_bot.eval.files import replace_text, row_of
from rag_bot.eval.types import Case, Record
from rag_bot.settings import Settings

RUN, RECORDS, REPORT, PAGE = "run.json", "records.jsonl", "report.json", "report.html"
_SECRET = re.compile(r"key|secret|password|signing|credential|(?<!_)token$|_token$", re.IGNORECASE)
# What changes no answer, and addresses that may hold a password.
_ASIDE = frozenset("state host hosts port models prices max_body_bytes max_concurrent rate_per_minute shutdown_seconds".split())


@dataclass(frozen=True, slots=True)
class Info:
    """What was run. Two runs with the same `fingerprint` ask the same of the same; `seconds` and `peak_mb` are there at the
    end (the most memory that the process held)."""

    dataset: str
    fingerprint: str
    questions: int
    began: str
    settings: Mapping[str, Any]
    index: Mapping[str, Any]
    machine: str = field(default_factory=lambda: f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs")
    version: str = ""
    done: bool = False
    seconds: float = 0.0
    peak_mb: float = 0.0


def info_of(name: str, cases: Sequence[Case], settings: Settings, index: Mapping[str, Any], asked: Mapping[str, Any]) -> Info:
    """What is about to be run; `asked` is what else decides what comes out."""
    shown = {
        key: value for key, value in settings.model_dump(mode="json").items() if key not in _ASIDE and not _SECRET.search(key)
    } | dict(asked)
    told = {"cases": [row_of(case) for case in cases], "settings": shown, "index": dict(index), "version": _version()}
    fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]
    began = datetime.now(UTC).isoformat(timespec="seconds")
    return Info(name, fingerprint, len(cases), began, shown, index, version=_version())


@lru_cache(maxsize=1)
def _records() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def info(self) -> Info:
        """Raises BadDataset."""
        try:
            return Info(**json.loads((self.path / RUN).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BadDataset(f"There is no run in {self.path}.", "Make one with: rag-bot eval run QUESTIONS") from error

    def begin(self, info: Info) -> list[Record]:
        """Take the folder for a run; the records that a former one of the same left. Raises BadDataset where another stands."""
        if (self.path / RUN).exists():
            if self.info.fingerprint == info.fingerprint:
                return [record for record in self.records() if not record.error]
            raise BadDataset(f"{self.path} holds another run.", "Name this one otherwise with --name.")
        self._write(info)
        return []

    def append(self, record: Record) -> None:
        """Keep a record; whoever stops the run afterwards does not lose it."""
        with (self.path / RECORDS).open("ab") as file:
            file.write(_records().dump_json(record) + b"\n")
            file.flush()

    def records(self) -> list[Record]:
        """All records, the last of each question; half a line at the end, from a run that was killed, is passed over."""
        found: dict[str, Record] = {}
        try:
            lines = (self.path / RECORDS).read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = _records().validate_json(line)
            except ValidationError as error:
                if number == len(lines):
                    break
                raise BadDataset(
                    f"Line {number} of {self.path / RECORDS} is no record.", "Delete it, and run again."
                ) from error
            found[record.case.id] = record
        return list(found.values())

    def tidy(self, records: Sequence[Record]) -> None:
        """Write the records anew, in order and without what was passed over."""
        replace_text(self.path / RECORDS, "".join(_records().dump_json(record).decode() + "\n" for record in records))

    def finish(self, info: Info) -> None:
        self._write(info)

    def _write(self, info: Info) -> None:
        replace_text(self.path / RUN, json.dumps(asdict(info), indent=1, default=str) + "\n")


def choose(folder: Path, name: str, info: Info) -> RunFolder:
    """Where a run named `name` goes: on with one of the same that was stopped, else a name that is free."""
    number = 1
    while True:
        run = RunFolder(folder / (name if number == 1 else f"{name}-{number}"))
        if not (run.path / RUN).exists():
            return run
        if run.info.fingerprint == info.fingerprint and not run.info.done:
            return run
        number += 1


def _version() -> str:
    try:
        return version("rag-bot")
    except PackageNotFoundError:
        return "0"
