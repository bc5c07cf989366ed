"""What tokens cost: a table that ships with the package, and the user's own before it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rag_bot.errors import BadSetting
from rag_bot.llm.llm import Price
from rag_bot.llm.spec import LLMSpec

_SHIPPED = Path(__file__).with_name("prices.toml")
_FORM = 'Write each line like "openai:gpt-5-mini" = { prompt = 0.25, completion = 2.00 }, in US dollars for a million tokens.'


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by the name of a setting, such as `openai:gpt-5-mini`, in tables of which the first that names it holds.

    A name that ends in `*` stands for all that begin so; a longer one goes before a shorter, a whole one before all.
    """

    tables: Sequence[Mapping[str, Price]]

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """The shipped table, with the user's file before it. Raises BadSetting."""
        return cls([_read(each) for each in (path, _SHIPPED) if each is not None])

    def of(self, spec: LLMSpec) -> Price | None:
        """The price of an LLM; None where no table names it, as for one that runs here."""
        name = f"{spec.provider}:{spec.model}"
        for table in self.tables:
            if name in table:
                return table[name]
            fitting = [key for key in table if key.endswith("*") and name.startswith(key[:-1])]
            if fitting:
                return table[max(fitting, key=len)]
        return None


def _read(path: Path) -> dict[str, Price]:
    try:
        rows = tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(
            f"The prices {path} of RAG_BOT_PRICES can't be read: {error.strerror}.", "Name a TOML file, or leave it out."
        ) from error
    except ValueError as error:  # TOML's and Unicode's errors are ValueErrors
        raise BadSetting(f"The prices {path} of RAG_BOT_PRICES are not TOML: {error}.", _FORM) from error
    return {name: _price(path, name, row) for name, row in rows.items()}


def _price(path: Path, name: str, row: object) -> Price:
    wrong = f"The prices {path} of RAG_BOT_PRICES have for {name!r}"
    if not isinstance(row, dict) or row.keys() != {"prompt", "completion"}:
        raise BadSetting(f"{wrong} something else than a price for `prompt` and one for `completion`.", _FORM)
    for kind, price in row.items():
        if isinstance(price, bool) or not isinstance(price, int | float) or not math.isfinite(price) or price < 0:
            raise BadSetting(f"{wrong} the {kind} price {price!r}, which is no number from 0 up.", _FORM)
    return Price(row["prompt"], row["completion"])
