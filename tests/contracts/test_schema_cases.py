"""Some hundred requests made from the API's own description; `python -m benchmarks schema_cases` makes ten thousand."""

from __future__ import annotations

from pathlib import Path

from benchmarks.schema_cases import cases


def test_every_answer_keeps_to_the_description(tmp_path: Path) -> None:
    found = cases(tmp_path, 3, accounts=True)
    assert found.failures == {}, found.report
    assert found.server_errors == 0
    assert found.routes >= 38
    assert found.made > 800
