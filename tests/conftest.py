"""What holds for all tests: exports of the embedder lie in the checkout, and are made once for all runs."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("RAG_BOT_EXPORTS", str(Path(__file__).resolve().parent.parent / ".cache" / "exports"))
