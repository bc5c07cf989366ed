"""The whole bot against a real peer: llama-cpp-python's OpenAI server with a tiny model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from rag_bot.settings import Settings
from tests.rag_bot.support import LEAVE, assert_exact, running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server listens, which is run as its own page says."""
    from rag_bot.llm.llama_cpp import demo_model

    model = demo_model()
    if model is None or find_spec("llama_cpp") is None:
        pytest.skip("needs the extra `demo-llm`")
    if find_spec("sse_starlette") is None or find_spec("starlette_context") is None:
        pytest.skip("needs llama-cpp-python[server]")
    pytest.importorskip("langchain_openai", reason="needs the extra `openai`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--model_alias", "smollm2"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_ctx", "4096"]
    # Its settings are read from variables as well, and `make` exports a PORT.
    environment = {name: value for name, value in os.environ.items() if name not in ("HOST", "PORT", "MODEL")}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        url = f"http://127.0.0.1:{port}/v1"
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # it may be in the midst of a long prompt
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            with urlopen(f"{url}/models", timeout=5):
                return
        except (URLError, OSError):
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.mark.parametrize("answer", ["generate", "quote-llm"])
async def test_a_question_to_the_whole_bot_ends_in_a_whole_answer(home: Settings, address: str, answer: str) -> None:
    """What so small a model says is its own affair: each sentence that leaves is proved, or quotes take its place.

    The second of these runs in an event loop of its own, where the connections of the first are dead.
    """
    settings = home.model_copy(
        update={
            "llm": f"openai-compatible:{address}?context=4096#smollm2",
            "answer": answer,
            "llm_tokens": 32,
            "passages": 3,
            "llm_first_seconds": 60.0,
        }
    )
    async with running(settings) as bot:
        found = await bot.answer(LEAVE)
        assert_exact(bot.index, found)
    assert found.usage.prompt_tokens > 0, found.notes
    assert found.model in ("smollm2", "quote")
    if found.sentences:
        assert all(sentence.supported and sentence.citations for sentence in found.sentences)
    else:
        assert found.abstained and found.answer
