"""What an answer may take of LLMs, in seconds, and what it has taken, in tokens and money."""

from __future__ import annotations

import time

from rag_bot.types import Usage


class Budget:
    """Seconds that each LLM may take to its first sentence, and all of them to the end of the answer.

    `by_model` is what each LLM has taken, by its name.
    """

    def __init__(self, first: float = 3600.0, whole: float = 3600.0) -> None:
        self._first, self._end = first, time.monotonic() + whole
        self._first_end: float | None = None
        self.by_model: dict[str, Usage] = {}
        self.begin()

    def begin(self) -> None:
        """An LLM begins: its first sentence is waited for."""
        self._first_end = time.monotonic() + self._first

    def arrived(self) -> None:
        """Its first sentence is there: from now on only the whole counts."""
        self._first_end = None

    def left(self) -> float:
        """Seconds until patience ends; not below 0."""
        end = self._end if self._first_end is None else min(self._first_end, self._end)
        return max(0.0, end - time.monotonic())

    def within(self, seconds: float) -> Budget:
        """A part of this budget: at most `seconds`; what it spends, it spends here, too (see `spend`)."""
        return _Part(self, seconds)

    def spend(self, model: str, usage: Usage) -> None:
        """An LLM has taken this."""
        self.by_model[model] = self.by_model.get(model, Usage()) + usage

    @property
    def spent(self) -> Usage:
        """What all LLMs have taken."""
        return sum(self.by_model.values(), Usage())


class _Part(Budget):
    def __init__(self, whole: Budget, seconds: float) -> None:
        super().__init__(seconds, min(seconds, max(0.0, whole._end - time.monotonic())))
        self._whole = whole

    def spend(self, model: str, usage: Usage) -> None:
        super().spend(model, usage)
        self._whole.spend(model, usage)
