"""The setting RAG_BOT_LLM, read."""

from __future__ import annotations

import pytest

from rag_bot.errors import BadSetting
from rag_bot.llm.spec import LLMSpec, parse_llms


@pytest.mark.parametrize(
    ("setting", "specs"),
    [
        ("", []),
        (" , ", []),
        ("quote", []),
        ("openai:gpt-5-mini", [LLMSpec("openai", "gpt-5-mini")]),
        (" OpenAI: gpt-5-mini , quote", [LLMSpec("openai", "gpt-5-mini")]),
        ("llama-cpp:/models/x.gguf", [LLMSpec("llama-cpp", "/models/x.gguf")]),
        (
            "llama-cpp:/m/x.gguf?n_ctx=4096&lora=/m/a+b.gguf",
            [LLMSpec("llama-cpp", "/m/x.gguf", "", {"n_ctx": "4096", "lora": "/m/a+b.gguf"})],
        ),
        ("llama-cpp:/a%2C b/x.gguf", [LLMSpec("llama-cpp", "/a, b/x.gguf")]),
        (
            "openai-compatible:http://host:8000/v1/?context=4096#org/model",
            [LLMSpec("openai-compatible", "org/model", "http://host:8000/v1", {"context": "4096"})],
        ),
        ("openai-compatible: https://host/v1", [LLMSpec("openai-compatible", "", "https://host/v1")]),
        ("bedrock:us.amazon.nova-lite-v1:0", [LLMSpec("bedrock", "us.amazon.nova-lite-v1:0")]),
        ("openai:a?temperature=&x=1%262", [LLMSpec("openai", "a", "", {"temperature": "", "x": "1&2"})]),
        ("openai:a,llama-cpp:b,quote", [LLMSpec("openai", "a"), LLMSpec("llama-cpp", "b")]),
    ],
)
def test_a_setting_names_llms_in_order(setting: str, specs: list[LLMSpec]) -> None:
    assert list(parse_llms(setting)) == specs


@pytest.mark.parametrize("setting", ["gpt-5", ":x", "openai:", "openai: ", "quote,openai:a", "openai:a,,b"])
def test_what_names_no_llm_is_refused_with_the_right_form(setting: str) -> None:
    with pytest.raises(BadSetting, match="not written as provider:model") as caught:
        parse_llms(setting)
    assert "openai:gpt-5-mini" in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("llama-cpp:/models/SmolLM2-135M.Q8_0.gguf", "SmolLM2-135M.Q8_0"),
        ("llama-cpp:qwen2.5-1.5b", "qwen2.5-1.5b"),
        ("llama-cpp:/models/X.GGUF", "X"),
        ("scripted:some/replies.json", "replies"),
        ("openai-compatible:http://host/v1#org/model.gguf", "org/model.gguf"),
        ("openai-compatible:http://host/v1", "openai-compatible"),
        ("llama-cpp:/", "llama-cpp"),
    ],
)
def test_users_see_the_models_name_and_not_where_it_stands(setting: str, name: str) -> None:
    [spec] = parse_llms(setting)
    assert spec.name == name
