"""Some hundred requests made from the API's own description; `python -m benchmarks schema_cases` makes ten thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.schema_cases import cases


@pytest.mark.parametrize("accounts", [False, True], ids=["without accounts", "with accounts"])
def test_every_answer_keeps_to_the_description(tmp_path: Path, accounts: bool) -> None:
    found = cases(tmp_path, 3, accounts=accounts)
    assert found.failures == {}, found.report
    assert found.server_errors == 0
    assert found.routes >= 38
    assert found.made > 800
