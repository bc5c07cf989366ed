"""Settings to LLMs, and LLMs tried out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_bot.errors import BadSetting
from rag_bot.llm.check import Checked, check_setting
from rag_bot.llm.llm import Price
from rag_bot.llm.load import load_llms
from rag_bot.llm.prices import Prices
from rag_bot.llm.spec import parse_llms
from rag_bot.settings import Settings

Script = Callable[..., str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Writes a script and gives the setting that names it."""

    def write(name: str, **reply: object) -> str:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps([reply]))
        return f"scripted:{path}"

    return write


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(index=tmp_path / "index")


async def checked(setting: str, settings: Settings) -> Checked:
    [spec] = parse_llms(setting)
    return await check_setting(spec, settings, Prices.load(settings.prices))


def test_llms_are_loaded_in_order_with_their_prices(script: Script, settings: Settings, tmp_path: Path) -> None:
    one, two = script("one", say="1"), script("two", say="2")
    prices = tmp_path / "prices.toml"
    prices.write_text(f'"{two}" = {{ prompt = 1, completion = 2 }}')
    llms = load_llms(f"{one}, {two}, quote", settings.model_copy(update={"prices": prices}))
    assert [(llm.name, llm.price) for llm in llms] == [("one", None), ("two", Price(1, 2))]
    assert load_llms("", settings) == ()


@pytest.mark.parametrize("setting", ["marvin:40", "scripted:/no/such/file.json", "marvin"])
def test_what_can_not_be_loaded_is_said(script: Script, settings: Settings, setting: str) -> None:
    with pytest.raises(BadSetting) as caught:
        load_llms(f"{script('one', say='1')},{setting}", settings)
    assert caught.value.hint


def test_a_wrong_table_of_prices_is_said_before_anything_is_loaded(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="RAG_BOT_PRICES"):
        load_llms("marvin:40", settings.model_copy(update={"prices": tmp_path / "none.toml"}))


async def test_an_llm_that_answers_is_timed(script: Script, settings: Settings) -> None:
    found = await checked(script("counting", say="one two three four five", pause=0.01), settings)
    assert (found.ok, found.name, found.context, found.price, found.reason) == (True, "counting", 8192, None, "")
    assert found.first_token is not None and found.first_token > 0
    assert found.tokens_per_second is not None and 0 < found.tokens_per_second < 4 / 0.04


async def test_an_llm_that_says_one_word_has_no_speed(script: Script, settings: Settings) -> None:
    found = await checked(script("curt", say="one"), settings)
    assert found.ok and found.first_token is not None and found.tokens_per_second is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [({"fail": "The line is dead."}, "The line is dead."), ({"say": "one", "fail": "Cut."}, "Cut."), ({"say": ""}, "nothing")],
)
async def test_an_llm_that_fails_is_said_with_the_reason(
    script: Script, settings: Settings, reply: dict[str, str], reason: str
) -> None:
    found = await checked(script("ill", **reply), settings)
    assert not found.ok
    assert reason in found.reason
    assert (found.first_token, found.tokens_per_second) == (None, None)


async def test_an_llm_that_can_not_be_loaded_is_said_with_what_to_do(settings: Settings) -> None:
    found = await checked("marvin:40", settings)
    assert (found.ok, found.name) == (False, "40")
    assert "'marvin'" in found.reason and "llama-cpp" in found.hint
