"""THE STORY of a comparison: an index for each way of cutting and embedding, a run for each candidate, one recommended."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.errors import IngestError
from ingest.index import Index
from rag_bot.errors import BotError
from rag_bot.eval import corpus
from rag_bot.eval.bootstrap import Estimate
from rag_bot.eval.candidates import QUOTE, Candidate, Tried, dominates, score
from rag_bot.eval.exam import INDEXES, prepared
from rag_bot.eval.files import row_of, write
from rag_bot.eval.metrics import check
from rag_bot.eval.store import RunFolder
from rag_bot.eval.summary import latency, summarise
from rag_bot.eval.types import Dataset
from rag_bot.llm.hosted import PROVIDERS
from rag_bot.llm.prices import Prices
from rag_bot.llm.spec import parse_llms
from rag_bot.privacy import level, outflows
from rag_bot.settings import Settings

Tell = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much of it."""

_NOTHING = Estimate(0.0, 0.0, 0.0, 0)


def compare(
    settings: Settings,
    dataset: Dataset,
    candidates: Sequence[Candidate],
    folder: Path,
    *,
    weights: Mapping[str, float],
    recut: bool,
    tell: Tell = lambda doing, done, of: None,
) -> list[Tried]:
    """Try every candidate; the recommended one comes first. `recut` says that embedders or chunk sizes are compared: the user's
    own index is then copied for each, so that nobody need know how it was cut. Stopped, the same call goes on: indexes and
    runs that are there are used again. One that can't be tried is told with the reason, and the rest go on."""
    check()
    tried = [_try(settings, dataset, candidate, folder, recut, tell) for candidate in candidates]
    rated = [replace(one, score=0.0 if one.failed else score(one, weights)) for one in tried]
    marked = [replace(one, dominated=_dominator(one, rated)) for one in rated]
    return sorted(marked, key=lambda one: (bool(one.failed), bool(one.dominated), -one.score))


def _dominator(one: Tried, rated: Sequence[Tried]) -> str:
    """The best of those that dominate it."""
    better = [other for other in rated if dominates(other, one)]
    return max(better, key=lambda other: other.score).candidate.name if better else ""


def _try(settings: Settings, dataset: Dataset, candidate: Candidate, folder: Path, recut: bool, tell: Tell) -> Tried:
    given = {name: getattr(settings, name) for name in settings.model_fields_set} | dict(candidate.changes)
    own = Settings(**given)
    flows: Sequence[Any] = ()
    try:
        flows = outflows(own)
        own = _indexed(
            settings, own, dataset, folder, recut, lambda done, of: tell(f"Making the index: {candidate.name}", done, of)
        )
        run = _run(own, given, dataset, candidate, folder, tell)
        return _tried(candidate, own, run, flows)
    except (BotError, IngestError) as error:
        return Tried(candidate, _NOTHING, flows=flows, level=level(flows), index=str(own.index), failed=str(error))


