"""The grid of `rag-bot compare`: which settings are tried, which is dominated, and which is recommended under given weights."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rag_bot.errors import BadSetting
from rag_bot.eval.bootstrap import Estimate
from rag_bot.llm.spec import parse_llms
from rag_bot.privacy import LEVELS, Level, Outflow
from rag_bot.settings import Settings

QUOTE = "quote"
WEIGHTS = {"quality": 6.0, "latency": 1.0, "cost": 1.0, "memory": 0.5, "disk": 0.5, "privacy": 2.0}
# Where a score has fallen to a half: seconds for 95 % of the answers, dollars for 1,000 answers, gigabytes.
_HALF = {"latency": 2.0, "cost": 5.0, "memory": 4.0, "disk": 4.0}
_ALIKE = 1.1  # a tenth more of seconds, money or bytes is no difference; for quality half a percent
_ALIKE_QUALITY = 0.005
_NOT_IN_A_GRID = frozenset("index state host hosts port".split())


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings to try: what is changed of the user's, and what that is called."""

    name: str
    changes: Mapping[str, Any]

    @property
    def cut(self) -> tuple[str, int]:
        """Embedder and chunk size: what an index is made with."""
        return str(self.changes["embedder"]), int(self.changes["chunk_tokens"])


@dataclass(frozen=True, slots=True)
class Tried:
    """What a candidate came to. Seconds are those that 95 % of the answers stay below, `first` those to the first sentence;
    `cost` is in dollars for 1,000 answers (None: nobody knows the price); memory and disk are in gigabytes. `fell_back` counts
    questions on which its LLM failed. `failed` says why it could not be tried, `dominated` names one that is as good in
    everything and better in something."""

    candidate: Candidate
    quality: Estimate
    right: float = 0.0
    wrong: float = 0.0
    seconds: float = 0.0
    first: float = 0.0
    cost: float | None = 0.0
    memory: float = 0.0
    disk: float = 0.0
    flows: Sequence[Outflow] = ()
    level: Level = 0
    folder: str = ""
    index: str = ""
    fell_back: int = 0
    failed: str = ""
    dominated: str = ""
    score: float = 0.0

    @property
    def privacy(self) -> str:
        return LEVELS[self.level]


def grid(settings: Settings, embedder: str, dimensions: Mapping[str, Sequence[str]]) -> list[Candidate]:
    """Every combination of the values given for each setting; `embedder` is that of the user's index. `llm` may be `quote`:
    none. Raises BadSetting for a setting that there is not, or a value that it can't have."""
    for name in dimensions:
        if name not in Settings.model_fields or name in _NOT_IN_A_GRID:
            known = ", ".join(sorted(set(Settings.model_fields) - _NOT_IN_A_GRID))
            raise BadSetting(f"There is no setting {name!r} to compare.", f"There are {known}.")
    axes = {
        "embedder": [embedder],
        "chunk_tokens": [str(settings.chunk_tokens)],
        "llm": [QUOTE, settings.llm] if settings.llm else [QUOTE],
        **{name: list(dict.fromkeys(values)) for name, values in dimensions.items()},
    }
    moving = [name for name, values in axes.items() if len(values) > 1] or ["llm"]
    return [_candidate(settings, dict(zip(axes, values, strict=True)), moving) for values in itertools.product(*axes.values())]


def _candidate(settings: Settings, values: dict[str, str], moving: Sequence[str]) -> Candidate:
    name = ", ".join(_shown(axis, values[axis]) for axis in moving)
    given: dict[str, Any] = {**values, "llm": "" if values["llm"] == QUOTE else values["llm"]}
    try:
        valid = Settings(**{**{field: getattr(settings, field) for field in settings.model_fields_set}, **given})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise BadSetting(
            f"{fault['loc'][0]} can't be {fault['input']!r}: {fault['msg']}.", "See docs/configuration.md."
        ) from error
    return Candidate(name, {axis: getattr(valid, axis) for axis in values})


def _shown(axis: str, value: str) -> str:
    """A value in a candidate's name; an LLM's without its folder and its options."""
    if axis == "llm" and value != QUOTE:
        return " then ".join(f"{spec.provider}:{spec.name}" for spec in parse_llms(value)) or QUOTE
    return value if axis in ("llm", "embedder") else f"{axis}={value}"


def weights_of(text: str) -> dict[str, float]:
    """`quality=6,latency=1` as numbers; what is not named keeps its own. Raises BadSetting."""
    weights = dict(WEIGHTS)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in WEIGHTS or not 0 <= number < float("inf"):
            raise BadSetting(f"The weight {part!r} can't be used.", f"Write it like quality=6; there are {', '.join(WEIGHTS)}.")
        weights[name] = number
    if not sum(weights.values()):
        raise BadSetting("All weights are 0.", "Give at least one of them a weight.")
    return weights


def score(tried: Tried, weights: Mapping[str, float]) -> float:
    """How well a candidate does under weights, from 0 to 1: quality counts as it is, the rest falls to a half at a fixed
    amount, and privacy is 1, a half or 0 by how far anything goes."""
    parts = {
        "quality": tried.quality.value,
        "latency": 1 / (1 + tried.seconds / _HALF["latency"]),
        "cost": 0.0 if tried.cost is None else 1 / (1 + tried.cost / _HALF["cost"]),
        "memory": 1 / (1 + tried.memory / _HALF["memory"]),
        "disk": 1 / (1 + tried.disk / _HALF["disk"]),
        "privacy": 1 - tried.level / 2,
    }
    return sum(weights[name] * value for name, value in parts.items()) / sum(weights.values())


def dominates(one: Tried, other: Tried) -> bool:
    """Whether `one` is as good as the other in everything, but for what is no difference, and better in something."""
    if one.failed or other.failed:
        return False
    pairs = [
        (one.quality.value + _ALIKE_QUALITY >= other.quality.value, one.quality.value > other.quality.value + _ALIKE_QUALITY),
        (one.level <= other.level, one.level < other.level),
        _less(_money(one), _money(other)),
        _less(one.seconds, other.seconds),
        _less(one.memory, other.memory),
        _less(one.disk, other.disk),
    ]
    return all(as_good for as_good, _ in pairs) and any(better for _, better in pairs)


def _less(mine: float, others: float) -> tuple[bool, bool]:
    return mine <= others * _ALIKE, others > mine * _ALIKE


def _money(tried: Tried) -> float:
    return float("inf") if tried.cost is None else tried.cost
