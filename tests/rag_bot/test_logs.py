"""The log as lines of JSON: what is in them, and what is not."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from rag_bot.errors import StateError
from rag_bot.logs import Json, set_up
from rag_bot.observe import TraceContext, begin


def formatted(record: logging.LogRecord) -> dict[str, Any]:
    text = Json().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def record_of(error: Exception | None = None, **more: object) -> logging.LogRecord:
    try:
        if error:
            raise error
        info = None
    except Exception:
        info = sys.exc_info()
    return logging.getLogger("some.logger").makeRecord(
        "some.logger", logging.WARNING, "file.py", 1, "%s of %d\nlines", ("one", 2), info, extra=more
    )


def test_a_line_says_when_what_and_where() -> None:
    line = formatted(record_of(status=503, odd={"a": object}))
    assert (line["level"], line["logger"], line["message"], line["status"]) == (
        "warning",
        "some.logger",
        "one of 2\nlines",
        503,
    )
    assert len(line["time"]) == len("2026-01-01T00:00:00.000Z")
    assert "exception" not in line
    assert not {"args", "msg", "pathname", "process", "thread"} & set(line)


def test_an_exception_of_others_is_told_without_its_words() -> None:
    told = formatted(record_of(ValueError("the question was: who is Ann?")))["exception"]
    assert told["type"] == "ValueError"
    assert told["stack"][0].endswith("record_of")
    assert "Ann" not in json.dumps(told)


def test_an_exception_of_ours_and_its_cause_are_told() -> None:
    error = StateError("The database is gone.", "Start it.")
    error.__cause__ = OSError(28, "No space left on device")
    told = formatted(record_of(error))["exception"]
    assert told["message"] == "The database is gone."
    assert told["cause"]["message"] == "[Errno 28] No space left on device"


@pytest.mark.parametrize("form", ["text", "json"])
def test_each_line_knows_its_trace(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        set_up(form)
        place = TraceContext.new()
        with begin("work", below=place).inside():
            logging.getLogger("rag_bot.access").info("GET / 200", extra={"status": 200})
            logging.getLogger("uvicorn.error").warning("careful")
        written = capsys.readouterr().err.splitlines()
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    if form == "text":
        assert written == ["WARNING uvicorn.error: careful"]
    else:
        assert [json.loads(line)["trace_id"] for line in written] == [place.trace_id] * 2
