"""How it goes in use, without gold answers: refusals, cut sentences, thumbs, drift, stale documents, and the gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.index import Index
from ingest.manifest import hash_file
from ingest.sources.archives import file_of
from ingest.sources.files import path_of
from ingest.types import DocumentInfo
from rag_bot.eval import bootstrap
from rag_bot.eval.bootstrap import Estimate
from rag_bot.eval.gaps import Asked, Gap, gaps
from rag_bot.memory import SavedTurn

if TYPE_CHECKING:
    from ingest.embedder import Vectors

RECENT_DAYS = 7
OLD_DAYS = 365
_BY_WEEK = 21  # days; of a longer time, weeks are shown
_NEAREST = 2  # documents named beside a gap
_FEW = 5  # questions in either part of the time; with fewer there is no drift to speak of
_DOWN = 2  # thumbs down that a document gets by chance


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a week (by its first day): questions, refusals, sentences that the gate cut, thumbs, and how near the questions
    are to the documents (the mean over them of the best cosine)."""

    start: str
    questions: int
    refused: int
    cut: int
    up: int
    down: int
    nearness: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How near questions are to the documents before and in the last days, and the difference. `away` says that they have moved
    away, beyond noise."""

    before: float
    recent: float
    change: Estimate

    @property
    def away(self) -> bool:
        return self.change.high < 0


@dataclass(frozen=True, slots=True)
class Stale:
    """A document that may mislead: its file is gone or changed, it is old and still cited, or answers from it are disliked."""

    document_id: str
    title: str
    source: str
    reason: str
    kind: str
    cited: int


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `gaps` has those asked about more than once before those asked about once."""

    questions: int
    refused: int
    cut: int
    up: int
    down: int
    since: str
    gaps: Sequence[Gap]
    periods: Sequence[Period]
    drift: Drift | None
    stale: Sequence[Stale]

    def as_dict(self) -> dict[str, Any]:
        data = asdict(self)
        data["drift"] = {**asdict(self.drift), "away": self.drift.away} if self.drift else None
        return data


def look(
    index: Index,
    turns: Sequence[SavedTurn],
    *,
    recent_days: int = RECENT_DAYS,
    old_days: int = OLD_DAYS,
    now: datetime | None = None,
) -> Report:
    """The report on the turns (oldest first) of one index. Embeds each question once."""
    now = now or datetime.now(UTC)
    vectors = _embedded(index, turns)
    near = _nearness(index, vectors)
    refused = [turn for turn in turns if turn.answer.get("abstained")]
    thumbs = Counter(turn.thumb for turn in turns)
    return Report(
        questions=len(turns),
        refused=len(refused),
        cut=sum(_cut(turn) for turn in turns),
        up=thumbs[1],
        down=thumbs[-1],
        since=turns[0].at[:10] if turns else "",
        gaps=_gaps(index, refused, vectors, turns),
        periods=list(_periods(turns, near)),
        drift=_drift(turns, near, now, recent_days),
        stale=list(_stale(index, turns, now, old_days)),
    )


def question_of(turn: SavedTurn) -> str:
    """The question as it stands alone."""
    return str(turn.answer.get("question") or turn.question)


def _embedded(index: Index, turns: Iterable[SavedTurn]) -> dict[str, Vectors]:
    texts = list(dict.fromkeys(question_of(turn) for turn in turns))
    return dict(zip(texts, index.embedder.embed_queries(texts), strict=True)) if texts else {}


def _nearness(index: Index, vectors: Mapping[str, Vectors]) -> dict[str, float]:
    """For each question the best cosine of any passage; none where the index is empty."""
    found = {}
    for text, vector in vectors.items():
        for hit in index.search(text, 1, "dense", vector=vector):
            found[text] = hit.dense or 0.0
    return found


def _cut(turn: SavedTurn) -> int:
    return int((turn.answer.get("counts") or {}).get("sentences_cut", 0))


# --- gaps


def gaps_of(index: Index, turns: Sequence[SavedTurn]) -> list[Gap]:
    """The gaps of a report on these turns alone."""
    refused = [turn for turn in turns if turn.answer.get("abstained")]
    return _gaps(index, refused, _embedded(index, refused), turns)


