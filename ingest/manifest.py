"""The manifest: which derived files belong to the store, up to which chunk, with their hashes; replaced in one rename."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Artifact:
    """A derived file, or folder of files: its name, the SHA-256 of each file, and the last chunk id that it covers.

    `settings` are what was chosen for searching it when it was built.
    """

    name: str
    hashes: dict[str, str]
    last_chunk: int
    count: int
    settings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was last published. `embedder` and `fingerprint` say how the vectors were made, `epoch` for which numbering
    of chunks (embedding everything anew numbers them anew)."""

    generation: int
    epoch: str
    embedder: str
    fingerprint: str
    dimension: int
    vectors: Artifact
    keywords: Artifact
    format: int = FORMAT
    checksum: str = ""

    def write(self, folder: Path) -> None:
        """Put this manifest in place of the old one, whole or not at all."""
        body = asdict(replace(self, checksum=""))
        body["checksum"] = _digest(body)
        temporary = folder / f"{NAME}.new"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(body, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / NAME)
        sync_folder(folder)

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest, or None where there is none. Raises ValueError if it is damaged."""
        try:
            return cls.parse((folder / NAME).read_bytes())
        except FileNotFoundError:
            return None

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """A manifest as it stands on the disk. Raises ValueError if it is damaged."""
        body = json.loads(data)
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise ValueError(f"{NAME} is not a manifest of format {FORMAT}")
        checksum = body.pop("checksum", None)
        if checksum != _digest({**body, "checksum": ""}):
            raise ValueError(f"{NAME} does not match its checksum")
        return cls(**{**body, "vectors": Artifact(**body["vectors"]), "keywords": Artifact(**body["keywords"])})


def _digest(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(folder: Path, artifact: Artifact) -> str | None:
    """What is wrong with an artifact on the disk, as a few words, or None."""
    for name, expected in artifact.hashes.items():
        try:
            if hash_file(folder / name) != expected:
                return f"{name} does not match its hash"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} can't be read ({error.strerror})"
    return None


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
