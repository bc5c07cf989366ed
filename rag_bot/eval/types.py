"""What flows through evaluation: questions with what is wanted, and records of what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rag_bot.types import Turn

Review: TypeAlias = Literal["", "kept", "edited"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A place that answers a question: a document (its source, the end of its path, its id or its title), and, where that is
    known, words that stand there. `grade` says how well it answers, from 1."""

    document: str
    quote: str = ""
    grade: int = 1


@dataclass(frozen=True, slots=True)
class Case:
    """A question of an evaluation set.

    `answerable` is None where nobody knows. Any one of `answers` is right. `hidden` are places that the search is not to find
    while this question is asked: so a question whose answer is there becomes one without. `turns` came before, oldest first.
    """

    id: str
    question: str
    answerable: bool | None = None
    answers: tuple[str, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    hidden: tuple[Wanted, ...] = ()
    turns: tuple[Turn, ...] = ()
    kind: str = ""
    review: Review = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A document that a data set brings along; `name` is its source in the index. `markdown`: it is to be parsed as such."""

    name: str
    text: str
    title: str = ""
    markdown: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions, and the documents that they are asked of where the set brings its own (else: those of the user's index)."""

    name: str
    cases: Sequence[Case]
    texts: Sequence[Text] = ()


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A passage that was found: where it stands, how it begins, and which of the question's `wanted` places it holds."""

    document_id: str
    source: str
    title: str
    heading: tuple[str, ...]
    page: int | None
    start: int
    end: int
    score: float
    text: str
    wanted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation of an answer, and which of the question's `wanted` places it touches."""

    n: int
    document_id: str
    source: str
    title: str
    page: int | None
    heading: tuple[str, ...]
    start: int
    end: int
    quote: str
    wanted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of an answer. `carried`: its cited spans together carry it; `useful`, for each of its `citations`: this one
    carries it alone, or it is not carried without it."""

    text: str
    supported: bool
    citations: tuple[int, ...] = ()
    carried: bool = False
    useful: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Beyond:
    """What would have been answered to a question that was refused; `right` as for other answers."""

    answer: str
    right: bool


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an LLM as a judge says: whether the answer says what was wanted (None: not asked, or no reply), and of how many of
    the sentences asked about it finds that their quotes carry them."""

    model: str
    right: bool | None = None
    carried: int = 0
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What came of one question; everything that the figures are made from. Times are in milliseconds, cost in US dollars.

    `cut` counts sentences that the gate refused, `fallbacks` LLMs that failed and were passed over, `lost` wanted places that
    are nowhere in the index. `error` is set where there was no answer at all.
    """

    case: Case
    question: str = ""
    answer: str = ""
    abstained: bool = False
    blocked: str = ""
    confidence: float = 0.0
    model: str = ""
    right: bool | None = None
    sentences: tuple[Said, ...] = ()
    citations: tuple[Cited, ...] = ()
    retrieved: tuple[Retrieved, ...] = ()
    lost: int = 0
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    cut: int = 0
    fallbacks: int = 0
    notes: tuple[str, ...] = ()
    beyond: Beyond | None = None
    opinion: Opinion | None = None
    error: str = ""

    @property
    def refused(self) -> bool:
        return self.abstained or bool(self.blocked)

    @property
    def outcome(self) -> str:
        """`right`, `wrong`, `refused` (an answer was there), `declined` (none was), `failed`, or `` where nobody knows."""
        if self.error:
            return "failed"
        if self.case.answerable is None:
            return ""
        if self.refused:
            return "refused" if self.case.answerable else "declined"
        return "right" if self.case.answerable and self.right else "wrong"
