"""The ONNX export of a sentence-transformers model as an embedder: loaded in a tenth of the time, without torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ingest.embedder.base import Embedded, Vectors
from ingest.embedder.tokens import Numbers, TokenEncoder
from ingest.types import Span

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

GRAPH, TOKENIZER, META = "model.onnx", "tokenizer.json", "export.json"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("sentence_embedding", "token_embeddings")
_FORMAT = 1
_SMALL = 1 << 20  # files up to this many bytes are read whole to know a model by, others in samples
_SAMPLES, _SAMPLE = 256, 4096
_BATCH_TOKENS = 2048  # as fast as any between 512 and 4,096, and padding wastes least


@dataclass(frozen=True, slots=True)
class Facts:
    """What the export of a model knows of it; kept beside it as JSON.

    `refused` says why the export is not used (empty: it is), `device` where the whole model runs on this machine, and
    `quick` whether that is made for bf16, `graph` is the SHA-256 of the file.
    """

    fingerprint: str = ""
    dimension: int = 0
    max_sequence: int = 0
    special_tokens: int = 0
    pad: int = 0
    query_prompt: str = ""
    document_prompt: str = ""
    graph: str = ""
    cosine: float = 0.0
    device: str = "cpu"
    quick: bool = False
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """An export as it was found: ready to embed, or `refused`."""

    facts: Facts
    _embedder: ExportedEmbedder | None

    @property
    def embedder(self) -> ExportedEmbedder:
        assert self._embedder is not None, self.refused
        return self._embedder

    @property
    def refused(self) -> str:
        return self.facts.refused

    @property
    def device(self) -> str:
        return self.facts.device

    @property
    def quick(self) -> bool:
        return self.facts.quick


class ExportedEmbedder:
    """Embeds by ONNX Runtime in fp32. The same weights, so the same fingerprint, as the model that it was exported from."""

    device = "cpu"

    def __init__(self, name: str, facts: Facts, tokenizer: Tokenizer, session: InferenceSession) -> None:
        self.name, self.fingerprint, self.dimension = name, facts.fingerprint, facts.dimension
        self._facts, self._session = facts, session
        self._inputs = {each.name for each in session.get_inputs()}
        prompt = len(tokenizer.encode(facts.document_prompt, add_special_tokens=False).ids)
        self.max_tokens = facts.max_sequence - facts.special_tokens - prompt
        self._encoder = TokenEncoder(
            tokenizer,
            self._run,
            dimension=facts.dimension,
            max_sequence=facts.max_sequence,
            pad=facts.pad,
            batch_tokens=_BATCH_TOKENS,
        )

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._encoder.embed(texts, self._facts.document_prompt)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        return self._encoder.embed_passages(texts, spans, self._facts.document_prompt)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encoder.embed(texts, self._facts.query_prompt)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.count_tokens(texts)

    def _run(self, ids: Numbers, mask: Numbers, weights: Vectors | None = None) -> tuple[Vectors, Vectors | None]:
        given = dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))
        wanted = OUTPUTS[:1] if weights is None else OUTPUTS
        made = self._session.run(list(wanted), {name: given[name] for name in self._inputs})
        return made[0], None if weights is None else weights @ made[1]


def load_exported(name: str, folder: Path) -> Exported | None:
    """The export in a folder; None where there is none, or it is damaged. Raises ValueError, KeyError or ImportError for one
    that can't be read."""
    try:
        facts = Facts(**json.loads((folder / META).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if facts.refused:
        return Exported(facts, None)
    try:
        with (folder / GRAPH).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != facts.graph:
                return None
    except OSError:
        return None
    return Exported(facts, open_graph(name, folder, facts))


def open_graph(name: str, folder: Path, facts: Facts) -> ExportedEmbedder:
    """The embedder of an export whose files are there."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that spin while they wait for the next question would take the cores from everything else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # both libraries raise kinds of their own
        raise ValueError(f"{folder} can't be read: {error}") from error
    return ExportedEmbedder(name, facts, tokenizer, session)


def export_of(model: str, exports: Path) -> Path | None:
    """Where the export of a model (a folder, or a name on the hub that has been fetched) lies or would lie: under a digest of
    the model's files, so that another version has another place. None where the model's files are not on this machine."""
    try:
        runtime = version("onnxruntime")
        source = _files_of(model)
    except (ImportError, PackageNotFoundError):
        return None
    if source is None:
        return None
    digest = hashlib.sha256(f"{_FORMAT} {runtime}".encode())  # what was checked with one runtime is checked anew with another
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and not inside.parts[0].startswith((".", "onnx", "openvino")) and path.suffix != ".md":
            digest.update(f"{inside.as_posix()} {path.stat().st_size}\n".encode())
            for part in _read(path):
                digest.update(part)
    return exports / digest.hexdigest()[:32]


def _read(path: Path) -> Iterator[bytes]:
    """A small file whole; of a large one its ends and samples all through it: quick, and no two models share those."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _SMALL:
            yield file.read()
            return
        for n in range(_SAMPLES):
            file.seek(n * (size - _SAMPLE) // (_SAMPLES - 1))
            yield file.read(_SAMPLE)


def _files_of(model: str) -> Path | None:
    folder = Path(model)
    if folder.is_dir():
        return folder
    from huggingface_hub import try_to_load_from_cache

    names = (model, f"sentence-transformers/{model}")
    try:
        found: list[Any] = [try_to_load_from_cache(name, "modules.json") for name in names]
    except ValueError:  # no name that the hub could have
        return None
    return next((Path(path).parent for path in found if isinstance(path, str)), None)


def min_cosine(one: Sequence[npt.NDArray[np.float32]], other: Sequence[npt.NDArray[np.float32]]) -> float:
    """The smallest cosine between rows of two lists of arrays of unit vectors."""
    return min(float((a * b).sum(axis=-1).min()) for a, b in zip(one, other, strict=True))
