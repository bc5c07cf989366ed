"""What tokens cost: the table that ships, and the user's own before it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rag_bot.errors import BadSetting
from rag_bot.llm import prices as module
from rag_bot.llm.hosted import PROVIDERS
from rag_bot.llm.llm import Price
from rag_bot.llm.prices import Prices
from rag_bot.llm.spec import parse_llms
from rag_bot.types import Usage

SHIPPED = Path(module.__file__).with_name("prices.toml")


def price(prices: Prices, setting: str) -> Price | None:
    [spec] = parse_llms(setting)
    return prices.of(spec)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prices.toml"


def test_a_million_tokens_cost_what_the_table_says() -> None:
    known = price(Prices.load(None), "openai:gpt-5-mini?temperature=1")
    assert known is not None
    assert known(1_000_000, 500_000) == Usage(1_000_000, 500_000, 1.25)
    assert known(0, 0) == Usage()


def test_what_no_table_names_has_no_price() -> None:
    shipped = Prices.load(None)
    for setting in ("llama-cpp:/models/x.gguf", "openai:gpt-9", "openai:gpt-5-pro", "openai-compatible:http://h/v1#gpt-5"):
        assert price(shipped, setting) is None, setting


def test_the_users_file_goes_before_the_table(file: Path) -> None:
    file.write_text(
        '"openai:gpt-5*" = { prompt = 7, completion = 7 }\n'
        '"openai:gpt-5-mini*" = { prompt = 1, completion = 2.5 }\n'
        '"openai:gpt-5-mini-exact" = { prompt = 0, completion = 0 }\n'
        '["openai-compatible:org/model"]\nprompt = 0.1\ncompletion = 0.2\n'
    )
    prices = Prices.load(file)
    assert price(prices, "openai:gpt-5-mini") == price(prices, "openai:gpt-5-mini-2026-01-01") == Price(1, 2.5)
    assert price(prices, "openai:gpt-5-mini-exact") == Price(0, 0)
    assert price(prices, "openai:gpt-5") == Price(7, 7)
    assert price(prices, "openai-compatible:http://h/v1#org/model") == Price(0.1, 0.2)
    assert price(prices, "openai:gpt-4o") == price(Prices.load(None), "openai:gpt-4o") == Price(2.5, 10)


def test_the_table_names_providers_that_there_are_and_sane_prices() -> None:
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    assert {name.partition(":")[0] for name in table} <= PROVIDERS.keys()
    assert all(0 < row["prompt"] < row["completion"] < 200 for row in table.values())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('"openai:x" = { prompt = 1, completion = 2 }\n"openai:y" = 1 2', "line 2"),
        ('"openai:x" = 3', "'openai:x' something else"),
        ('"openai:x" = { prompt = 1 }', "'openai:x' something else"),
        ('"openai:x" = { prompt = 1, completion = 2, cached = 1 }', "'openai:x' something else"),
        ('"openai:x" = { prompt = -0.1, completion = 2 }', r"prompt price -0\.1"),
        ('"openai:x" = { prompt = 1, completion = "2" }', "completion price '2'"),
        ('"openai:x" = { prompt = 1, completion = true }', "completion price True"),
        ('"openai:x" = { prompt = nan, completion = 2 }', "prompt price nan"),
        ('"openai:x" = { prompt = inf, completion = 2 }', "prompt price inf"),
        ("openai.x = 1", "'openai' something else"),
        ("\x00", "line 1"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place_and_the_right_form(file: Path, content: str, says: str) -> None:
    file.write_text(content)
    with pytest.raises(BadSetting, match=says) as caught:
        Prices.load(file)
    assert str(file) in str(caught.value)
    assert "prompt = 0.25, completion = 2.00" in caught.value.hint


def test_a_table_that_is_not_there_or_no_text_is_refused(file: Path) -> None:
    with pytest.raises(BadSetting, match="No such file"):
        Prices.load(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSetting, match="not TOML"):
        Prices.load(file)


def test_a_home_folder_may_be_written_as_a_tilde(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('"openai:x" = { prompt = 1, completion = 2 }')
    monkeypatch.setenv("HOME", str(file.parent))
    assert price(Prices.load(Path("~/prices.toml")), "openai:x") == Price(1, 2)
