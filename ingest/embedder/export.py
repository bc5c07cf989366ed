"""A sentence-transformers model to its ONNX export: made once, and kept only where it gives the same vectors as fast."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.embedder.base import Vectors
from ingest.embedder.exported import GRAPH, INPUTS, META, OUTPUTS, TOKENIZER, Exported, Facts, min_cosine, open_graph
from ingest.embedder.sentence import made_for_bf16

if TYPE_CHECKING:
    import torch

    from ingest.embedder.exported import ExportedEmbedder
    from ingest.embedder.sentence import SentenceTransformerEmbedder

LEAST_COSINE = 0.999
"""An export whose vector of any probe is farther from the model's own is not used."""
_SLOWEST = 1.2  # times the model's own time for a question: an export that is slower is not used either
_LARGEST = 1_900_000_000  # bytes of weights: one file of the format holds two gigabytes
_OPSET = 17

PROBES = (
    "How many weeks of parental leave can a parent take?",
    "Who books flights, and what may a hotel cost a night?",
    "",
    "  \n Yes.\t ",
    "WHAT IS THE BOILING POINT OF SULPHUR HEXAFLUORIDE (SF₆) AT 1 BAR?",
    "Wie viele Urlaubstage stehen mir zu, und wann verfallen sie?",
    "¿Cuántos días de vacaciones tengo?",
    "休暇は三十日です。",
    "Сколько дней отпуска мне положено?",
    "🦊🔥 e\u0301 naïve café",
    "def embed(texts): return [hash(t) % 256 for t in texts]  # https://example.org/a-b_c?d=e&f=1",
    "| city | price |\n| --- | --- |\n| Düsseldorf | 12,345.67 € |",
    "Parental leave lasts sixteen weeks. Ask for it in writing. The office answers within ten days.",
    "The travel office books all flights. Hotels cost at most 140 euros a night. " * 4,
    "Dogs may come to the office on Fridays. Cats may not come at all. " * 12,
    "a long text that is cut off somewhere " * 200,
)
"""What both are asked: questions, passages, odd texts, short and long, in several scripts."""


def export(model: SentenceTransformerEmbedder, folder: Path) -> Exported:
    """Export a model (in fp32) into a folder and check the export against it; one that is not as good leaves only the
    reason there, so that it isn't tried again. Raises OSError where the folder can't be written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        facts, embedder = _made(model, made)
        (made / META).write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")
        if facts.refused:
            (made / GRAPH).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        try:
            made.rename(folder)
        except OSError:
            if not (folder / META).is_file():  # else another process has put its own there meanwhile
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Exported(facts, embedder)


def _made(model: SentenceTransformerEmbedder, folder: Path) -> tuple[Facts, ExportedEmbedder | None]:
    facts = _facts(model)
    if why := _cannot(model):
        return replace(facts, refused=why), None
    try:
        model.model.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
        _write_graph(model, folder / GRAPH)
        with (folder / GRAPH).open("rb") as file:
            facts = replace(facts, graph=hashlib.file_digest(file, "sha256").hexdigest())
        os.chmod(folder, 0o755)  # a temporary folder is its maker's alone
        embedder = open_graph(model.name, folder, facts)
    except Exception as error:  # whatever the exporter makes of a model that it doesn't know
        if isinstance(error, OSError):
            raise
        return replace(facts, refused=f"it can't be exported ({str(error).strip().partition(chr(10))[0]})"), None
    facts = replace(facts, cosine=_cosine(model, embedder))
    if not facts.cosine >= LEAST_COSINE:
        return replace(facts, refused=f"its vectors are not the model's (cosine {facts.cosine:.4f})"), None
    took, would = _seconds(embedder.embed_queries, PROBES[:1]), _seconds(model.embed_queries, PROBES[:1])
    if took > _SLOWEST * would:
        return replace(facts, refused=f"it is slower than the model ({took * 1000:.1f} ms, not {would * 1000:.1f})"), None
    return facts, embedder


def _facts(model: SentenceTransformerEmbedder) -> Facts:
    tokenizer = model.model.tokenizer
    return Facts(
        fingerprint=model.fingerprint,
        dimension=model.dimension,
        max_sequence=int(model.model.max_seq_length or 512),
        special_tokens=tokenizer.num_special_tokens_to_add(pair=False),
        pad=int(tokenizer.pad_token_id or 0),
        query_prompt=model.query_prompt,
        document_prompt=model.document_prompt,
        device=model.device,
        quick=made_for_bf16(model.device),
    )


def _cannot(model: SentenceTransformerEmbedder) -> str:
    """Why a model can't be exported; empty where it can."""
    if model.not_plain:
        return model.not_plain
    if sum(weight.numel() for weight in model.model.parameters()) * 4 > _LARGEST:
        return "it is too large"
    return ""


def _write_graph(model: SentenceTransformerEmbedder, path: Path) -> None:
    import torch

    class Graph(torch.nn.Module):
        """The model as a function of plain tensors."""

        def __init__(self, names: list[str]) -> None:
            super().__init__()
            self.modules_in_order, self._names = model.model, names

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features: dict[str, Any] = dict(zip(self._names, tensors, strict=True))
            for module in self.modules_in_order:
                features = module(features)
            return features[OUTPUTS[0]], features[OUTPUTS[1]]

    rows = model.model.tokenizer(["a probe of some words", "another"], padding=True, return_tensors="pt")
    names = [name for name in INPUTS if name in rows]
    given = tuple(rows[name].to(model.model.device) for name in names)
    axes = {name: {0: "texts", 1: "tokens"} for name in (*names, OUTPUTS[1])}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(names).eval(),
            given,
            str(path),
            input_names=names,
            output_names=list(OUTPUTS),
            dynamic_axes={**axes, OUTPUTS[0]: {0: "texts"}},
            opset_version=_OPSET,
            dynamo=False,  # the other exporter needs one more package, and takes longer
            verbose=False,
        )


def _cosine(model: SentenceTransformerEmbedder, embedder: ExportedEmbedder) -> float:
    """The smallest cosine between the two over all probes: as questions, as passages, and their sentences."""
    spans = [[(0, max(1, len(text) // 2)), (len(text) // 2, len(text))] for text in PROBES]
    made = embedder.embed_passages(PROBES, spans)
    return min_cosine(
        [*model.encoded(PROBES), *model.embed_passages(PROBES, spans).sentences],
        [embedder.embed_queries(PROBES), made.passages, *made.sentences],
    )


def _seconds(embed: Callable[[Sequence[str]], Vectors], texts: Sequence[str], times: int = 7) -> float:
    """What embedding takes at best."""
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        embed(texts)
        best = min(best, time.perf_counter() - began)
    return best
