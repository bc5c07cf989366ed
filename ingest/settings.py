"""Settings of ingestion: where the index lives, how to chunk, which embedder.

Read from `RAG_BOT_…`, `.env`, files of secrets, `rag-bot.toml`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

MIB = 1024 * 1024
CONTAINER_SECRETS = Path("/run/secrets")  # where Docker and Podman put a container's secrets


class IngestSettings(BaseSettings):
    """What both packages need to know of the index."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_BOT_", env_file=".env", toml_file="rag-bot.toml", extra="ignore", frozen=True
    )

    index: Path = Field(default=Path("index"), description="Folder of the index.")
    embedder: str = Field(
        default="minilm",
        description="Which embedder makes a new index: `minilm` (all-MiniLM-L6-v2, carried by a package, works offline), "
        "the name or path of any sentence-transformers model, or `hash` (words hashed to numbers: for tests). "
        "An index that exists keeps the embedder it was made with.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="Number format of the embedder's weights; `auto` takes bf16 where the CPU or GPU is made for it.",
    )
    exports: str = Field(
        default="~/.cache/rag-bot/exports",
        description="Folder of the embedders' ONNX exports, which load in a tenth of the time; each is made once, from the "
        "embedder itself. Empty: none is made or used.",
    )
    chunk_tokens: int = Field(
        default=200, ge=16, le=8192, description="Largest size of a chunk's own text, in the embedder's tokens."
    )
    exact_vectors: int = Field(
        default=100_000,
        ge=0,
        description="Up to so many chunks each search looks at every vector; an index of more is compressed when it is next "
        "published, and finds 98 in 100 of the nearest.",
    )
    max_file_bytes: int = Field(default=100 * MIB, ge=1, description="A file larger than this is refused, in bytes.")
    parse_seconds: float = Field(default=120.0, gt=0, description="A file whose parsing takes longer is given up, in seconds.")
    parse_memory_mb: int = Field(default=2048, ge=128, description="Memory that parsing one file may take, in MiB.")
    parse_output_mb: int = Field(default=256, ge=1, description="Text that parsing one file may give, in MiB.")
    parse_processes: int = Field(
        default=0, ge=0, le=256, description="Files that are parsed at once; 0: one for each core, at most 8."
    )
    archive_files: int = Field(
        default=10_000, ge=1, description="Files that an archive may hold, with those of the archives in it."
    )
    archive_bytes: int = Field(
        default=1024 * MIB, ge=1, description="Size that an archive may unpack to, with the archives in it, in bytes."
    )
    archive_depth: int = Field(default=3, ge=1, le=20, description="How deep archives may stand in archives.")
    passwords: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description='Passwords that encrypted PDFs are tried with, in turn: one, or a list in JSON (`["one", "two"]`). They '
        "are shown nowhere.",
    )
    documents_personal: Literal["keep", "mask", "quarantine"] = Field(
        default="keep",
        description="What is done with a document that holds personal data: `keep` it as it is, `mask` what was found, or "
        "`quarantine` the document until a person releases or drops it.",
    )
    documents_secrets: Literal["keep", "mask", "quarantine"] = Field(
        default="mask", description="The same for secrets: keys, tokens, passwords."
    )
    documents_orders: Literal["keep", "mask", "quarantine"] = Field(
        default="keep",
        description="The same for text that gives orders to a model; what is kept is set aside when a question is answered.",
    )
    documents_hidden: Literal["keep", "mask", "quarantine"] = Field(
        default="mask",
        description="The same for text that a reader does not see. Unless this is `keep`, a document whose hidden text gives "
        "orders is quarantined.",
    )

    documents_versions: Literal["keep", "newest"] = Field(
        default="keep",
        description="Which of several versions of a document are searched: all (`keep`), or the `newest` that the reader may "
        "see; the others stay in the index and are listed.",
    )

    @field_validator("passwords", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        """A text is one password, unless it is a list in JSON. Nothing is refused: the complaint would show it."""
        if isinstance(value, str):
            try:
                listed = json.loads(value) if value.startswith("[") else None
            except ValueError:
                listed = None
            value = listed if isinstance(listed, list) else [value]
        several = value if isinstance(value, list | tuple) else [value]
        return tuple(one if isinstance(one, SecretStr) else SecretStr(str(one)) for one in several if one)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, that over `.env`, over files of secrets, over `rag-bot.toml`."""
        secrets = SecretsSettingsSource(settings_cls, secrets_dir=secret_folders())
        return init_settings, env_settings, dotenv_settings, secrets, TomlConfigSettingsSource(settings_cls)


def secret_folders() -> list[Path]:
    """The folders whose files are settings, each named like its variable, in either case (`rag_bot_metrics_key`)."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")  # set by systemd for LoadCredential=
    folders = [CONTAINER_SECRETS, *([Path(credentials)] if credentials else [])]
    return [folder for folder in folders if os.access(folder, os.R_OK | os.X_OK) and folder.is_dir()]
