"""Everything that can go wrong in answering, as one tree; `ingest.errors` holds the tree of the index.

BotError
├── BadQuestion          the question is empty, too long or not text
├── Busy                 more questions at once than the service takes; try again later
├── NotFound             no such conversation, answer or document
├── BadSetting           a setting has a value that can't be used
├── BadAccount           a user, key or quota can't be so
├── BadDataset           a set of questions, or a run of one, can't be read or used
├── ExtraMissing         a part that comes with an extra of the package is not installed
├── LLMError             the LLM failed
│   ├── LLMUnavailable   it can't be reached or loaded
│   ├── LLMBusy          too many questions wait for it already
│   └── LLMTimeout       it took too long
└── StateError           the conversations' database can't be used

Each has a sentence for the user and a `hint` for the operator.
"""

from __future__ import annotations


class BotError(Exception):
    """The root: `str(error)` is a sentence for the user, `hint` the next thing to do (may be empty)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BadQuestion(BotError):
    """The question is empty, too long or not text."""


class Busy(BotError):
    """More questions at once than the service takes. `retry_after` is in seconds."""

    def __init__(self, message: str, hint: str = "", retry_after: int = 1) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class NotFound(BotError):
    """No such conversation, answer or document."""


class BadSetting(BotError):
    """A setting has a value that can't be used."""


class BadAccount(BotError):
    """A user, key or quota can't be so."""


class AccountConflict(BadAccount):
    """A user can't be so beside what there is: a name that is taken, a last admin."""


class BadDataset(BotError):
    """A set of questions, or a run of one, can't be read or used."""


class ExtraMissing(BotError):
    """A part that comes with an extra of the package is not installed."""


class LLMError(BotError):
    """The LLM failed."""


class LLMUnavailable(LLMError):
    """The LLM can't be reached or loaded."""


class LLMBusy(LLMError):
    """Too many questions wait for the LLM already; it is well."""


class LLMTimeout(LLMError):
    """The LLM took too long."""


class StateError(BotError):
    """The conversations' database can't be used."""
