"""What a question does not need is not imported: a cold process answers soon."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.build import open_pipeline
from ingest.embedder import light_embedder
from ingest.settings import IngestSettings

# Each takes a tenth of a second or more to import, or belongs to ingestion, to the service or to hosted LLMs.
UNNEEDED = {
    "botocore",
    "docx",
    "fastapi",
    "fastembed",
    "langchain_core",
    "lxml",
    "matplotlib",
    "pandas",
    "pypdfium2",
    "scipy",
    "selectolax",
    "sentence_transformers",
    "sklearn",
    "slack_sdk",
    "spacy",
    "starlette",
    "torch",
    "transformers",
    "uvicorn",
}
SERVED = {"fastapi", "starlette", "uvicorn"}


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that the default embedder made."""
    folder = tmp_path_factory.mktemp("minilm")
    (folder / "leave.txt").write_text("Parental leave lasts sixteen weeks. Ask for parental leave in writing.")
    settings = IngestSettings(index=folder / "index")
    light_embedder("minilm", exports=settings.exports)  # which loads torch where it is made for the first time
    with open_pipeline(settings) as pipeline:
        pipeline.add([folder / "leave.txt"])
    return folder / "index"


def loaded_by(code: str, *arguments: str) -> tuple[str, set[str]]:
    """What a piece of code prints, and the packages that a fresh process has imported when it is through."""
    script = (
        "import contextlib, io, json, sys\n"
        f"with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):\n    {code}\n"
        "print(json.dumps([shown.getvalue(), sorted({name.partition('.')[0] for name in sys.modules})]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    shown, loaded = json.loads(done.stdout.splitlines()[-1])
    return shown, set(loaded)


def test_a_question_imports_only_what_it_needs(minilm: Path) -> None:
    code = "from rag_bot.cli import main; main(['ask', 'How long is parental leave?', '--json', '--index', sys.argv[1]])"
    shown, loaded = loaded_by(code, str(minilm))
    assert "sixteen weeks" in json.loads(shown)["answer"]
    assert {"onnxruntime", "nemoguardrails", "faiss", "tantivy"} <= loaded  # else this test looks at nothing
    assert loaded & UNNEEDED == set()


def test_the_service_imports_only_what_it_needs(minilm: Path) -> None:
    code = (
        "from rag_bot.api.app import create_app; from rag_bot.build import open_parts; from rag_bot.settings import Settings;"
        " from pathlib import Path; open_parts(Settings(index=Path(sys.argv[1])))"
    )
    _, loaded = loaded_by(code, str(minilm))
    assert loaded >= {"fastapi", "onnxruntime"}
    assert loaded & (UNNEEDED - SERVED) == set()


def test_a_search_imports_only_what_it_needs(minilm: Path) -> None:
    shown, loaded = loaded_by(
        "from ingest.cli import main; main(['search', 'parental leave', '--json', '--index', sys.argv[1]])", str(minilm)
    )
    assert json.loads(shown)[0]["title"]
    assert "onnxruntime" in loaded
    assert loaded & (UNNEEDED | {"nemoguardrails", "sqlalchemy"}) == set()
