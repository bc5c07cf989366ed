"""Settings of the chatbot: one typed tree with local defaults that work; `docs/configuration.md` is made from it."""

from __future__ import annotations

from pathlib import Path
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
        description="The LLMs, parted by commas, in the order in which they are tried; after the last, sentences are quoted. "
        "Empty: none is needed. `llama-cpp:FILE.gguf` or a name that `rag-bot models list` knows, `openai:gpt-5-mini`, "
        "`openai-compatible:http://host:8000/v1#model` and others: see docs/llms.md.",
    )
    llm_seconds: float = Field(default=90.0, gt=0, description="What LLMs may take for an answer in all, in seconds.")
    llm_first_seconds: float = Field(
        default=30.0, gt=0, description="An LLM whose first sentence takes longer is passed over, in seconds."
    )
    llm_tokens: int = Field(default=512, ge=16, description="Tokens of an answer at most.")
    rewrite_seconds: float = Field(
        default=5.0,
        ge=0,
        description="What the LLM may take to put a follow-up as a question that stands alone; past it, and at 0, rules do.",
    )
    judge: str = Field(
        default="",
        description="An LLM that reads each written sentence beside its quotes and may refuse it; empty: none is asked.",
    )
    judge_seconds: float = Field(
        default=5.0, gt=0, description="A judge that takes longer is passed over for this sentence, in seconds."
    )
    prices: Path | None = Field(
        default=None,
        description="A TOML file of prices in US dollars for a million tokens, by LLM; what it names goes before the table "
        "that is part of the package.",
    )
    models: Path = Field(
        default=Path("~/.cache/rag-bot/models"), description="Folder of the models that `rag-bot models pull` fetches."
    )
    answer: Literal["auto", "quote", "quote-llm", "generate"] = Field(
        default="auto",
        description="`quote`: the sentences that fit best, word for word; `quote-llm`: the same, chosen by the LLM; "
        "`generate`: the LLM writes, and the gate checks each sentence; `auto`: `generate` when an LLM is set, else `quote`.",
    )
    gate: Literal["strict", "flag", "off"] = Field(
        default="strict",
        description="What happens to a sentence whose proof is not found in the sources: `strict` drops it, `flag` shows it "
        "marked as unproved, `off` does not look.",
    )
    max_wrong: float = Field(
        default=0.25,
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
