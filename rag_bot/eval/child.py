"""One candidate's run in a process of its own, so that its memory is its own: `python -m rag_bot.eval.child` reads the work as
JSON on standard input, and prints a line of JSON for each question done."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ingest.errors import IngestError
from rag_bot.errors import BotError
from rag_bot.eval.exam import examine
from rag_bot.eval.files import read
from rag_bot.eval.store import RunFolder
from rag_bot.eval.types import Dataset
from rag_bot.settings import Settings


def main() -> int:
    work = json.load(sys.stdin)
    dataset = Dataset(work["name"], read(Path(work["cases"])))
    folder = RunFolder(Path(work["folder"]))
    try:
        examine(
            Settings(**work["settings"]),
            dataset,
            lambda info: folder,
            beyond=work["beyond"],
            tell=lambda done, of, record: print(json.dumps({"done": done, "of": of}), flush=True),
        )
    except (BotError, IngestError) as error:
        print(json.dumps({"error": str(error), "hint": error.hint}), flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
