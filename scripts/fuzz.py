"""Coverage-guided fuzzing of the parsers: `python -m scripts.fuzz [KIND…] [--seconds N]`, one target for each line of the table
of formats. Whatever is not a document or a DocumentError, hangs or ends the process is reported; exit 1 then.

Each target runs in a process of its own. Inputs that broke something stay in `.cache/fuzz/KIND/`; to run one again:
`python -m scripts.fuzz KIND --again FILE`. More seeds: RAG_BOT_BENCH_DATA, a folder with `documents` in it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ingest.errors import DocumentError
from ingest.parsers import parse
from ingest.parsers.containers import unpack
from ingest.parsers.formats import BY_KIND, FORMATS

ROOT = Path(__file__).resolve().parent.parent
SLOWEST = 25  # seconds for one input
MEMORY_MB = 2048
LARGEST = 200_000  # bytes of an input
_MOST_SEEDS = 60
_LAST = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+)", re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the targets that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fuzz", description="Fuzz the parsers.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(BY_KIND)}; all if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--again", type=Path, metavar="FILE", help="run this one input")
    parser.add_argument("--target", action="store_true", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if wrong := [kind for kind in parsed.kinds if kind not in BY_KIND]:
        parser.error(f"there is no format {wrong[0]!r}; there are: {', '.join(BY_KIND)}")
    if parsed.again:
        for kind in parsed.kinds:
            run_one(kind, parsed.again.read_bytes())
        return 0
    if parsed.target:
        _target(parsed.kinds[0], parsed.seconds)
    try:
        import atheris  # noqa: F401
    except ImportError:
        print(
            "`make fuzz` needs the package atheris (extra `fuzz`), which has wheels for Linux on x86-64 only.", file=sys.stderr
        )
        return 2
    outcomes = [_run(kind, parsed.seconds) for kind in parsed.kinds or [form.kind for form in FORMATS]]
    return int(not all(outcomes))


def run_one(kind: str, data: bytes) -> None:
    """One input as a file of this kind; raises where the promises of parsers are not kept."""
    form = BY_KIND[kind]
    name = f"file{next((suffix for suffix in form.suffixes if suffix), '')}"
    try:
        parsed = parse(data, name)
    except DocumentError:
        pass
    else:
        reached = 0
        for block in parsed.blocks:
            assert reached <= block.start < block.end <= len(parsed.text), f"{block} does not stand in the text"
            reached = block.end
        parsed.text.encode()
        parsed.title.encode()
    if form.holds:
        with contextlib.suppress(DocumentError):
            unpack(data, name, 0, 1_000, 50_000_000, 10_000_000)


def seeds(kind: str) -> list[bytes]:
    """Files of this kind to begin with: the sample handbook's, and those of the benchmarks' documents."""
    suffixes = BY_KIND[kind].suffixes
    folders = [ROOT / "samples"]
    if os.environ.get("RAG_BOT_BENCH_DATA"):
        folders.append(Path(os.environ["RAG_BOT_BENCH_DATA"], "documents"))
    paths = [
        path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes and path.is_file()
    ]
    small = sorted((path for path in paths if path.stat().st_size <= LARGEST), key=lambda path: path.stat().st_size)
    return [path.read_bytes() for path in small[:_MOST_SEEDS]]


def _run(kind: str, seconds: int) -> bool:
    """One target in a process of its own; says what came of it in a line."""
    kept = ROOT / ".cache" / "fuzz" / kind
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds(kind)):
            Path(corpus, str(number)).write_bytes(data)
        command = [sys.executable, "-m", "scripts.fuzz", kind, "--target", "--seconds", str(seconds)]
        environment = {**os.environ, "FUZZ_CORPUS": corpus, "FUZZ_KEPT": f"{kept}/"}
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds + 120,
                check=False,
            )
            code, output = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as error:
            code, output = -1, str(error)
    last = _LAST.findall(output)
    figures = f"{int(last[-1][0]):,} inputs, coverage {last[-1][1]}" if last else "no input was run"
    if code == 0 and last:
        print(f"{kind:10} well: {figures}", flush=True)
        return True
    (kept / "log.txt").write_text(output, encoding="utf-8")
    reason = next((line for line in output.splitlines() if "Error" in line or "ERROR" in line), "it ended by itself")
    print(f"{kind:10} BROKEN after {figures}: {reason.strip()[:200]}; see {kept}/log.txt", flush=True)
    return False


def _target(kind: str, seconds: int) -> None:
    """The target itself: hands over to the fuzzer and never comes back."""
    import atheris

    with atheris.instrument_imports(include=["ingest.parsers"]):
        for name in [name for name in sys.modules if name.startswith("ingest.parsers")]:
            del sys.modules[name]
        fuzz = importlib.import_module("scripts.fuzz")  # anew, with what it imports: this module is `__main__`
        importlib.import_module(f"ingest.parsers.{BY_KIND[kind].parser.partition(':')[0]}")
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LARGEST}",
        f"-artifact_prefix={os.environ['FUZZ_KEPT']}",
    ]
    atheris.Setup([sys.argv[0], *options, os.environ["FUZZ_CORPUS"]], lambda data: fuzz.run_one(kind, data))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
