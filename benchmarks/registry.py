"""The benchmarks by name: what each measures and where it stands; nothing heavy is imported before one is run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: `quick` takes a small part of the data, to see that all works; `random_vectors` spares the embedding of
    passages where only time is measured; `out` is the folder of the results."""

    quick: bool = False
    random_vectors: bool = False
    out: Path = RESULTS


Run: TypeAlias = Callable[[Options], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: `place` is `module:function`; `in_all` says whether `all` runs it."""

    what: str
    place: str
    in_all: bool = True

    def load(self) -> Run:
        """The function that runs it."""
        module, _, function = self.place.partition(":")
        run: Run = getattr(importlib.import_module(module), function)
        return run


BENCHMARKS = {
    "ingest_speed": Benchmark("Ingestion end to end against a bare encoder", "benchmarks.ingest_speed:run"),
    "ingest_memory": Benchmark("Peak memory of ingestion over folders of two sizes", "benchmarks.ingest_memory:run"),
    "langchain_way": Benchmark(
        "Files to a saved, searched store: ours and LangChain's tutorial", "benchmarks.langchain_way:run"
    ),
    "start": Benchmark("A cold `ask`, `serve` until it is ready, and a warm question's vector", "benchmarks.start:run"),
    "latency": Benchmark("A warm question to its first sentence, beside LangChain's retriever", "benchmarks.latency:run"),
    "retrieval": Benchmark("What dense, keyword and fused search find", "benchmarks.retrieval:run"),
    "followups": Benchmark("What follow-ups find, rewritten by us, by a person, or not", "benchmarks.followups:run"),
    "answers": Benchmark("Which questions are refused: three sources, each held out whole", "benchmarks.answers:run"),
    "quotes": Benchmark("Whether quotes hold the answer: sentences and table rows", "benchmarks.quotes:run"),
    "mtrag_answers": Benchmark(
        "MTRAG answered by quotes and by the demo's LLM: ROUGE-L, citations", "benchmarks.mtrag_answers:run"
    ),
    "gate": Benchmark("What the gate releases of true sentences, and of the same made wrong", "benchmarks.gate:run"),
    "writer": Benchmark("What the gate releases of what the demo's LLM writes over the handbook", "benchmarks.writer:run"),
    "llama_overhead": Benchmark("Our chat model beside bare llama_cpp on the same prompts", "benchmarks.llama:overhead"),
    "llama_clients": Benchmark("Eight clients at once on one local LLM", "benchmarks.llama:clients"),
    "llm_faults": Benchmark("How questions end while the LLM fails", "benchmarks.llm_faults:run"),
    "rails": Benchmark("Attacks and harm caught, ordinary and trigger-word prompts kept", "benchmarks.rails:run"),
    "exit_control": Benchmark(
        "Links and markup that get past exit control, and ordinary sentences kept back", "benchmarks.exit_control:run"
    ),
    "rails_cost": Benchmark("Milliseconds of the default rails on a question and on a sentence", "benchmarks.rails_cost:run"),
    "planted": Benchmark("Orders planted in passages: caught, set aside, and what reaches the user", "benchmarks.planted:run"),
    "personal_data": Benchmark(
        "Personal data and secrets: found where labelled, and false alarms", "benchmarks.personal_data:run"
    ),
    "parse_safety": Benchmark("Real documents and 2,000 mutations of them through the parsers", "benchmarks.parse_safety:run"),
    "parsers": Benchmark(
        "What libraries find in real files: words, order, tables; speed and failures", "benchmarks.parsers:run"
    ),
    "service": Benchmark(
        "Streams at once beside a bare endpoint, clients that hang up, memory over 20,000 questions",
        "benchmarks.service.run:run",
    ),
    "schema_cases": Benchmark(
        "10,000 requests made from the API's own description, on every route", "benchmarks.schema_cases:run"
    ),
    "newcomer": Benchmark("From a bare checkout to the first proved answer", "benchmarks.newcomer:run", False),
    "probes": Benchmark(
        "10,000 requests of one tenant for what is another's: what shows, and what its time tells", "benchmarks.probes:run"
    ),
    "keywords": Benchmark("Keyword search over a million chunks, whatever the words", "benchmarks.keywords:run", False),
    "curation": Benchmark(
        "Copies folded, contradictions, boilerplate and languages found, and the cost of that", "benchmarks.curation:run"
    ),
    "vectors": Benchmark("Search of a million vectors: compressed, by a graph, exact", "benchmarks.vectors:run", False),
    "gpu": Benchmark("The GPU against the CPU: embedding, and search of 1 and 10 million vectors", "benchmarks.gpu:run", False),
    # What defaults were chosen by: slow, and to be run again only when one is in question.
    "batch_tokens": Benchmark(
        "How many tokens a batch of the embedder should hold", "benchmarks.ingest_speed:batch_tokens", False
    ),
    "chunk_size": Benchmark("How large a chunk should be", "benchmarks.retrieval:chunk_size", False),
    "train_rails": Benchmark("Trains the classifier of attacks and harm", "benchmarks.train_rails:run", False),
    "garak": Benchmark(
        "garak's attacks against the service and the bare model: `make garak`", "benchmarks.garak_run:run", False
    ),
    "calibrate": Benchmark("The confidence at which an answer is given", "benchmarks.calibrate:run", False),
}


def chosen(names: list[str]) -> list[str]:
    """The names to run, each once: `all` (also where there is none) stands for those that belong to it.

    Raises ValueError for a name that is not there.
    """
    expanded = [each for name in names or ["all"] for each in (in_all() if name == "all" else [name])]
    for name in expanded:
        if name not in BENCHMARKS:
            raise ValueError(f"There is no benchmark {name!r}; there are: all, {', '.join(BENCHMARKS)}.")
    return list(dict.fromkeys(expanded))


def in_all() -> list[str]:
    return [name for name, benchmark in BENCHMARKS.items() if benchmark.in_all]
