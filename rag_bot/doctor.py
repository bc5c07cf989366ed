"""`rag-bot doctor`: what is installed, which device, which index and settings; what is missing and what mends it."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from ingest.console import console, count, plain, safe
from ingest.errors import IndexMissing, IngestError
from rag_bot.errors import BotError
from rag_bot.settings import Settings

State = Literal["ok", "warn", "missing"]

_PROVIDER_SECONDS = 5
PACKAGES = (
    "torch",
    "sentence-transformers",
    "tantivy",
    "numpy",
    "pydantic",
    "pydantic-settings",
    "sqlalchemy",
    "fastapi",
    "uvicorn",
    "pypdfium2",
    "selectolax",
    "python-docx",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination; `fix` is the command or setting that mends what is not `ok`."""

    name: str
    state: State
    detail: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def examine(settings: Settings) -> list[Check]:
    """Every check, in the order in which things are needed."""
    steps: Sequence[Callable[[Settings], Iterator[Check]]] = (
        _python,
        _packages,
        _faiss,
        _embedder,
        _index,
        _readers,
        _sign_in,
        _state,
        _llm,
        _rails,
    )
    checks: list[Check] = []
    for step in steps:
        name = step.__name__.removeprefix("_")
        try:
            checks.extend(step(settings))
        except ModuleNotFoundError as error:
            checks.append(Check(name, "missing", f"the module {error.name} is not installed", "Install what is missing above."))
        except Exception as error:  # whatever is wrong with one part, the others are still looked at
            checks.append(Check(name, "missing", f"{type(error).__name__}: {error}"))
    return checks


def show(checks: Sequence[Check]) -> None:
    """The checks for a person, each with what mends it below."""
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "warn": "yellow", "missing": "bold red"}
    screen = console()
    table = Table.grid(padding=(0, 2))
    for check in checks:
        detail, fix = safe(check.detail), safe(check.fix)
        if screen.is_terminal:
            advice = ("\n→ " if fix else "", "cyan")
            table.add_row(Text(check.state, colours[check.state]), check.name, Text.assemble(detail, advice, fix))
        else:  # a line for each, whatever its length
            plain("\t".join([check.state, check.name, detail, fix]))
    if screen.is_terminal:
        screen.print(table)
    bad = sum(check.state == "missing" for check in checks)
    screen.print(Text(f"\n{count(bad, 'thing')} missing." if bad else "\nAll that is needed is there.", "bold"))


def _python(settings: Settings) -> Iterator[Check]:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info >= (3, 14):
        yield Check("python", "warn", found, "Not tested with this version; use Python 3.11, 3.12 or 3.13.")
    else:
        yield Check("python", "ok", found)


def _packages(settings: Settings) -> Iterator[Check]:
    found = {name: _version(name) for name in PACKAGES}
    there = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    missing = [name for name, number in found.items() if not number]
    if there:
        yield Check("packages", "ok", there)
    if missing:
        yield Check("packages", "missing", f"not installed: {', '.join(missing)}", f"pip install {' '.join(missing)}")


def _faiss(settings: Settings) -> Iterator[Check]:
    from ingest.vectors import device

    packages = {name: number for name in ("faiss-cpu", "faiss-gpu") if (number := _version(name))}
    try:
        where = device()
    except IngestError as error:
        yield Check("faiss", "missing", str(error), error.hint)
        return
    found = ", ".join(f"{name} {number}" for name, number in packages.items()) or "of unknown origin"
    if len(packages) > 1:
        yield Check(
            "faiss", "warn", f"{found}: both in one place", "pip uninstall faiss-cpu faiss-gpu, then install one of them"
        )
    elif where == "cpu" and shutil.which("nvidia-smi"):
        yield Check("faiss", "warn", f"{found}, on the CPU of a machine with an NVIDIA GPU", "pip install 'rag-bot[gpu]'")
    else:
        yield Check("faiss", "ok", f"{found}, on the {'GPU' if where == 'cuda' else 'CPU'}")


def _embedder(settings: Settings) -> Iterator[Check]:
    """The embedder of the index, where there is one; else the one that a new index would get."""
    from ingest.embedder import light_embedder
    from ingest.index import Index

    name = settings.embedder
    with suppress(IngestError), Index.open(settings.index, settings=settings, repair=False) as index:
        name = index.embedder_name
    os.environ["HF_HUB_OFFLINE"] = "1"  # the question is whether it loads without the network
    begun = time.perf_counter()
    try:
        embedder = light_embedder(name, settings.precision, settings.exports)
        embedder.embed_queries(["Is all well?"])
    except IngestError as error:
        yield Check("embedder", "missing", str(error), error.hint)
        return
    seconds = time.perf_counter() - begun
    detail = f"{embedder.name}, {embedder.dimension} dimensions, loads offline in {seconds:.1f} s"
    yield Check("embedder", "ok", detail)
    yield Check("device", "ok", _device(embedder.device))


