"""The log of the rails: one line of JSON a check, with the verdicts and nothing of the text."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rag_bot.errors import BadSetting
from rag_bot.types import RailVerdict

_log = logging.getLogger("rag_bot.rails")
_BYTES, _FILES = 10 * 1024 * 1024, 3


def note(verdicts: Sequence[RailVerdict]) -> None:
    """Write down what the rails said of one text."""
    if verdicts and _log.isEnabledFor(logging.INFO):
        _log.info("%s", json.dumps([{name: value for name, value in asdict(v).items() if value != ""} for v in verdicts]))


def log_to(path: Path) -> None:
    """From now on the lines go into a file, too, which is turned over at 10 MB, three times. Raises BadSetting."""
    path = path.expanduser().absolute()
    if any(isinstance(handler, RotatingFileHandler) and handler.baseFilename == str(path) for handler in _log.handlers):
        return
    try:
        handler = RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_FILES, encoding="utf-8")
    except OSError as error:
        raise BadSetting(
            f"RAG_BOT_RAILS_LOG is {path}, which can't be written: {error.strerror}.", "Name another file."
        ) from error
    formatter = logging.Formatter('{"at": "%(asctime)s.%(msecs)03dZ", "rails": %(message)s}', "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
