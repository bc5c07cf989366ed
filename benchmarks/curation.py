"""Curation: what is folded of made near-duplicates, which contradictions, boilerplate and languages are found, and its cost."""

from __future__ import annotations

import importlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.build import document, index_of, prepare
from benchmarks.cache import FOLDER, embed_questions
from benchmarks.curation_edits import EDITS, edited, origin
from benchmarks.curation_texts import SENTENCES
from benchmarks.metrics import by_best_chunk, score
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.build import open_pipeline
from ingest.curate.boilerplate import find_boilerplate
from ingest.curate.curator import Curator
from ingest.curate.language import find_language
from ingest.embedder import HashEmbedder, load_embedder
from ingest.index import Index
from ingest.parsers.pool import ParserPool
from ingest.report import contradictions
from ingest.settings import IngestSettings
from ingest.types import Block

_MOST_BYTES = 1_000_000  # of a real file: parsing the largest says nothing more of boilerplate
_COPIES, _COPY = 5, "#copy"
_LENGTHS = (20, 40, 80)  # characters of a sentence, cut after a word


def run(options: Options) -> dict[str, Any]:
    """Every part, one after another."""
    passages = data.xquad()[0][:: 12 if options.quick else 4]
    folding, folding_table, folding_asked = _folding(passages)
    twins, contradictions_table, contradictions_asked = _contradictions(passages)
    made, found, boilerplate_tables, boilerplate_asked = _boilerplate(passages, options)
    languages, languages_table, languages_asked = _languages()
    retrieval, retrieval_table, retrieval_asked = _retrieval(options)
    cost, cost_table = _cost(options)
    figures = {
        "folding": folding,
        "contradictions": twins,
        "boilerplate": {"made": made, "real": found},
        "languages": languages,
        "retrieval": retrieval,
        "cost": cost,
    }
    tables = [folding_table, contradictions_table, *boilerplate_tables, languages_table, retrieval_table, cost_table]
    asked = [*folding_asked, *contradictions_asked, *boilerplate_asked, *languages_asked, *retrieval_asked]
    return Result(figures, tables, asked).as_dict()


# --- near-duplicates


def _folding(passages: Sequence[data.Passage]) -> tuple[dict[str, Any], Table, list[Asked]]:
    """Each passage with one edit of it, in an index of all passages: is the first chunk of both in one group?"""
    made: Counter[str] = Counter()
    folded: Counter[str] = Counter()
    for edit in EDITS:
        pairs = list(edited(passages, [edit]))
        with tempfile.TemporaryDirectory() as folder, _filled(Path(folder), [*passages, *(one for one, _ in pairs)]) as index:
            groups = _groups(index)
        for one, _ in pairs:
            ours, theirs = groups[one.id], groups[origin(one.id)]
            changed = [group for text, group in ours.items() if text not in theirs]
            made[edit.name] += 1
            folded[edit.name] += all(group is not None and group in theirs.values() for group in changed)
        strangers = _strangers(groups)
    same = [edit for edit in EDITS if edit.same]
    other = [edit for edit in EDITS if not edit.same and edit.name != "another ordinary word"]
    right, wrong = sum(folded[e.name] for e in same), sum(folded[e.name] for e in other) + strangers
    recall, precision = right / sum(made[e.name] for e in same), right / max(1, right + wrong)
    rows: list[list[object]] = [
        [edit.name, "yes" if edit.same else "no", made[edit.name], folded[edit.name] / max(1, made[edit.name])]
        for edit in EDITS
    ]
    table = Table(
        "Near-duplicates",
        ("edit", "says the same", "pairs", "folded"),
        rows,
        "A quarter of XQuAD's paragraphs, each beside one with an edit; folded: the chunk with the edit and one of the "
        f"paragraph's are one hit. Of {len(passages)} paragraphs that have nothing to do with each other {strangers} were "
        "folded with another. Another ordinary word is no part of the precision: some change what is said, some don't.",
    )
    figures = {
        "recall": recall, "precision": precision, "strangers": strangers,
        "folded": {e.name: folded[e.name] / max(1, made[e.name]) for e in EDITS}, "pairs": dict(made),
    }  # fmt: skip
    return figures, table, [Asked("folding, recall", recall, 0.9), Asked("folding, precision", precision, 0.99)]


def _filled(folder: Path, passages: Sequence[data.Passage]) -> Index:
    """An index of passages with hashed vectors, open for writing."""
    embedder, curator = HashEmbedder(), Curator()
    index = Index.open(folder, settings=IngestSettings(embedder="hash"), write=True, create=True, embedder=embedder)
    for one in prepare(passages, embedder, 200):
        index.add(
            one.document,
            one.chunks,
            embedder.embed_passages(one.texts, one.spans),
            None,
            facts=curator.facts(one.document, one.chunks),
        )
    return index


