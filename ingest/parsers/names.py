"""What a file's name tells: its suffix, and a title where the document has none."""

from __future__ import annotations

import re

from ingest.parsers.builder import clean


def suffix_of(name: str) -> str:
    """`.pdf` of `Report.PDF`; '' for a name without one, and for a hidden file's name."""
    match = re.search(r"[^/\\](\.[^./\\\s]{1,12})$", name)
    return match[1].lower() if match else ""


def title_of(name: str) -> str:
    """`leave policy 2024` of `docs/leave_policy-2024.md`."""
    base = re.split(r"[/\\]", name)[-1]
    suffix = suffix_of(base)
    stem = base[: len(base) - len(suffix)] if suffix else base
    return " ".join(re.sub(r"[_-]+", " ", clean(stem)).split()) or "untitled"
