"""`python -m benchmarks NAME… [--quick] [--out FOLDER]`: run benchmarks, keep their results, print their tables."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.registry import BENCHMARKS, RESULTS, Options, chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is named; `report` writes the page of all results instead."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:14} {benchmark.what}" for name, benchmark in BENCHMARKS.items()),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a benchmark below, `all` (the default), or `report`")
    parser.add_argument("--quick", action="store_true", help="a small part of the data: shows that it runs, not how well")
    parser.add_argument(
        "--random-vectors", action="store_true", help="spare the embedding of passages where only time is measured (latency)"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results (default: benchmarks/results)")
    parsed = parser.parse_args(arguments)
    if parsed.names == ["report"]:
        page = parsed.out.resolve().parent / "RESULTS.md"
        page.write_text(results.page(parsed.out), encoding="utf-8")
        print(f"Written: {page}")
        return 0
    try:
        names = chosen(parsed.names)
    except ValueError as error:
        parser.error(str(error))
    for name in names:
        _run(name, Options(parsed.quick, parsed.random_vectors, parsed.out))
    return 0


def _run(name: str, options: Options) -> None:
    print(f"\n## {name}: {BENCHMARKS[name].what}\n", flush=True)
    began = time.perf_counter()
    figures = BENCHMARKS[name].load()(options)
    result = results.save(name, figures, options.out, quick=options.quick, seconds=time.perf_counter() - began)
    for table in results.tables(result):
        print(results.markdown(table), end="\n\n", flush=True)
    print(f"Written: {options.out / name}.json")


if __name__ == "__main__":
    sys.exit(main())
