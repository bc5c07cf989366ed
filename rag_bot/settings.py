"""Settings of the chatbot: one typed tree with local defaults that work; `docs/configuration.md` is made from it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ingest.settings import MIB, IngestSettings


class Settings(IngestSettings):
    """The settings of ingestion and those of answering and serving."""

    state: str = Field(
        default="",
        description="SQLAlchemy URL of conversations and feedback; empty: `sqlite:///` and the file `state.sqlite3` "
        "beside the index folder's own files.",
    )
    llm: str = Field(
        default="",
        description="The LLM that chooses which sentences answer; empty: none is needed. `scripted:FILE` says what a file "
        "tells it to (for tests).",
    )
    llm_seconds: float = Field(
        default=30.0, gt=0, description="An LLM that takes longer is passed over for this answer, in seconds."
    )
    answer: Literal["auto", "quote", "quote-llm", "generate"] = Field(
        default="auto",
        description="`quote`: the sentences that fit best, word for word; `quote-llm`: the same, chosen by the LLM; `auto`: "
        "`quote-llm` when an LLM is set. `generate` (the LLM writes) is refused until its sentences can be proved.",
    )
    gate: Literal["strict", "flag", "off"] = Field(
        default="strict",
        description="What happens to a sentence whose proof is not found in the sources: `strict` drops it, `flag` shows it "
        "marked as unproved, `off` does not look.",
    )
    max_wrong: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of wrong answers among those given that is allowed; a smaller share refuses more often.",
    )
    rails: str = Field(default="off", description="Guardrails: `off` (none).")
    host: str = Field(default="127.0.0.1", description="Address that `rag-bot serve` listens on.")
    hosts: str = Field(
        default="",
        description="Names under which a service on a loopback address may be called, beside that address and `localhost`, "
        "separated by commas; `*`: any name, which lets a web page that points its own name at this machine in.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port that `rag-bot serve` listens on; 0 takes a free one.")
    passages: int = Field(default=8, ge=1, le=50, description="Passages that an answer is made from.")
    max_question_chars: int = Field(default=10_000, ge=1, description="A longer question is refused, in characters.")
    max_body_bytes: int = Field(
        default=MIB, ge=1024, description="A larger request body is refused (uploads have their own limit), in bytes."
    )
    max_concurrent: int = Field(default=64, ge=1, description="Questions worked on at once; more get 503 with Retry-After.")
    rate_per_minute: int = Field(
        default=0, ge=0, description="Questions a client address may ask a minute; more get 429; 0: no limit."
    )
    shutdown_seconds: float = Field(
        default=5.0, gt=0, description="How long open streams may take to end when the service stops."
    )

    @property
    def state_url(self) -> str:
        """The state's URL with the default filled in."""
        return self.state or f"sqlite:///{self.index.resolve() / 'state.sqlite3'}"
