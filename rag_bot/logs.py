"""What a service writes to stderr: lines for people, or a JSON object a line for programs, without what is asked or said."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Literal

from ingest.errors import IngestError
from rag_bot import observe
from rag_bot.errors import BotError

ACCESS = "rag_bot.access"
"""The logger of requests: method, route, status, milliseconds."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def set_up(form: Literal["text", "json"]) -> None:
    """Have this process's log written in a form. As text, requests are left out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_with_trace)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # a lost database is told once for each question already
    logging.getLogger(ACCESS).setLevel(logging.INFO if form == "json" else logging.WARNING)


class Json(logging.Formatter):
    """A line of JSON: time (RFC 3339, UTC), level, logger, message, the trace, and what the call gave as `extra`.

    Of an exception there are the kinds and the places in the code. Its words are there where they are ours or the system's:
    those of others may hold a text that somebody wrote.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN and not name.startswith("_")}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _told(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def _told(error: BaseException) -> dict[str, object]:
    told: dict[str, object] = {
        "type": type(error).__name__,
        "stack": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)],
    }
    if isinstance(error, (BotError, IngestError, OSError)):
        told["message"] = str(error)
    if error.__cause__ is not None:
        told["cause"] = _told(error.__cause__)
    return told


def _with_trace(record: logging.LogRecord) -> bool:
    place = observe.current()
    if place is not None and not hasattr(record, "trace_id"):
        record.trace_id, record.span_id = place.trace_id, place.span_id
    return True