def _gaps(index: Index, refused: Sequence[SavedTurn], vectors: Mapping[str, Vectors], turns: Sequence[SavedTurn]) -> list[Gap]:
    import numpy as np

    by_text: dict[str, list[SavedTurn]] = {}
    for turn in refused:
        by_text.setdefault(" ".join(question_of(turn).lower().split()), []).append(turn)
    asked = [Asked(question_of(some[-1]), len(some), some[0].at[:10], some[-1].at[:10]) for some in by_text.values()]
    if not asked:
        return []
    found = gaps(asked, np.stack([vectors[one.text] for one in asked]), [question_of(turn) for turn in turns])
    found = [replace(gap, nearest=_nearest(index, gap.questions[0], vectors[gap.questions[0]])) for gap in found]
    return sorted(found, key=lambda gap: gap.count == 1)


def _nearest(index: Index, question: str, vector: Vectors) -> tuple[tuple[str, float], ...]:
    """The titles of the nearest documents."""
    best: dict[str, float] = {}
    for hit in index.search(question, 10, "dense", vector=vector):
        best.setdefault(hit.document.title, round(hit.dense or 0.0, 3))
    return tuple(best.items())[:_NEAREST]


# --- over time


def _periods(turns: Sequence[SavedTurn], near: Mapping[str, float]) -> Iterable[Period]:
    if not turns:
        return
    days = [date.fromisoformat(turn.at[:10]) for turn in turns]
    by_week = (max(days) - min(days)).days > _BY_WEEK
    members: dict[date, list[SavedTurn]] = {}
    for day, turn in zip(days, turns, strict=True):
        members.setdefault(day - timedelta(days=day.weekday()) if by_week else day, []).append(turn)
    for start, some in sorted(members.items()):
        nearness = [near[text] for turn in some if (text := question_of(turn)) in near]
        yield Period(
            start.isoformat(),
            len(some),
            sum(bool(turn.answer.get("abstained")) for turn in some),
            sum(_cut(turn) for turn in some),
            sum(turn.thumb == 1 for turn in some),
            sum(turn.thumb == -1 for turn in some),
            round(sum(nearness) / len(nearness), 4) if nearness else 0.0,
        )


def _drift(turns: Sequence[SavedTurn], near: Mapping[str, float], now: datetime, days: int) -> Drift | None:
    """None where there are too few questions before or in the last days."""
    since = (now - timedelta(days=days)).astimezone(UTC).isoformat(timespec="microseconds")
    before = [near[text] for turn in turns if turn.at < since and (text := question_of(turn)) in near]
    recent = [near[text] for turn in turns if turn.at >= since and (text := question_of(turn)) in near]
    if min(len(before), len(recent)) < _FEW:
        return None
    change = bootstrap.difference(before, recent)
    return Drift(round(sum(before) / len(before), 4), round(sum(recent) / len(recent), 4), change)


# --- stale documents


def _stale(index: Index, turns: Sequence[SavedTurn], now: datetime, old_days: int) -> Iterable[Stale]:
    cited: Counter[str] = Counter()
    up: Counter[str] = Counter()
    down: Counter[str] = Counter()
    for turn in turns:
        if not turn.answer.get("abstained"):
            documents = {str(citation.get("document_id")) for citation in turn.answer.get("citations") or ()}
            cited.update(documents)
            (up if turn.thumb == 1 else down if turn.thumb == -1 else Counter[str]()).update(documents)
    found = []
    for info in index.documents():
        number = cited[info.document_id]
        for kind, reason in _reasons(info, number, up[info.document_id], down[info.document_id], now, old_days):
            found.append(Stale(info.document_id, info.title, info.source, reason, kind, number))
    yield from sorted(found, key=lambda one: (-one.cited, one.title))


def _reasons(info: DocumentInfo, cited: int, up: int, down: int, now: datetime, old_days: int) -> Iterable[tuple[str, str]]:
    if not info.source.startswith("upload:") and Path(info.source).is_absolute():
        state = _file_state(info)
        if state:
            yield state
    age = (now - _moment(info.added_at)).days
    if cited and age > old_days:
        yield "old", f"was taken in {age:,} days ago and is still cited"
    if down >= _DOWN and down > up:
        yield "disliked", f"answers from it got {down} thumbs down and {up} up"


def _file_state(info: DocumentInfo) -> tuple[str, str] | None:
    path = file_of(info.source)
    try:
        touched = path.stat().st_mtime > _moment(info.added_at).timestamp()
        # Whether a file in an archive has changed, only a run can tell.
        changed = touched and path == path_of(info.source) and hash_file(path) != info.sha256
    except FileNotFoundError:
        return "gone", "its file is gone"
    except OSError as error:
        return "gone", f"its file can't be read: {error.strerror}"
    return ("changed", "its file has changed since it was taken in") if changed else None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
