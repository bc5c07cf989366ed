"""What is in an index, and what is wrong with it: sizes, languages, copies, contradictions, versions, failures, topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ingest.curate.compare import disagreements
from ingest.curate.minhash import alike
from ingest.curate.topics import chosen, find_topics
from ingest.errors import DocumentNotFound
from ingest.index import Index
from ingest.types import Chunk, DocumentInfo, Span

_ALIKE = 0.8  # documents that are listed as nearly the same
_GROUPS, _PLACES = 50, 20  # groups of copies that are listed, and places of each
_PAIRS, _LISTED = 2000, 200  # pairs of chunks that are looked at for contradictions, and contradictions that are listed
_WORST, _LARGEST = 20, 10
_GOOD = 0.5  # a document of less quality is listed
_SHOWN = 300  # characters of a text that is folded


@dataclass(frozen=True, slots=True)
class Share:
    """So many documents and chunks are of one kind."""

    name: str
    documents: int
    chunks: int
    characters: int


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence and where it stands."""

    document_id: str
    source: str
    title: str
    page: int | None
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two sentences that are the same but for a number, a date or a negation. `replaced`: one document is a newer version of
    the other."""

    one: Said
    other: Said
    facts: tuple[str, ...]
    other_facts: tuple[str, ...]
    replaced: bool


@dataclass(frozen=True, slots=True)
class Copies:
    """A text that stands in several places; `count` of them, of which some are listed."""

    text: str
    count: int
    places: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A document that says of when or which version it is, and has others of its kind beside it."""

    document_id: str
    source: str
    title: str
    version: str
    dated: str
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A document on the map of topics; x and y are in 0..1."""

    document_id: str
    title: str
    x: float
    y: float
    topic: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Everything that `ingest report` shows; `as_dict` is its JSON form."""

    path: str
    at: str
    status: Mapping[str, object]
    characters: int
    formats: tuple[Share, ...]
    languages: tuple[Share, ...]
    sizes: tuple[tuple[str, int], ...]
    largest: tuple[DocumentInfo, ...]
    folded_chunks: int
    copies: tuple[Copies, ...]
    same_documents: tuple[tuple[str, ...], ...]
    contradictions: tuple[Contradiction, ...]
    versions: tuple[Version, ...]
    failures: tuple[tuple[str, str], ...]
    quarantine: tuple[tuple[str, str], ...]
    without_text: tuple[tuple[str, tuple[int, ...]], ...]
    boilerplate: tuple[tuple[str, int, int], ...]
    quality: float | None
    worst: tuple[tuple[str, float, dict[str, float]], ...]
    topics: tuple[Point, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        data = asdict(self)
        named = {
            "sizes": ("characters", "documents"),
            "failures": ("source", "reason"),
            "quarantine": ("source", "reason"),
            "without_text": ("source", "pages"),
            "boilerplate": ("source", "blocks", "characters"),
            "worst": ("source", "quality", "flaws"),
        }
        return data | {key: [dict(zip(names, row, strict=True)) for row in data[key]] for key, names in named.items()}


def report(index: Index) -> IndexReport:
    """Look the whole index over. Reads every document's facts and vectors, and none of the files."""
    documents = index.documents()
    by_id = {info.document_id: info for info in documents}
    details = {own: some for own, some in index.curation.details().items() if own in by_id}
    superseded = index.superseded()
    rated = [info for info in documents if info.quality is not None]
    below = sorted((info for info in rated if (info.quality or 0) < _GOOD), key=lambda info: (info.quality or 0, info.source))
    return IndexReport(
        path=str(index.path),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        status=index.status(),
        characters=sum(info.characters for info in documents),
        formats=_shares(documents, [info.media_type for info in documents]),
        languages=_shares(rated, [info.language for info in rated]),
        sizes=_sizes(documents),
        largest=tuple(sorted(documents, key=lambda info: -info.characters)[:_LARGEST]),
        folded_chunks=index.curation.folded(),
        copies=_copies(index, by_id),
        same_documents=tuple(
            tuple(sorted(by_id[i].source for i in group if i in by_id))
            for group in alike(dict(index.curation.signatures()), _ALIKE)[:_GROUPS]
        ),
        contradictions=contradictions(index),
        versions=_versions(index, by_id, superseded),
        failures=tuple((one.source, one.reason or "") for one in index.standings("failed")),
        quarantine=tuple((held.source, held.reason) for held in index.quarantine() if held.state == "held"),
        without_text=tuple((by_id[own].source, tuple(some["empty"])) for own, some in details.items() if some["empty"]),
        boilerplate=tuple(
            (by_id[own].source, len(some["boilerplate"]), sum(end - start for start, end in some["boilerplate"]))
            for own, some in details.items()
            if some["boilerplate"]
        ),
        quality=round(sum(info.quality or 0 for info in rated) / len(rated), 3) if rated else None,
        worst=tuple(
            (info.source, info.quality or 0.0, dict(details.get(info.document_id, {}).get("flaws", {})))
            for info in below[:_WORST]
        ),
        topics=_topics(index, by_id),
    )


def _shares(documents: Sequence[DocumentInfo], names: Iterable[str]) -> tuple[Share, ...]:
    counts: dict[str, list[int]] = {}
    for info, name in zip(documents, names, strict=True):
        sums = counts.setdefault(name, [0, 0, 0])
        for at, value in enumerate((1, info.chunks, info.characters)):
            sums[at] += value
    return tuple(Share(name, *sums) for name, sums in sorted(counts.items(), key=lambda item: (-item[1][0], item[0])))


def _sizes(documents: Iterable[DocumentInfo]) -> tuple[tuple[str, int], ...]:
    """How many documents have so many characters, by powers of ten."""
    powers = Counter(len(str(max(1, info.characters))) - 1 for info in documents)
    return tuple(
        (f"{10**power:,} to {10 ** (power + 1) - 1:,}", powers[power])
        for power in range(min(powers, default=0), max(powers, default=-1) + 1)
    )


def _said(index: Index, info: DocumentInfo, chunk: Chunk, span: Span) -> Said:
    start, end = chunk.start + span[0], chunk.start + span[1]
    return Said(
        info.document_id, info.source, info.title, chunk.page_at(start), start, end, index.text(info.document_id, start, end)
    )


def _copies(index: Index, by_id: Mapping[str, DocumentInfo]) -> tuple[Copies, ...]:
    found = []
    for fold, count in index.curation.groups(_GROUPS):
        members = index.curation.members(fold, _PLACES)
        chunks = index.chunks([member.chunk_id for member in members])
        places = [
            _said(index, by_id[owner], chunk, (0, min(_SHOWN, len(chunk.text))))
            for owner, chunk in chunks.values()
            if owner in by_id
        ]
        if len(places) > 1:
            found.append(Copies(places[0].text, count, tuple(places)))
    return tuple(found)


def contradictions(index: Index, most: int = _LISTED) -> tuple[Contradiction, ...]:
    """Each pair of sentences once, those of which neither document replaces the other first."""
    by_id = {info.document_id: info for info in index.documents()}
    superseded = index.superseded()
    found: dict[tuple[str, str], Contradiction] = {}
    for pair in index.curation.against(_PAIRS):
        chunks = index.chunks(pair)
        if len(chunks) < 2:
            continue
        (owner, one), (other_owner, other) = (chunks[i] for i in pair)
        if owner not in by_id or other_owner not in by_id:
            continue
        replaced = superseded.get(owner) == other_owner or superseded.get(other_owner) == owner
        for each in disagreements(one.text, other.text, table=one.kind == other.kind == "table"):
            first = _said(index, by_id[owner], one, each.one)
            second = _said(index, by_id[other_owner], other, each.other)
            key = (min(first.text, second.text), max(first.text, second.text))
            found.setdefault(key, Contradiction(first, second, each.facts, each.other_facts, replaced))
    ordered = sorted(found.values(), key=lambda one: (one.replaced, one.one.source, one.other.source, one.one.start))
    return tuple(ordered[:most])


def _versions(index: Index, by_id: Mapping[str, DocumentInfo], superseded: Mapping[str, str]) -> tuple[Version, ...]:
    """The documents that replace others or are replaced, the versions of each together."""
    related = superseded.keys() | set(superseded.values())
    listed = [
        Version(
            info.document_id, info.source, info.title, info.version, info.dated,
            by_id[superseded[own]].source if superseded.get(own) in by_id else None,
        )
        for own, info in by_id.items() if own in related
    ]  # fmt: skip
    return tuple(sorted(listed, key=lambda one: (one.replaced_by or one.source, one.replaced_by is not None, one.source)))


def _topics(index: Index, by_id: Mapping[str, DocumentInfo]) -> tuple[Point, ...]:
    ids, vectors = index.document_vectors(chosen(sorted(by_id)))
    texts = []
    for own in ids:
        try:
            texts.append(f"{by_id[own].title}\n{index.text(own, 0, 2000)}")
        except DocumentNotFound:  # it went while it was read
            texts.append(by_id[own].title)
    found = find_topics(vectors, texts)
    if found is None:
        return ()
    return tuple(
        Point(own, by_id[own].title, round(float(x), 4), round(float(y), 4), found.names[topic])
        for own, (x, y), topic in zip(ids, found.points, found.topic, strict=True)
    )
