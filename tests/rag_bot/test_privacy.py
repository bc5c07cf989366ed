"""What leaves the machine: said exactly, of every provider, and of nothing that stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_bot.llm.hosted import PROVIDERS
from rag_bot.llm.spec import parse_llms
from rag_bot.privacy import _ELSEWHERE, OTHERS, OWN_ACCOUNT, level, outflows, receiver
from rag_bot.settings import Settings


def flows_of(**given: object) -> list[tuple[str, str, int]]:
    return [(flow.setting.split(" ")[0], flow.to, flow.level) for flow in outflows(Settings(**given))]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (name for names in _ELSEWHERE.values() for name in names):
        monkeypatch.delenv(name, raising=False)


def test_nothing_leaves_by_default() -> None:
    assert outflows(Settings()) == [] and level(outflows(Settings())) == 0


def test_every_provider_is_sorted_and_named_as_in_the_providers_table() -> None:
    assert set(PROVIDERS) == OWN_ACCOUNT | OTHERS and not OWN_ACCOUNT & OTHERS
    for name, provider in PROVIDERS.items():
        [spec] = parse_llms(f"{name}:some-model")
        to, far = receiver(spec)
        assert to and provider.leaves.endswith(f", to {to}")
        assert far == (1 if name in OWN_ACCOUNT else 2)


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_hosted_llm_gets_the_question_the_passages_and_the_turns(name: str) -> None:
    first, rewriting = outflows(Settings(llm=f"{name}:some-model", passages=5))
    assert "the question, up to 5 passages with titles and headings, and earlier turns" in first.what
    assert rewriting.setting == "RAG_BOT_REWRITE_SECONDS" and "last turns" in rewriting.what
    assert first.to == rewriting.to and first.level == rewriting.level > 0


@pytest.mark.parametrize(
    "llm", ["llama-cpp:smollm2", "scripted:x.json", "openai-compatible:http://127.0.0.1:8080/v1#m", "openai:m?base_url=http://[::1]/v1",
            "nvidia:m?base_url=http://localhost:8000/v1"]
)  # fmt: skip
def test_what_runs_here_stays_here(llm: str) -> None:
    assert flows_of(llm=llm, judge=llm) == []


def test_an_address_goes_before_the_provider_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flows_of(llm="openai:m?base_url=https://llm.firm.example/v1", rewrite_seconds=0) == [
        ("RAG_BOT_LLM", "llm.firm.example", 1)
    ]
    assert flows_of(llm="openai-compatible:http://10.0.0.7:8000/v1#m", rewrite_seconds=0) == [("RAG_BOT_LLM", "10.0.0.7", 1)]
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    assert flows_of(llm="openai:m", rewrite_seconds=0) == [("RAG_BOT_LLM", "proxy.example", 1)]
    assert flows_of(llm="anthropic:m", rewrite_seconds=0) == [("RAG_BOT_LLM", "api.anthropic.com", 2)]


def test_a_judge_and_a_second_llm() -> None:
    found = flows_of(llm="llama-cpp:x,openai:m", judge="anthropic:m")
    assert found == [("RAG_BOT_LLM", "api.openai.com", 2), ("RAG_BOT_JUDGE", "api.anthropic.com", 2)]
    [second, _] = outflows(Settings(llm="llama-cpp:x,openai:m", judge="anthropic:m"))
    assert second.when == "each question on which the LLMs before it failed"


def test_an_llm_that_is_never_asked_gets_nothing() -> None:
    assert flows_of(llm="openai:m", answer="quote", judge="openai:m") == []
    assert flows_of(judge="openai:m") == []  # nothing is written, so nothing is judged
    chosen, _ = outflows(Settings(llm="openai:m", answer="quote-llm"))
    assert "sentences of the passages" in chosen.what


def test_an_embedder_of_the_hub_tells_its_name_and_nothing_else(tmp_path: Path) -> None:
    [flow] = outflows(Settings(embedder="some/model"))
    assert (flow.to, flow.level) == ("huggingface.co", 0) and "neither questions nor documents" in flow.what
    assert outflows(Settings(embedder=str(tmp_path))) == []


def test_a_database_elsewhere_gets_conversations_and_no_password_is_shown() -> None:
    flows = outflows(Settings(state="postgresql+psycopg://me:hunter2@db.firm.example/bot"))
    assert [(flow.setting, flow.to, flow.level) for flow in flows] == [("RAG_BOT_STATE", "db.firm.example", 1)]
    assert "hunter2" not in repr(flows)
    assert flows_of(state="postgresql://me@localhost/bot") == []
