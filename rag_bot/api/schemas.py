"""What the routes take and give, typed: it checks requests and it is what /docs shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from ingest.types import DocumentInfo, LedgerEntry, Mode, PagePlaces
from ingest.uploads import JobState
from rag_bot.accounts.audit import Outcome
from rag_bot.accounts.quotas import QuotaName
from rag_bot.accounts.types import Permission, Role


def _writable(text: str) -> str:
    """JSON can hold half of a surrogate pair, which no text in UTF-8 can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start} is half of a pair and not a character") from error
    return text


_WRITABLE = AfterValidator(_writable)
Text = Annotated[str, _WRITABLE]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]+$"), _WRITABLE]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), _WRITABLE]
Note = Annotated[str, StringConstraints(max_length=4000), _WRITABLE]


# --- asking


class ChatRequest(BaseModel):
    """A question, new or in a conversation."""

    question: Text = Field(description="What to ask the documents.")
    conversation_id: Id | None = Field(None, description="The conversation it belongs to; left out: a new one.")
    collection: Name | None = Field(None, description="Which documents to ask: one of `GET /v1/collections`; left out: all.")


class Twin(BaseModel):
    """Where else the same is said."""

    document_id: str
    source: str
    start: int
    end: int


class Citation(BaseModel):
    """A span of a document; `quote` is the document's text from `start` to `end`, in characters."""

    n: int = Field(description="The mark in the answer, as in [1].")
    document_id: str
    source: str
    title: str
    page: int | None
    heading: list[str]
    start: int
    end: int
    quote: str
    place: str | None = Field(None, description="Where in the file: `Sheet 'Q1', A2:F9`, `slide 3`, `lines 3-7`, `00:01:02`.")
    also: list[Twin] = Field([], description="Where passages stand that say the same; left out where there are none.")


class Sentence(BaseModel):
    """A sentence of the answer and the marks of the citations that prove it."""

    text: str
    citations: list[int]
    supported: bool


class Blocked(BaseModel):
    """Which rail refused, and why."""

    rail: str
    reason: str = Field(description="For programs, such as `prompt-injection` or `harm/weapons`.")
    message: str = Field("", description="For the user: a sentence.")


class RailObject(BaseModel):
    """What one rail said."""

    rail: str
    on: Literal["question", "passage", "sentence"]
    allowed: bool
    reason: str
    ms: float
    failed: bool = Field(description="The rail could not tell, and its setting decided.")


class Usage(BaseModel):
    """Tokens and US dollars that the answer took."""

    prompt_tokens: int
    completion_tokens: int
    cost: float


class AnswerObject(BaseModel):
    """A whole answer with its proof."""

    answer: str = Field(description="The whole text, with marks like [1].")
    abstained: bool = Field(description="True when the documents don't hold the answer.")
    blocked: Blocked | None
    sentences: list[Sentence]
    citations: list[Citation]
    confidence: float
    question: str = Field(description="The question as rewritten to stand alone.")
    model: str = Field(description="`quote`, or the LLM's name.")
    conversation_id: str
    answer_id: str
    usage: Usage
    timings_ms: dict[str, float]
    notes: list[str] = Field([], description="What the user should know, such as that an LLM failed and another answered.")
    counts: dict[str, int] = Field({}, description="How many of what, such as `passages_left_out` and `sentences_cut`.")
    rails: list[RailObject] = Field([], description="The verdict of every rail.")


class SearchRequest(BaseModel):
    """Words to find passages for."""

    query: Text
    k: int = Field(5, ge=1, le=100, description="How many passages at most.")
    mode: Mode = Field("hybrid", description="By meaning (`dense`), by words (`keyword`), or both (`hybrid`).")
    collection: Name | None = Field(None, description="Where to look: one of `GET /v1/collections`; left out: everywhere.")


class Collections(BaseModel):
    """Names of collections."""

    collections: list[str]


class HitObject(BaseModel):
    """A passage that was found."""

    document_id: str
    source: str
    title: str
    page: int | None
    heading: list[str]
    start: int
    end: int
    score: float
    text: str
    place: str | None = Field(None, description="Where in the file, as in a citation.")
    also: list[Twin] = Field([], description="Where else the same is said; left out where it is nowhere else.")


class Hits(BaseModel):
    """Passages, best first."""

    hits: list[HitObject]


# --- documents


class Boxes(BaseModel):
    """Where a span of a document's text stands, page by page; each box has left, top, right and bottom in the page's units."""

    pages: list[PagePlaces]


class Documents(BaseModel):
    """Every document of the index."""

    documents: list[DocumentInfo]


class JobObject(BaseModel):
    """An upload that is taken in behind the answer. Times are ISO 8601, UTC."""

    job_id: str
    name: str
    bytes: int
    state: JobState = Field(description="`done`: see `entry`. `failed`: the reason is in `entry`, or else in `problem`.")
    created_at: str
    ended_at: str | None = Field(description="Null while it waits or is worked on.")
    ahead: int = Field(description="How many uploads come before it.")
    chunks_done: int = Field(description="How many of its chunks are embedded.")
    chunks_total: int | None = Field(description="How many it has; null until it is parsed.")
    entry: LedgerEntry | None = Field(description="The ledger's entry, once it has one.")
    problem: dict[str, Any] | None = Field(
        description="A problem object, where something other than the document was at fault."
    )


# --- conversations


class ConversationObject(BaseModel):
    """A conversation's place in the list. Times are ISO 8601, UTC."""

    id: str
    title: str
    created_at: str
    updated_at: str


class Conversations(BaseModel):
    """Conversations, last used first; `next` is the `before` that goes on from here, null at the end."""

    conversations: list[ConversationObject]
    next: str | None


