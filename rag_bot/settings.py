"""Settings of the chatbot: one typed tree with local defaults that work; `docs/configuration.md` is made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from ingest.settings import MIB, IngestSettings


class Settings(IngestSettings):
    """The settings of ingestion and those of answering and serving."""

    state: str = Field(
        default="",
        description="SQLAlchemy URL of conversations and feedback; empty: `sqlite:///` and the file `state.sqlite3` "
        "beside the index folder's own files.",
    )
    state_migrate: Literal["on", "off"] = Field(
        default="on",
        description="Whether an older database is brought up to date at the start; `off`: `rag-bot migrate` does it by hand.",
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
    rails: str = Field(
        default="on",
        description="Guardrails: `on`, `off`, or a folder with a NeMo Guardrails configuration that is added to ours "
        "(docs/rails.md).",
    )
    rails_skip: str = Field(
        default="",
        description="Rails to leave out, parted by commas: `size`, `injection`, `harm`, `personal data`, `links`, `leaks`, "
        "`orders` (in passages), or one of your own folder.",
    )
    rails_fail_open: str = Field(
        default="",
        description="Rails that let a text through when they fail or take too long, parted by commas; all others refuse it.",
    )
    rails_seconds: float = Field(default=5.0, gt=0, description="What one rail may take for one check, in seconds.")
    rails_self_check: str = Field(
        default="",
        description="NeMo's self-checks by an LLM, parted by commas: `input` (the question), `output` and `facts` (each "
        "sentence). Empty: none.",
    )
    rails_llm: str = Field(default="", description="The LLM that self-checks ask; empty: the first one of `RAG_BOT_LLM`.")
    rails_question_personal: Literal["allow", "mask", "refuse"] = Field(
        default="allow", description="What happens to a question that holds personal data or a key."
    )
    rails_personal: Literal["allow", "mask", "refuse"] = Field(
        default="allow",
        description="What happens to personal data in passages before an LLM reads them and in answers: `mask` blackens it "
        "in both, `refuse` leaves out each sentence that holds some.",
    )
    rails_harm_allowed: str = Field(
        default="", description="Categories of harm that may be asked about, parted by commas; see docs/rails.md."
    )
    rails_links: str = Field(
        default="",
        description="Domains, parted by commas, that an answer may name though the source it cites does not.",
    )
    rails_nearest: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="A question is off the subject where no passage comes as near to it in meaning (cosine); 0: none is.",
    )
    rails_log: Path | None = Field(
        default=None, description="A file that gets a line of JSON for each check: rails, verdicts, milliseconds, no text."
    )
    host: str = Field(default="127.0.0.1", description="Address that `rag-bot serve` listens on.")
    hosts: str = Field(
        default="",
        description="Names under which a service on a loopback address may be called, beside that address and `localhost`, "
        "separated by commas; `*`: any name, which lets a web page that points its own name at this machine in.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port that `rag-bot serve` listens on; 0 takes a free one.")
    reranker: str = Field(
        default="",
        description="A cross-encoder that puts the passages found in order: the name or folder of a sentence-transformers "
        "model, such as `cross-encoder/ms-marco-MiniLM-L6-v2`. Empty: none.",
    )
    reranked: int = Field(default=40, ge=2, le=200, description="Passages that a reranker puts in order.")
    passages: int = Field(default=8, ge=1, le=50, description="Passages that an answer is made from.")
    max_question_chars: int = Field(default=10_000, ge=1, description="A longer question is refused, in characters.")
    max_body_bytes: int = Field(
        default=MIB, ge=1024, description="A larger request body is refused (uploads have their own limit), in bytes."
    )
    upload_wait_seconds: float = Field(
        default=10.0,
        ge=0,
        description="How long an upload's answer waits for the document to be taken in; after that it is 202 with a job id.",
    )
    uploads_waiting: int = Field(
        default=1000, ge=1, description="Uploads that may wait to be taken in; more get 503 with Retry-After."
    )
    uploads_bytes: int = Field(
        default=2048 * MIB, ge=1, description="What the uploads that wait may take up on the disk, in bytes."
    )
    max_concurrent: int = Field(default=64, ge=1, description="Questions worked on at once; more get 503 with Retry-After.")
    rate_per_minute: int = Field(
        default=0,
        ge=0,
        description="Questions a client address (with accounts: each user and key) may ask a minute; more get 429; "
        "0: no limit.",
    )
    questions_per_day: int = Field(
        default=0, ge=0, description="Questions each user and key may ask a day (UTC), with accounts; 0: no limit."
    )
    uploads_per_day: int = Field(
        default=0, ge=0, description="Documents each user and key may add a day (UTC), with accounts; 0: no limit."
    )
    tokens_per_day: int = Field(
        default=0, ge=0, description="Tokens of LLMs each user and key may take a day (UTC), with accounts; 0: no limit."
    )
    cost_per_day: float = Field(
        default=0.0,
        ge=0,
        description="US dollars each user's and key's questions may cost a day (UTC), with accounts; 0: no limit.",
    )
    auth: Literal["off", "on"] = Field(
        default="off",
        description="Accounts: `off` on a laptop, where nobody signs in; `on`: every request needs an API key or a session "
        "(docs/access.md). A service that others can reach needs `on`.",
    )
    admin_password: SecretStr | None = Field(
        default=None, description="With accounts, and no user at all, the user `admin` is made with this password at the start."
    )
    metrics_key: SecretStr | None = Field(
        default=None, description="With accounts, a bearer token that may read `/metrics` and nothing else."
    )
    session_hours: float = Field(default=12.0, gt=0, description="After so many hours without a request a session is over.")
    oidc_issuer: str = Field(
        default="",
        description="With accounts, address of an OpenID Connect provider through which people sign in on the page "
        "(docs/access.md); empty: with names and passwords alone.",
    )
    oidc_client_id: str = Field(default="", description="The id that this service has at the provider.")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Its secret there; none for a public client (PKCE is used either way)."
    )
    oidc_name: str = Field(default="", description="What the page calls the provider; empty: by the name of its host.")
    oidc_scopes: str = Field(default="openid profile email", description="What the provider is asked for.")
    oidc_groups_claim: str = Field(
        default="groups",
        description="The claim that names somebody's groups, or the path to it, such as `realm_access.roles`.",
    )
    oidc_roles: str = Field(
        default="", description="Roles by the provider's groups, such as `editors=editor,it=admin`; the highest one counts."
    )
    oidc_role: Literal["none", "reader", "editor"] = Field(
        default="reader", description="The role of those whom no such group gives one; `none`: they may not come in."
    )
    oidc_emails: Literal["verified", "any", "none"] = Field(
        default="verified",
        description="Which of the provider's e-mail addresses the file of readers may know people by: those it says it has "
        "verified, any (where people can't choose theirs), or none.",
    )
    audit: Literal["changes", "all"] = Field(
        default="changes",
        description="With accounts, what the audit log keeps: `changes` of documents and accounts, signing in and what was "
        "refused; `all`: that somebody asked or read a document as well.",
    )
    audit_days: int = Field(default=365, ge=0, description="Days that a line stays in the audit log; 0: for ever.")
    log: Literal["text", "json"] = Field(
        default="text",
        description="Form of a service's log on stderr; `json` has a line for each request, too. Neither has what is asked.",
    )
    shutdown_seconds: float = Field(
        default=5.0, gt=0, description="How long open streams may take to end when the service stops."
    )

    readers: Path | None = Field(
        default=None,
        description="A TOML file that says who may read which documents (docs/slack.md); none: everything is public.",
    )
    public_url: str = Field(
        default="", description="Address under which people reach the chat page; links in other programs lead there."
    )
    slack_bot_token: SecretStr | None = Field(default=None, description="Slack's bot token (`xoxb-…`).")
    slack_app_token: SecretStr | None = Field(
        default=None, description="Slack's app-level token (`xapp-…`), for Socket Mode: `rag-bot slack`."
    )
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="Slack's signing secret; with it `rag-bot serve` takes Slack's requests at `/slack/events`."
    )
    slack_config_token: SecretStr | None = Field(
        default=None,
        description="Slack's configuration token (`xoxe…`): with it `rag-bot slack check` can see which events are missing.",
    )
    slack_url: str = Field(default="https://slack.com/api/", description="Address of Slack's Web API.")
    slack_admins: str = Field(
        default="",
        description="Slack user ids, parted by commas, that may change settings beside the workspace's admins.",
    )
    slack_helpers: str = Field(
        default="", description="Id of the Slack user group (`S…`) that is called in when a question is given to a person."
    )
    slack_concurrent: int = Field(default=16, ge=1, le=256, description="Slack questions answered at once by one process.")
    slack_lease_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How long a question stays with a process that says nothing; after that another takes it over.",
    )

    @field_validator(
        "slack_bot_token",
        "slack_app_token",
        "slack_signing_secret",
        "slack_config_token",
        "admin_password",
        "metrics_key",
        "oidc_client_secret",
        mode="before",
    )
    @classmethod
    def _blank_is_none(cls, value: object) -> object:
        return value if str(value or "").strip() else None

    @property
    def state_url(self) -> str:
        """The state's URL with the default filled in."""
        return self.state or f"sqlite:///{self.index.resolve() / 'state.sqlite3'}"
