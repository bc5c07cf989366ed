"""`rag-bot compare`: which settings are best for one's own documents, by quality, latency, cost and privacy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingest import console
from rag_bot.eval_cli import IndexOption, JsonOption, SetArgument, progress, show_table

Values = list[str]


def compare(
    questions: SetArgument,
    embedder: Annotated[Values | None, typer.Option(help="An embedder to try; repeat it for more.")] = None,
    chunk_tokens: Annotated[Values | None, typer.Option(help="A chunk size to try; repeat it.")] = None,
    llm: Annotated[Values | None, typer.Option(help="A value of RAG_BOT_LLM to try, or `quote` for none; repeat it.")] = None,
    more: Annotated[
        Values | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; repeat it to try several values.")
    ] = None,
    weights: Annotated[
        str, typer.Option(help="What matters: quality=6,latency=1,cost=1,memory=0.5,disk=0.5,privacy=2 where nothing is said.")
    ] = "",
    most: Annotated[int | None, typer.Option("--questions", min=1, help="Ask so many, spread over the set; else all.")] = None,
    texts: Annotated[
        int | None, typer.Option(min=1, help="Take about so many of the documents that the set brings; else all.")
    ] = None,
    hidden: Annotated[
        float, typer.Option(min=0, max=1, help="Ask this share once more with what answers it hidden: it should be refused.")
    ] = 0.0,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where indexes, runs and the report are kept.")
    ] = Path("eval/compare"),
    out: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", help="Where the recommended settings go; else rag-bot.toml in DIR."),
    ] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try settings on your questions and recommend some. Stopped, the same command goes on."""
    import json

    from ingest.index import Index
    from rag_bot.errors import BadDataset, BadSetting
    from rag_bot.eval import compare as story
    from rag_bot.eval import compare_report, datasets
    from rag_bot.eval.candidates import grid, weights_of
    from rag_bot.eval.files import replace_text
    from rag_bot.settings import Settings

    settings = console.load_settings(Settings, index=index)
    if out and out.exists():
        raise BadSetting(f"{out} is there already: it is not written over.", "Name another with --write, or move it away.")
    weighed = weights_of(weights)
    dataset = datasets.with_hidden(datasets.sample(datasets.load(questions), most, texts), hidden)
    dimensions = {"embedder": embedder, "chunk_tokens": chunk_tokens, "llm": llm, **_pairs(more or ())}
    named = {name: values for name, values in dimensions.items() if values}
    own = settings.embedder
    if not dataset.texts:
        with Index.open(settings.index, settings=settings) as opened:
            own = opened.embedder_name
            if not opened.counts()[0]:
                raise BadDataset(f"The index {settings.index} has no documents to ask.", "Fill it with: ingest add PATH")
    candidates = grid(settings, own, named)
    recut = bool({"embedder", "chunk_tokens"} & named.keys())
    with console.stoppable("Stopped. The same command goes on from here."), progress("Comparing") as bar:
        tried = story.compare(
            settings,
            dataset,
            candidates,
            folder,
            weights=weighed,
            recut=recut,
            tell=lambda doing, done, of: bar(done, of, doing),
        )
    data = compare_report.as_dict(tried, weighed)
    replace_text(folder / "compare.json", json.dumps(data, indent=1) + "\n")
    replace_text(folder / "compare.html", compare_report.html(dataset.name, tried, weighed, len(dataset.cases)))
    best = compare_report.recommended(tried)
    target = out or folder / "rag-bot.toml"
    if best:
        replace_text(target, story.settings_file(settings, best))
    if as_json:
        console.print_json({**data, "settings_file": str(target) if best else None})
    else:
        show_table(compare_report.HEAD, compare_report.rows(tried))
        for one in tried:
            if one.failed:
                console.complain(f"{one.candidate.name}: {one.failed}")
        if best:
            console.plain("")
            console.plain(console.safe(f"Recommended: {best.candidate.name}. Its settings: {target}"))
        console.plain(console.safe(f"The report, with what leaves the machine: {folder / 'compare.html'}"))
    raise typer.Exit(best is None)


def _pairs(given: Sequence[str]) -> dict[str, list[str]]:
    from rag_bot.errors import BadSetting

    found: dict[str, list[str]] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadSetting(f"{pair!r} is not written as NAME=VALUE.", "Write it like --set passages=4.")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found
