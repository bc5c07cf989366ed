"""Peak memory of a run over folders of two sizes, and over one huge document: what is prepared ahead is bounded in bytes."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.children import run_child
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table

_MIB = 1024 * 1024
_FILE = 40_000  # characters
_SMALL, _TIMES = 300, 3  # files of the small folder, and how many times as many the large one has
_HUGE = 8  # MiB of text in one file


def run(options: Options) -> dict[str, Any]:
    """The hash embedder stands for a model: what a model's weights take up is the same whatever the folder."""
    small = _SMALL // 20 if options.quick else _SMALL
    huge = 1 if options.quick else _HUGE
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sizes = {"none": 0, "small": small, "large": small * _TIMES}
        for name, files in sizes.items():
            _write(root / name, files, _FILE)
        _write(root / "huge", 1, huge * _MIB)
        figures = {name: run_child("memory", root / name, root / f"{name}-index") for name in (*sizes, "huge")}
    return _result(figures, sizes, huge).as_dict()


def _write(folder: Path, files: int, size: int) -> None:
    """Files of made-up sentences, `size` characters each; one small file beside them, so that all is loaded in each run."""
    folder.mkdir()
    (folder / "first.txt").write_text("A first note.", encoding="utf-8")
    chance = random.Random(7)
    words = [f"{chance.choice('bdfgklmnprst')}{chance.choice('aeiou')}{n:x}" for n in range(5_000)]
    for n in range(files):
        with (folder / f"{n:05}.txt").open("w", encoding="utf-8") as file:
            while file.tell() < size:
                sentences = (" ".join(chance.choices(words, k=50)) + "." for _ in range(6))
                file.write(" ".join(sentences) + "\n\n")


def _result(runs: dict[str, dict[str, Any]], sizes: dict[str, int], huge: int) -> Result:
    base = runs["none"]["filling_mib"]
    above = {name: run["filling_mib"] - base for name, run in runs.items()}
    ratio = above["large"] / above["small"]
    names = {
        "none": "nothing but one short note",
        "small": f"{sizes['small']:,} files, {sizes['small'] * _FILE / _MIB:.0f} MiB",
        "large": f"{sizes['large']:,} files, {sizes['large'] * _FILE / _MIB:.0f} MiB",
        "huge": f"one file of {huge} MiB",
    }
    rows = [
        [words, runs[name]["chunks"], runs[name]["filling_mib"], above[name], runs[name]["published_mib"]]
        for name, words in names.items()
    ]
    table = Table(
        "Peak resident memory of the process, MiB",
        ("folder", "chunks", "while it is filled", "above the first line", "with publishing"),
        rows,
        "Without the parsers' children, which have a limit of their own. Up to 100,000 chunks the vector index goes to the "
        "disk batch by batch; above that it is compressed, and built in memory.",
    )
    published = {name: run["published_mib"] - runs["none"]["published_mib"] for name, run in runs.items()}
    with_publishing = published["large"] / published["small"]
    figures = {
        "runs": runs,
        "above_base_mib": above,
        "times_the_files": _TIMES,
        "ratio": ratio,
        "ratio_with_publishing": with_publishing,
    }
    asked = [
        Asked(f"growth of the peak with {_TIMES} times the files", ratio, at_most=1.25),
        Asked("the same with publishing", with_publishing, at_most=1.25),
    ]
    return Result(figures, [table], asked)
