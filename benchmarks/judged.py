"""Samples that a person judges: written beside the results, with what was judged before kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def judged_by_hand(path: Path, rows: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
    """The rows with a field `judged`, written to `path`: what the file there had for the same row, or nothing.

    A row is the same when all its other fields are.
    """
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    known = {_key(row): row.get("judged", "") for row in before}
    judged = [{**row, "judged": known.get(_key(row), "")} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(judged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return judged


def _key(row: Mapping[str, object]) -> str:
    return json.dumps({name: value for name, value in row.items() if name != "judged"}, sort_keys=True)
