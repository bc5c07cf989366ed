"""What the fault tests share: the command as a process of its own, also one that permissions hold for."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from tests import commands

REPOSITORY = Path(__file__).resolve().parents[2]
SOAK = os.environ.get("RAG_BOT_SOAK") == "1"

# Root may write anywhere; without these two capabilities (and those that could win them back) it is held by permission
# bits as everybody else. They must be dropped before the program starts.
_PLAIN = """
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
RESTRICTED = [sys.executable, "-c", _PLAIN]
"""Python as a user that file permissions hold for, whoever runs the tests."""


class Outcome(commands.Outcome):
    """What came of `ingest`."""

    @property
    def statuses(self) -> dict[str, str]:
        """File name to status."""
        return {Path(entry["source"]).name: entry["status"] for entry in self.json["documents"]}


def environment(**settings: str) -> dict[str, str]:
    """The hash embedder, and none of the settings that whoever runs the tests may have."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAG_BOT_")}
    return {**kept, "PYTHONPATH": path, "RAG_BOT_EMBEDDER": "hash", **settings}


def ingest(*arguments: object, cwd: Path, restricted: bool = False, **settings: str) -> Outcome:
    """Run `ingest …`."""
    command = [*(RESTRICTED if restricted else [sys.executable]), "-m", "ingest.cli", *map(str, arguments)]
    done = subprocess.run(
        command, check=False, cwd=cwd, env=environment(**settings), capture_output=True, text=True, errors="replace"
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def can_restrict() -> bool:
    """Whether this process can start a restricted one."""
    return os.geteuid() != 0 or ctypes.CDLL(None).prctl(23, 1, 0, 0, 0) == 1  # PR_CAPBSET_READ: root, and free to drop it