def _groups(index: Index) -> dict[str, dict[str, int | None]]:
    """Of each document the text of its chunks and the group that each is in."""
    found: dict[str, dict[str, int | None]] = {}
    for info in index.documents():
        chunks = index.chunks_of(info.document_id)
        folds = index.curation.folds([chunk.id for chunk in chunks])
        found[info.source] = {chunk.text: folds.get(chunk.id) for chunk in chunks}
    return found


def _strangers(groups: dict[str, dict[str, int | None]]) -> int:
    """Passages that share a group with another passage than their own edit."""
    owners: dict[int, set[str]] = {}
    for name, some in groups.items():
        for group in filter(None, some.values()):
            owners.setdefault(group, set()).add(origin(name))
    return sum(len(some) > 1 for some in owners.values())


# --- contradictions


def _contradictions(passages: Sequence[data.Passage]) -> tuple[dict[str, Any], Table, list[Asked]]:
    """Each passage and one with an edit of facts: is the pair listed, and what else is?"""
    rows: list[list[object]] = []
    found_all = made_all = wrong = listed = 0
    for edit in (edit for edit in EDITS if edit.name in ("another number", "a negation", "another month")):
        pairs = [one for one, _ in edited(passages, [edit])]
        with tempfile.TemporaryDirectory() as folder, _filled(Path(folder), [*passages, *pairs]) as index:
            looked = contradictions(index, len(pairs) * 10)
        together = [{origin(one.one.source), origin(one.other.source)} for one in looked]
        found = {next(iter(some)) for some in together if len(some) == 1}
        wanted = {origin(one.id) for one in pairs}
        wrong += sum(len(some) > 1 for some in together)
        listed, found_all, made_all = listed + len(looked), found_all + len(found & wanted), made_all + len(wanted)
        rows.append([edit.name, len(wanted), len(found & wanted) / max(1, len(wanted))])
    recall, precision = found_all / max(1, made_all), 1 - wrong / max(1, listed)
    table = Table(
        "Contradictory twins",
        ("edit", "made", "listed"),
        rows,
        f"A quarter of XQuAD's paragraphs and the same with one edit. {listed} were listed, {wrong} of them of two paragraphs "
        "that have nothing to do with each other.",
    )
    figures = {"recall": recall, "precision": precision, "listed": listed, "made": made_all}
    return figures, table, [Asked("contradictions listed", recall, 0.8), Asked("contradictions, precision", precision, 0.95)]


# --- boilerplate


def _boilerplate(
    passages: Sequence[data.Passage], options: Options
) -> tuple[dict[str, float], list[dict[str, Any]], list[Table], list[Asked]]:
    right = made = found = 0
    for text, blocks, wanted in _paged(passages):
        got = {block.start for block in find_boilerplate(text, blocks)}
        right, made, found = right + len(got & wanted), made + len(wanted), found + len(got)
    recall, precision = right / made, right / max(1, found)
    table = Table(
        "Boilerplate in made documents",
        ("blocks made", "found", "recall", "precision"),
        [[made, found, recall, precision]],
        "XQuAD's paragraphs on pages with a header, a legal line and a page number, of which each document has some.",
    )
    real = list(_real(options))
    rows: list[list[object]] = [[one["file"], one["pages"], one["blocks"], one["share"], one["texts"]] for one in real]
    real_table = Table(
        "Boilerplate in real documents",
        ("file", "pages", "blocks", "share of the characters", "for example"),
        rows,
        f"PDFs of docling, unstructured and markitdown of at most {_MOST_BYTES / 1e6:g} MB and three pages or more.",
    )
    asked = [Asked("boilerplate, recall", recall, 0.95), Asked("boilerplate, precision", precision, 0.98)]
    return {"recall": recall, "precision": precision, "made": made, "found": found}, real, [table, real_table], asked


def _paged(passages: Sequence[data.Passage]) -> Iterator[tuple[str, list[Block], set[int]]]:
    """Documents of 3 to 12 pages: text, blocks, and where the boilerplate begins."""
    rng = random.Random(2)
    for number in range(60):
        header, legal, counted = (rng.random() < 0.7 for _ in range(3))
        style = rng.choice(("{}", "Page {}", "- {} -"))
        sides = rng.random() < 0.3  # left pages have another header than right ones
        first, pages = rng.randint(1, 40), rng.randint(4 if not sides else 8, 12)
        text, blocks, wanted = "", [], set()
        for page in range(1, pages + 1):
            body = rng.sample(passages, rng.randint(1, 4))
            parts = (
                [(f"{body[0].title}, part {number}" if not sides or page % 2 else "The collected papers", True)]
                if header
                else []
            )
            parts += [(sentence, False) for one in body for sentence in one.text.split(". ")[: rng.randint(1, 6)]]
            parts += [("© Example Press. All rights reserved.", True)] if legal else []
            parts += [(style.format(first + page), True)] if counted else []
            if header and not sides:
                parts[0] = (f"Collected papers, part {number}", True)
            elif header and page % 2:
                parts[0] = (f"Part {number}: the town and the river", True)
            for part, repeated in parts:
                blocks.append(Block("text", len(text), len(text) + len(part), page))
                if repeated:
                    wanted.add(len(text))
                text += part + "\n\n"
        yield text, blocks, wanted


