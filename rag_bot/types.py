"""What flows through a question: turns, citations, sentences, the answer, and the events that a stream yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias

from ingest.types import Hit, Twin

Passage: TypeAlias = Hit
"""A passage that an answer may be made from: a hit of the index."""
Tone: TypeAlias = Literal["plain", "friendly", "brief"]
"""How an answer is said: what it says is the same."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier exchange of a conversation, oldest first in a list of them. `cited` are the documents of its answer."""

    question: str
    answer: str
    standalone: str = ""
    abstained: bool = False
    cited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standalone:
    """A question that needs no earlier turn to be understood; `own` is what the user asked in this turn.

    `before` is the turn before, question and beginning of the answer, where `text` does not say all of it: its meaning and
    the words of its question (`earlier`) count a little in the search.
    """

    text: str
    own: str
    before: str = ""
    earlier: str = ""

    @property
    def searched(self) -> str:
        """What is searched for: the user's own words where the turn before comes along by itself."""
        return self.own if self.before else self.text


@dataclass(frozen=True, slots=True)
class Weights:
    """A question's terms and what each weighs by rarity, in all 1; `total` is what they weighed before (sum of idf).

    `new` are the terms that a follow-up itself brings; empty where nothing was carried over from earlier turns.
    """

    terms: dict[str, float] = field(default_factory=dict)
    total: float = 0.0
    new: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence (or table row) of a passage and how well it answers: all numbers in 0..1 but `score`, higher is better.

    `passage` is the passage's place in the list. `coverage` is the share of the question's words, weighted by rarity,
    that stand in the sentence; `support` the same with its heading, title and neighbours; `cosine` its nearness in
    meaning. `kind_found` says whether the kind of thing asked for (a number, a date, a name) is there.
    """

    passage: int
    start: int
    end: int
    text: str
    score: float
    coverage: float
    support: float
    cosine: float
    kind_found: bool


@dataclass(frozen=True, slots=True)
class Citation:
    """A span of a document: `quote == document.text[start:end]`, to the character. `n` is the mark in the answer.

    `place` says where that is in a file that has more to say than a page: `Sheet 'Q1', A2:F9`, `slide 3`, `00:01:02`.
    `also` are other places that the reader may see, of passages that say the same as the one around the quote.
    """

    n: int
    document_id: str
    source: str
    title: str
    page: int | None
    heading: tuple[str, ...]
    start: int
    end: int
    quote: str
    place: str | None = None
    also: tuple[Twin, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The public form; `also` is there where there is such a place."""
        data = _fields(self)
        also = data.pop("also")
        return data | {"also": [asdict(twin) for twin in also]} if also else data


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer and the marks of the citations that prove it."""

    text: str
    citations: tuple[int, ...] = ()
    supported: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answerer proposes: a sentence and what is to prove it. The gate decides on it.

    A quoted sentence brings its citations. One that an LLM has written (`written`) brings `marks`, the places in the list
    of passages that it says prove it; the gate finds the spans that carry it, there or elsewhere.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    written: bool = False
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rail or the gate says of a text: let it through or not, and why not.

    A rail's `reason` is for programs (`prompt-injection`, `harm/weapons`), its `message` a kind sentence for the user.
    """

    allowed: bool
    rail: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RailVerdict:
    """What one rail said, of what (`on`), and how long it took. `failed`: it could not tell, and its setting decided.

    `detail` is for the operator: what spoke for or against it, and never a part of the text.
    """

    rail: str
    on: Literal["question", "passage", "sentence"]
    allowed: bool
    reason: str = ""
    ms: float = 0.0
    failed: bool = False
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The public form: without the detail, by which one could learn to get past a rail."""
        data = _fields(self) | {"ms": round(self.ms, 3)}
        del data["detail"]
        return data


@dataclass(frozen=True, slots=True)
class Judged:
    """What the gate makes of a claim: the claim with the citations that prove it (or as it was), and the verdict."""

    claim: Claim
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money (US dollars) that an answer took."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What an answerer has to say beside its claims; an answer's reports are added up.

    `model` is who answered (the last report that names one holds). `notes` are sentences for the user, such as that an LLM
    failed and another took its place. `counts` says how many of something, such as passages that did not fit.
    """

    model: str = ""
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `as_dict` is the public answer object. `notes` and `counts` are those of `Report`, `rails` the verdict
    of every rail."""

    answer: str
    abstained: bool
    question: str
    model: str
    conversation_id: str
    answer_id: str
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    blocked: Verdict | None = None
    confidence: float = 0.0
    usage: Usage = field(default_factory=Usage)
    timings_ms: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    rails: tuple[RailVerdict, ...] = ()

    @property
    def outcome(self) -> Literal["answered", "abstained", "blocked"]:
        return "blocked" if self.blocked else "abstained" if self.abstained else "answered"

    def as_dict(self) -> dict[str, Any]:
        """The answer object of the public contract, ready for JSON."""
        data = _fields(self)
        data["sentences"] = [_fields(sentence) for sentence in self.sentences]
        data["usage"] = _fields(self.usage)
        data["citations"] = [citation.as_dict() for citation in self.citations]
        data["rails"] = [verdict.as_dict() for verdict in self.rails]
        if self.blocked:
            data["blocked"] = {name: getattr(self.blocked, name) for name in ("rail", "reason", "message")}
        return data


# --- events of a stream, in the order in which they may come: StatusEvent*, SourcesEvent?, SentenceEvent*,
# --- BlockedEvent?, then one DoneEvent.


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """A step has begun."""

    step: str
    name: Literal["status"] = "status"


@dataclass(frozen=True, slots=True)
class SourcesEvent:
    """The passages that were found."""

    hits: tuple[Hit, ...]
    name: Literal["sources"] = "sources"


@dataclass(frozen=True, slots=True)
class SentenceEvent:
    """A sentence that the gate has released, with its citations."""

    sentence: Sentence
    citations: tuple[Citation, ...]
    name: Literal["sentence"] = "sentence"


@dataclass(frozen=True, slots=True)
class BlockedEvent:
    """A rail has refused."""

    verdict: Verdict
    name: Literal["blocked"] = "blocked"


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """The last event: the whole answer."""

    answer: Answer
    name: Literal["done"] = "done"


Event: TypeAlias = StatusEvent | SourcesEvent | SentenceEvent | BlockedEvent | DoneEvent


def _fields(thing: Any) -> dict[str, Any]:
    """The fields of a dataclass as they are; `asdict` copies each to the bottom, which takes ten times as long."""
    return {field.name: getattr(thing, field.name) for field in fields(thing)}
