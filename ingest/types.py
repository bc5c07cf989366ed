"""What flows through ingestion: parsed text with places, chunks of it, and the hits a search gives back.

Every offset is in characters (Unicode code points) into the document's own text, half open: `text[start:end]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from ingest.inspect import Finding
from ingest.places import Place, label, within

BlockKind = Literal["heading", "text", "table", "boilerplate"]
Status = Literal["added", "unchanged", "replaced", "removed", "failed", "quarantined"]
DocumentState = Literal["queued", "parsing", "embedding", "done", "failed", "quarantined"]
RunKind = Literal["add", "sync", "retry", "upload", "release"]
Mode = Literal["hybrid", "dense", "keyword"]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Block:
    """One heading, paragraph (or list item, or code), or table of a parsed document; or what is repeated over its pages, which
    no parser says, but curation for the chunker.

    Blocks come in reading order and don't overlap. `heading` is the path of headings above the block, outermost first
    (for a heading block: the path above it, without itself). `page` counts from 1. `header` is, for a table, the span
    of its header (the header row and the `| --- |` line below it), else None. `places` say in the file's own terms where the
    block's text stands, in order; a format that has none but pages leaves them out.
    """

    kind: BlockKind
    start: int
    end: int
    page: int | None = None
    heading: tuple[str, ...] = ()
    header: Span | None = None
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Hidden:
    """Something in a file that a reader does not see.

    It is `text[start:end]` of the document's text. What the parser left out of that has `start == end`, the place that it
    stood at, and is held by `beside`. `sure` says that only who wants to hide text does this; else honest documents do it
    too: comments, descriptions of pictures, what opens at a click. `kind` names the way it is hidden.
    """

    kind: str
    start: int
    end: int
    sure: bool = True
    page: int | None = None
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser makes of a file's bytes: the text, and where in it everything stands. `hidden` is in order of place.

    `notes` are for the ledger: what of the file is not in the text, such as pages that are pictures. `labels` are those that
    the file gives itself, as `labels_of` puts them.
    """

    title: str
    text: str
    media_type: str
    blocks: tuple[Block, ...]
    hidden: tuple[Hidden, ...] = ()
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, or attached to a message: its name there, with `/` between folders, and its bytes, or why there
    are none."""

    name: str
    data: bytes | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Some of the members of an archive, in its order. `following` is the entry to go on with, None after the last.

    `is_document`: the file that holds them is a document itself, a message with attachments.
    """

    members: tuple[Member, ...]
    following: int | None = None
    is_document: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of one document: what is embedded, searched and quoted from.

    `pages` holds the page breaks inside the chunk as (offset in the document, page that begins there). A chunk of a
    table holds whole rows; `header` is then the span of the table's header, which may lie outside the chunk.
    `findings` are those in the chunk, in its headings, in its table's header and in the document's title (these at 0..0),
    and orders to a model right beside it, with offsets into the document's text; what was masked is masked in `text`
    already. `id` is given by the store (0 before that).
    """

    start: int
    end: int
    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    pages: tuple[tuple[int, int], ...] = ()
    kind: Literal["text", "table"] = "text"
    header: Span | None = None
    id: int = 0
    findings: tuple[Finding, ...] = ()
    places: tuple[Place, ...] = ()

    @property
    def place(self) -> str | None:
        """Where in the file the chunk stands, in the file's own terms; None where there are none, or only pages."""
        return label(self.places)

    def place_at(self, start: int, end: int) -> str | None:
        """Where in the file the text from `start` to `end` (in the document's text) stands."""
        return label(within(self.places, start, end))

    def page_at(self, offset: int) -> int | None:
        """The page that the character at `offset` (in the document's text) stands on."""
        page = self.page
        for start, number in self.pages:
            if start > offset:
                break
            page = number
        return page


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document with its identity: the same source has the same id, whatever its text.

    `findings` are all that inspection found in it; `masked` says that some of its text was masked for that. `notes` are the
    parser's, for the ledger; `labels` those that its file gives it.
    """

    id: str
    source: str
    title: str
    media_type: str
    sha256: str
    text: str
    blocks: tuple[Block, ...] = ()
    findings: tuple[Finding, ...] = ()
    masked: bool = False
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A stored document without its text, as `ingest list` shows it. `added_at` is ISO 8601, UTC.

    Where parts of the text are `masked`, the original is given to nobody. `language`, `quality`, `version` and `dated` are
    those of `curate.Facts`; `quality` is None where nothing is known. `labels` are those that its file gives it.
    """

    document_id: str
    source: str
    title: str
    media_type: str
    chunks: int
    characters: int
    sha256: str
    added_at: str
    masked: bool = False
    language: str = ""
    quality: float | None = None
    version: str = ""
    dated: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PagePlaces:
    """Where on one page something stands: boxes as left, top, right, bottom.

    In points, as `width` and `height` of the page are, from the upper left corner of the page as it is shown (turned and
    cropped); of a picture, in pixels. `page` counts from 1.
    """

    page: int
    width: float
    height: float
    boxes: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A block of a document's text that is looked for on its page, and the part of it to find: `text[start:end]`.

    Blocks of which nothing is to be found (`start == end`) help to tell the same words at two places apart.
    """

    page: int
    text: str
    start: int = 0
    end: int = 0


Allowed: TypeAlias = Callable[[DocumentInfo], bool]
"""Says whether a document may be found. One that is equal to another must say the same of every document."""


@dataclass(frozen=True, slots=True)
class Twin:
    """Where else a passage stands: a span of another document, or of the same one further on."""

    document_id: str
    source: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found, with its document and its scores.

    `score` is what the hits are sorted by; `dense` is the cosine between question and chunk, None in keyword search;
    `keyword` the BM25 score, None where that search did not find the chunk. `also` are the places of chunks that say the
    same, which the search passed over for this one.
    """

    document: DocumentInfo
    chunk: Chunk
    score: float
    dense: float | None = None
    keyword: float | None = None
    also: tuple[Twin, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The hit as the public JSON form names its fields; `also` is there where there is such a place."""
        also = {"also": [asdict(twin) for twin in self.also]} if self.also else {}
        return also | {
            "document_id": self.document.document_id,
            "source": self.document.source,
            "title": self.document.title,
            "page": self.chunk.page,
            "place": self.chunk.place,
            "heading": list(self.chunk.heading),
            "start": self.chunk.start,
            "end": self.chunk.end,
            "score": self.score,
            "text": self.chunk.text,
        }


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What became of one file: the line that `ingest add` prints and the ledger keeps.

    `reason` says why a file was not taken in; of one that was, what of it is not in the text.
    """

    source: str
    document_id: str | None
    status: Status
    reason: str | None = None
    chunks: int = 0


QuarantineState = Literal["held", "released", "dropped"]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A version of a document that was not taken in, until a person says what becomes of it.

    `reason` and `findings` say why, and never repeat what was found. `held` waits for that person; `released` was taken in as
    it is, here or under any other source; `dropped` is left out as long as its source holds this very content.
    `at` is when that was, ISO 8601, UTC.
    """

    source: str
    document_id: str
    sha256: str
    reason: str
    findings: tuple[Finding, ...] = ()
    state: QuarantineState = "held"
    at: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a document stands. `reason` says why it failed or is held back; `at` since when (ISO 8601, UTC); of the chunks
    of one that is being embedded `chunks_done` are. `run` is the run that said so last, 0 where none did."""

    source: str
    state: DocumentState
    reason: str | None
    at: str
    run: int = 0
    chunks_done: int = 0
    chunks_total: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A run of `ingest add` or its like over `files` files. `outcome` is `done`, `stopped` (by a signal or an error), or None
    while it goes on and after its process died."""

    id: int
    kind: RunKind
    began: str
    files: int
    ended: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Working:
    """A file that is worked on just now, and for how long (seconds)."""

    source: str
    state: DocumentState
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: after each file (`entry` is its ledger line), after each batch of embedded chunks, and twice a
    second while nothing is done. `working` are the files worked on, the one that takes longest first. `chunks_total` is of
    what is parsed so far, None before anything is."""

    files_done: int
    files_total: int
    chunks_done: int
    entry: LedgerEntry | None = None
    source: str | None = None
    working: tuple[Working, ...] = ()
    chunks_total: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all the files of one run."""

    documents: tuple[LedgerEntry, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())

    def count(self, status: Status) -> int:
        return sum(entry.status == status for entry in self.documents)

    @property
    def chunks(self) -> int:
        return sum(entry.chunks for entry in self.documents)

    @property
    def failed(self) -> bool:
        return any(entry.status == "failed" for entry in self.documents)