def _real(options: Options) -> Iterator[dict[str, Any]]:
    """What is found in real PDFs, the largest share first."""
    files = sorted(path for path in (data.folder() / "documents").rglob("*.pdf") if path.stat().st_size <= _MOST_BYTES)
    found: list[dict[str, Any]] = []
    pool = ParserPool(60, 2048, _MOST_BYTES)
    for file in files[:5] if options.quick else files:
        with suppress(Exception):  # the benchmark of the parsers counts what can't be read
            parsed = pool(file, file.name)
            pages = len({block.page for block in parsed.blocks})
            if pages < 3:
                continue
            blocks = find_boilerplate(parsed.text, parsed.blocks)
            share = sum(block.end - block.start for block in blocks) / max(1, len(parsed.text))
            texts = list(dict.fromkeys(" ".join(parsed.text[b.start : b.end].split())[:60] for b in blocks))
            found.append(
                {"file": file.name, "pages": pages, "blocks": len(blocks), "share": share, "texts": " / ".join(texts[:4])}
            )
    pool.close()
    yield from sorted(found, key=lambda one: (-one["share"], one["file"]))


# --- languages


def _languages() -> tuple[dict[str, Any], Table, list[Asked]]:
    """Sentences in many languages, whole and cut short: what each library says of them."""
    ways: dict[str, Callable[[str], str]] = {"ours (py3langid, with its doubts)": find_language, **_others()}
    rows: list[list[object]] = []
    figures: dict[str, Any] = {}
    for name, find in ways.items():
        find("A first sentence, so that the model is loaded.")
        for length in (*_LENGTHS, None):
            texts = [(language, _cut(text, length)) for language, some in SENTENCES.items() for text in some]
            began = time.perf_counter()
            said = [(language, find(text)) for language, text in texts]
            spent = (time.perf_counter() - began) / len(texts)
            right, named = sum(a == b for a, b in said), sum(bool(b) for _, b in said)
            figures.setdefault(name, {})[str(length or "whole")] = {
                "right": right / len(said),
                "of_those_named": right / max(1, named),
            }
            shown = f"first {length} characters" if length else "the whole sentence"
            rows.append([name, shown, right / len(said), right / max(1, named), spent * 1e6])
    table = Table(
        "Languages",
        ("library", "read", "right", "right where one is named", "µs each"),
        rows,
        f"{sum(map(len, SENTENCES.values()))} sentences of everyday rules in {len(SENTENCES)} languages, written for this.",
    )
    whole = figures[next(iter(ways))]["whole"]["right"]
    return figures, table, [Asked("language of a whole sentence", whole, 0.95)]


def _cut(text: str, length: int | None) -> str:
    return text if length is None or len(text) <= length else text[:length].rsplit(" ", 1)[0]


def _others() -> dict[str, Callable[[str], str]]:
    """Other libraries, where they are installed: none is needed."""
    found: dict[str, Callable[[str], str]] = {}
    with suppress(ImportError):
        lingua = importlib.import_module("lingua")
        detector = lingua.LanguageDetectorBuilder.from_all_languages().build()

        def by_lingua(text: str) -> str:
            language = detector.detect_language_of(text)
            return str(language.iso_code_639_1.name.lower()) if language else ""

        found["lingua"] = by_lingua
    with suppress(ImportError):
        langdetect = importlib.import_module("langdetect")
        langdetect.DetectorFactory.seed = 0

        def by_langdetect(text: str) -> str:
            try:
                return str(langdetect.detect(text)).partition("-")[0]
            except langdetect.LangDetectException:
                return ""

        found["langdetect"] = by_langdetect
    return found


# --- what folding does to retrieval