class MessageObject(BaseModel):
    """A question as it was asked, and its answer."""

    question: str
    answer: AnswerObject
    at: str
    thumb: int | None
    withheld: bool = Field(
        False, description="The answer is not shown: it cites a document that is gone or that you may not read any more."
    )


class WholeConversation(ConversationObject):
    """A conversation with everything said in it, oldest first."""

    messages: list[MessageObject]


class RenameRequest(BaseModel):
    """A conversation's new title."""

    title: Name


class FeedbackRequest(BaseModel):
    """What a person says of an answer."""

    answer_id: Id
    thumb: Literal[1, -1]
    reason: Note | None = None
    right_source: Note | None = Field(None, description="The document that holds the right answer.")


# --- OpenAI's wire form


class TextPart(BaseModel):
    """A piece of a message's text."""

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """One message. What `system` and `developer` say is taken, but never overrides how this service answers."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Text | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    """How to stream."""

    include_usage: StrictBool | None = False


class CompletionRequest(BaseModel):
    """OpenAI's request; what is not named here (temperature and the like) is taken and has no effect."""

    model_config = ConfigDict(extra="ignore")

    model: Text = Field("", description="Any name; there is one model.")
    messages: list[ChatMessage] = Field(min_length=1, description="The conversation; the last message is the question.")
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = 1


class Completion(BaseModel):
    """OpenAI's answer; the message also carries `rag`, the answer object."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, int]


class Model(BaseModel):
    """A model that can be asked."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(BaseModel):
    """The models that can be asked: one."""

    object: Literal["list"]
    data: list[Model]


# --- health and problems


class Live(BaseModel):
    """The process answers."""

    live: bool


class Readiness(BaseModel):
    """Questions can be answered."""

    ready: bool
    documents: int | None = Field(None, description="Left out where there are accounts, and so the chunks.")
    chunks: int | None = None


class ProblemObject(BaseModel):
    """What went wrong and what to do, as in RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong, and what to do.",
        "content": {"application/problem+json": {"schema": ProblemObject.model_json_schema()}},
    }
}


# --- accounts


class SignInRequest(BaseModel):
    """Who one is."""

    name: Text = Field(max_length=200)
    password: Text = Field(max_length=1024)


class PasswordRequest(BaseModel):
    """One's password, and the one to come."""

    old: Text = Field(max_length=1024)
    new: Text = Field(max_length=1024, description="12 characters or more.")


class PrincipalObject(BaseModel):
    """Who asks. What they may do are their permissions; which documents they read goes by their groups."""

    id: str
    name: str
    role: Role
    permissions: list[Permission]
    groups: list[str]


class SessionObject(BaseModel):
    """Whether there are accounts here, and who asks."""

    accounts: bool
    principal: PrincipalObject | None = Field(description="Null where nobody is signed in.")
    provider: str | None = Field(None, description="The name of the provider that one can sign in through; null: none.")


class UserRequest(BaseModel):
    """A new user."""

    name: Name
    password: Text = Field(min_length=12, max_length=1024)
    role: Role = "reader"
    groups: list[Name] = Field([], max_length=200)
    email: Text = Field("", max_length=255, description="The file of readers may know them by it.")


class UserChange(BaseModel):
    """What is to change of a user; what is left out stays."""

    role: Role = "reader"
    groups: list[Name] = Field([], max_length=200)
    email: Text = Field("", max_length=255)
    disabled: StrictBool = False
    password: Text | None = Field(None, min_length=12, max_length=1024)


class UserObject(BaseModel):
    """A user. Times are ISO 8601, UTC."""

    id: str
    name: str
    email: str
    issuer: str = Field(description="`local`, or the sign-in provider that vouches for them.")
    role: Role
    groups: list[str]
    disabled: bool
    created_at: str
    signed_in_at: str | None


class Users(BaseModel):
    """All users."""

    users: list[UserObject]


class KeyRequest(BaseModel):
    """A new API key."""

    name: Name
    role: Role = "reader"
    permissions: list[Permission] = Field([], description="Of the role's permissions; none named: all of them.")
    groups: list[Name] = Field([], max_length=200)
    quotas: dict[QuotaName, Annotated[float, Field(ge=0, strict=True)]] = Field(
        {},
        description="Its own `questions_per_minute`, `questions_per_day`, `uploads_per_day`, `tokens_per_day`, `cost_per_day`; "
        "0: no limit. What is left out is as the settings say.",
    )
    days: float | None = Field(None, gt=0, le=36_500, description="How long it is valid; left out: until it is revoked.")


class KeyObject(BaseModel):
    """An API key without its secret half. Times are ISO 8601, UTC."""

    id: str
    name: str
    role: Role
    permissions: list[Permission]
    groups: list[str]
    quotas: dict[str, float]
    created_by: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    used_at: str | None = Field(description="When it was used last, to the minute.")
    valid: bool


class KeyMade(KeyObject):
    """A key that was just made."""

    key: str = Field(description="All of it. It can't be seen again.")


class Keys(BaseModel):
    """All API keys."""

    keys: list[KeyObject]


class AuditLine(BaseModel):
    """Who did what to what, from where, and what became of it."""

    id: int
    at: str
    actor: str = Field(description="The id of a principal; empty where nobody is known.")
    action: str
    object: str
    outcome: Outcome
    address: str
    trace_id: str
    detail: dict[str, Any]


class AuditLines(BaseModel):
    """Lines of the audit log, newest first."""

    lines: list[AuditLine]
    next: int | None = Field(description="`before` for the next page; null on the last one.")