def _indexed(settings: Settings, own: Settings, dataset: Dataset, folder: Path, recut: bool, tell: corpus.Tell) -> Settings:
    """The candidate's settings with its index: made once for all that cut and embed alike."""
    if dataset.texts:
        return prepared(own, dataset, folder, tell)
    if not recut:
        return own
    source = hashlib.sha256(str(settings.index.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    path = folder / INDEXES / f"{source}-{_slug(own.embedder)}-{own.chunk_tokens}"
    own = own.model_copy(update={"index": path})
    corpus.copy(settings.index, own, tell)
    return own


def _run(
    own: Settings, given: Mapping[str, Any], dataset: Dataset, candidate: Candidate, folder: Path, tell: Tell
) -> RunFolder:
    """The candidate's finished run; done in a child process unless it is there."""
    with Index.open(own.index, settings=own) as index:
        state = [index.version, index.counts()]
    shown = {name: str(value) for name, value in {**given, "index": own.index}.items()}
    told = json.dumps([shown, [row_of(case) for case in dataset.cases], state], sort_keys=True)
    key = hashlib.sha256(told.encode()).hexdigest()[:8]
    run = RunFolder(folder / f"{_slug(candidate.name)}-{key}")
    with suppress(BotError):
        if run.info.done:
            return run
    cases = folder / "cases" / f"{dataset.name}-{key}.jsonl"
    write(cases, dataset.cases)
    work = {
        "settings": {name: _plain(value) for name, value in {**given, "index": os.path.abspath(own.index)}.items()},
        "name": dataset.name,
        "cases": str(cases),
        "folder": str(run.path),
        "beyond": not own.llm,
    }
    _child(work, lambda done, of: tell(f"Asking {candidate.name}", done, of))
    return run


def _child(work: Mapping[str, Any], tell: corpus.Tell) -> None:
    """Do a run in a process of its own. Raises BotError with its reason."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "rag_bot.eval.child"]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
    )
    assert child.stdin and child.stdout
    reason = hint = ""
    try:
        with child.stdin:
            json.dump(work, child.stdin)
        for line in child.stdout:
            with suppress(ValueError):  # something else that a library prints
                said = json.loads(line)
                if isinstance(said, dict) and "done" in said:
                    tell(said["done"], said["of"])
                elif isinstance(said, dict) and "error" in said:
                    reason, hint = said["error"], said["hint"]
        code = child.wait()
    except BaseException:
        child.kill()
        child.wait()
        raise
    if code:
        raise BotError(reason or f"The process that asked the questions ended with {code}.", hint)


def _tried(candidate: Candidate, own: Settings, run: RunFolder, flows: Sequence[Any]) -> Tried:
    info, records = run.info, run.records()
    summary = summarise(records)
    answers = [record for record in records if not (record.refused or record.error)]
    given = latency(answers)  # a refusal is quick, and no answer
    zeros = (0.0, 0.0, 0.0)
    return Tried(
        candidate,
        summary.scores.get("handled", _NOTHING),
        right=summary.scores.get("right", _NOTHING).value,
        wrong=summary.scores.get("wrong_given", _NOTHING).value,
        seconds=given.get("total", zeros)[1] / 1000,
        first=given.get("first_sentence", zeros)[1] / 1000,
        cost=None if _unknown_price(own) else 1000 * summary.cost / max(1, len(answers)),
        memory=info.peak_mb / 1000,
        disk=(int(info.index.get("bytes", 0)) + _weights_of_llms(own)) / 1e9,
        flows=flows,
        level=level(flows),
        folder=str(run.path),
        fell_back=summary.fell_back,
        index=str(own.index),
    )


def _unknown_price(own: Settings) -> bool:
    """Whether an LLM that someone is paid for has no price in any table."""
    if own.answer == QUOTE:
        return False
    prices = Prices.load(own.prices)
    specs = [*parse_llms(own.llm), *(parse_llms(own.judge) if own.llm else ())]
    return any(spec.provider in PROVIDERS and prices.of(spec) is None for spec in specs)


def _weights_of_llms(own: Settings) -> int:
    """Bytes of the local LLMs' files."""
    from rag_bot.llm.llama_cpp import find_model

    total = 0
    for spec in parse_llms(own.llm) if own.answer != QUOTE else ():
        if spec.provider == "llama-cpp":
            with suppress(BotError, OSError):
                total += find_model(spec.model, own.models.expanduser()).stat().st_size
    return total


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9=]+", "-", text).strip("-")[:60] or "candidate"


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


# --- the settings file


def settings_file(settings: Settings, chosen: Tried) -> str:
    """`rag-bot.toml` for the chosen candidate. It names the index that was tried, and keeps conversations where they are."""
    values: dict[str, Any] = {**chosen.candidate.changes, "index": os.path.abspath(chosen.index)}
    if not settings.state:  # one that is set may hold a password, and stays where it is set
        values["state"] = settings.state_url
    quality = f"{chosen.quality.value:.2f} ({chosen.quality.low:.2f} to {chosen.quality.high:.2f})"
    lines = [
        "# Recommended by `rag-bot compare`. Read from the folder in which `rag-bot` and `ingest` are called.",
        f"# Handled right: {quality}; 95 % of the answers within {chosen.seconds:.2f} s; {chosen.privacy}.",
    ]
    return "\n".join([*lines, *(f"{name} = {_toml(value)}" for name, value in values.items())]) + "\n"


def _toml(value: object) -> str:
    """A value as TOML: its strings are written as JSON's."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value)).replace("\x7f", "\\u007f")