def _retrieval(options: Options) -> tuple[dict[str, Any], Table, list[Asked]]:
    """The same index without facts, and with them: nDCG and recall of its search, as it is and with the places of `also`."""
    embedder = load_embedder("minilm")
    rows: list[list[object]] = []
    figures: dict[str, Any] = {}
    asked = []
    for name, passages, questions, measure, k in _tasks(options):
        vectors = embed_questions([question.text for question in questions], embedder, f"curation-{name}")
        index_of(passages, f"curation-{name}", embedder=embedder).close()
        folder = FOLDER / "indexes" / f"curation-{name}"
        rankings: dict[str, dict[str, list[str]]] = {"without": {}, "with": {}, "with `also`": {}}
        with Index.open(folder, write=True, embedder=embedder) as index:
            for question, vector in zip(questions, vectors, strict=True):
                hits = index.search(question.text, k, vector=vector)
                rankings["without"][question.id] = by_best_chunk(_passage(hit.document.source) for hit in hits)
            curator = Curator()
            for info in index.documents():
                index.put_facts(
                    info.document_id, curator.facts(index.parsed(info.document_id), index.chunks_of(info.document_id))
                )
            for question, vector in zip(questions, vectors, strict=True):
                hits = index.search(question.text, k, vector=vector)
                rankings["with"][question.id] = by_best_chunk(_passage(hit.document.source) for hit in hits)
                rankings["with `also`"][question.id] = by_best_chunk(
                    _passage(source) for hit in hits for source in (hit.document.source, *(place.source for place in hit.also))
                )
            folded, chunks = index.curation.folded(), index.counts()[1]
        scores = {way: score(questions, found, (measure,))[measure] for way, found in rankings.items()}
        figures[name] = {"chunks": chunks, "folded": folded, "measure": measure, **scores}
        rows.append([name, chunks, folded, measure, *scores.values()])
        asked.append(Asked(f"{name}, {measure}: with curation less without", scores["with"] - scores["without"], -0.001))
    table = Table(
        "Search without and with folding",
        ("data", "chunks", "of them folded", "measure", "without", "with", "with the places of `also`"),
        rows,
        "Hybrid search of the same index. A passage folded under another counts as not found, unless `also` is counted.",
    )
    return figures, table, asked


def _tasks(options: Options) -> Iterator[tuple[str, Sequence[data.Passage], Sequence[data.Question], str, int]]:
    """Name, passages, questions, measure, and how many hits are asked for."""
    passages, questions = data.xquad()
    questions = questions[:: 40 if options.quick else 4]
    yield "xquad", passages, questions, "R@1", 20
    copies = [replace(one, id=f"{one.id}{_COPY}{n}") for n in range(_COPIES) for one in passages]
    yield f"xquad, {_COPIES} copies of each passage", copies, questions, "R@5", 5
    if options.quick:
        return
    passages, questions = data.first(*data.scifact(), 300)
    yield "scifact, 300 of 5,183", passages, questions, "nDCG@10", 20


def _passage(source: str) -> str:
    """The passage that a copy is of."""
    return source.partition(_COPY)[0]


# --- what it costs


def _cost(options: Options) -> tuple[dict[str, Any], Table]:
    """The same files taken in without and with curation, in turns, in one process with one embedder."""
    passages = data.xquad()[0][:: 12 if options.quick else 4]
    embedder = load_embedder("minilm")
    curator = Curator()
    curator.facts(document(passages[0]), [])  # loads what is loaded once
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as folder:
        data.write_files(passages, Path(folder) / "files")
        for turn in range(6):
            way = "with" if turn % 2 else "without"
            settings = IngestSettings(index=Path(folder) / f"index-{turn}")
            with open_pipeline(settings, embedder=embedder) as pipeline:
                if way == "without":
                    pipeline._curate = None
                began = time.process_time()
                chunks = pipeline.add([Path(folder) / "files"]).chunks
                seconds[way].append(time.process_time() - began)
        alone = min(_alone(passages, curator) for _ in range(3))
    best = {way: min(some) for way, some in seconds.items()}
    figures = {
        "chunks": chunks, "cpu_seconds": seconds, "ratio": best["with"] / best["without"], "facts_alone": alone / best["with"],
        "facts_alone_ms_a_chunk": 1000 * alone / chunks,
    }  # fmt: skip
    row: list[object] = [chunks, best["without"], best["with"], figures["ratio"], figures["facts_alone"]]
    table = Table(
        "Cost",
        ("chunks", "without, CPU s", "with, CPU s", "ratio", "finding the facts alone, share of that"),
        [row],
        "A quarter of XQuAD's paragraphs as text files to a published index: processor time of the process that embeds and "
        "writes, three runs each in turns, the least of each.",
    )
    return figures, table


def _alone(passages: Sequence[data.Passage], curator: Curator) -> float:
    """Processor seconds of finding all facts."""
    prepared = prepare(passages, HashEmbedder(), 200)
    began = time.process_time()
    for one in prepared:
        curator.body(one.document)
        curator.facts(one.document, one.chunks)
    return time.process_time() - began