def _index(settings: Settings) -> Iterator[Check]:
    from ingest.index import Index

    where = shlex.quote(str(settings.index))
    try:
        with Index.open(settings.index, settings=settings, repair=False) as index:
            (documents, chunks), embedder, faults = index.counts(), index.embedder_name, index.verify()
    except IndexMissing as error:
        yield Check("index", "missing", str(error), f"ingest add FOLDER --index {where}")
        return
    except IngestError as error:
        yield Check("index", "missing", str(error), error.hint)
        return
    size = f"{count(documents, 'document')}, {count(chunks, 'chunk')}"
    detail = f"{settings.index.absolute()}: {size}, embedder {embedder}"
    if faults:
        yield Check(
            "index", "missing", f"{detail}; {count(len(faults), 'fault')}: {faults[0]}", f"ingest rebuild --index {where}"
        )
    elif not documents:
        yield Check("index", "warn", f"{detail}: it is empty", f"ingest add FOLDER --index {where}")
    else:
        yield Check("index", "ok", f"{detail}, whole")


def _readers(settings: Settings) -> Iterator[Check]:
    """Whether the file of readers can be used, and hides no document by a label that it does not name."""
    if not settings.readers:
        return
    from ingest.index import Index
    from rag_bot.rules import Rules

    try:
        rules = Rules.read(settings.readers)
    except BotError as error:
        yield Check("readers", "missing", str(error), error.hint)
        return
    hidden: Counter[str] = Counter()
    try:
        with Index.open(settings.index, settings=settings, repair=False) as index:
            for info in index.documents():
                hidden.update(rules.unnamed(info))
    except IngestError:
        yield Check("readers", "ok", f"{settings.readers}; there is no index to hold it against")
        return
    if hidden:
        named = ", ".join(f"{label} ({count(n, 'document')})" for label, n in hidden.most_common(5))
        detail = f"{settings.readers} names no rule for labels that documents have, and so hides them from everybody: {named}"
        yield Check("readers", "warn", detail, f"Add the labels to the section [labels] of {settings.readers}.")
    else:
        yield Check("readers", "ok", f"{settings.readers}")


def _sign_in(settings: Settings) -> Iterator[Check]:
    """Whether the sign-in provider, where one is named, can be asked and is the one that it is taken for."""
    from rag_bot.accounts.provider import Provider

    try:
        provider = Provider.of(settings)
    except BotError as error:
        yield Check("sign-in", "missing", str(error), error.hint)
        return
    if provider is None:
        return
    try:
        with urllib.request.urlopen(provider.metadata_url, timeout=_PROVIDER_SECONDS) as answer:
            said = json.load(answer).get("issuer")
    except (OSError, ValueError, AttributeError) as error:
        fix = "Is RAG_BOT_OIDC_ISSUER the address below which it publishes that, and can it be reached from here?"
        yield Check("sign-in", "missing", f"{provider.metadata_url} can't be read: {error}", fix)
        return
    if provider.is_named(said):
        yield Check("sign-in", "ok", f"{provider.issuer}, as {provider.client_id}")
    else:
        yield Check(
            "sign-in", "missing", f"{provider.issuer} says that its issuer is {said!r}", f"Set RAG_BOT_OIDC_ISSUER={said}"
        )


def _state(settings: Settings) -> Iterator[Check]:
    """A database that exists is opened; one that is yet to be made is not made here."""
    from rag_bot.database import Database

    url = settings.state_url
    file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    if file and not file.exists():
        folder = next(parent for parent in file.absolute().parents if parent.exists())
        if os.access(folder, os.W_OK):
            yield Check("state", "ok", f"{file} will be made with the first conversation")
        else:
            yield Check(
                "state", "missing", f"{file} can't be made: {folder} can't be written to", "Set RAG_BOT_STATE to another place."
            )
        return
    if file and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        yield Check("state", "missing", f"{file} can't be written to", "Set RAG_BOT_STATE to another place.")
        return
    try:
        database = Database(url)
        database.revision()
        database.close()
    except BotError as error:
        yield Check("state", "missing", str(error), error.hint)
    else:
        yield Check("state", "ok", f"{file or 'the database of RAG_BOT_STATE'} can be written to")


def _llm(settings: Settings) -> Iterator[Check]:
    from rag_bot.llm.hosted import PROVIDERS
    from rag_bot.llm.load import load_llms
    from rag_bot.llm.spec import parse_llms

    if settings.answer == "quote" or not settings.llm:
        yield Check("llm", "ok", "none: answers are quotes, word for word")
        return
    try:
        llms = load_llms(settings.llm, settings)
    except BotError as error:
        yield Check("llm", "missing", str(error), error.hint)
        return
    for llm in llms:
        llm.close()
    does = "chooses what is quoted" if settings.answer == "quote-llm" else "writes, and the gate checks each sentence"
    yield Check("llm", "ok", f"{', then '.join(llm.name for llm in llms)} {does}")
    for spec in parse_llms(settings.llm):
        if provider := PROVIDERS.get(spec.provider):
            yield Check("privacy", "ok", f"{spec.name}: {provider.leaves}")


def _rails(settings: Settings) -> Iterator[Check]:
    from rag_bot.build import make_rails

    try:
        make_rails(settings)
    except BotError as error:
        yield Check("rails", "missing", str(error), error.hint)
    else:
        yield Check("rails", "ok", settings.rails)


def _device(name: str) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{name}, {count(cores, 'core')}" if name == "cpu" else name


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
