"""Where the files of a deployment stand, and the programs that look at them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def program(name: str, where: str) -> str:
    """The path of a program of this environment or the system; without it the test is skipped, and `where` says what to do."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: {where}")
    return found


def run(command: Sequence[str | Path], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; never raises for its exit code."""
    return subprocess.run([str(word) for word in command], cwd=cwd, check=False, capture_output=True, text=True, timeout=120)
