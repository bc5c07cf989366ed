"""What the rails make of one text, rail by rail, and what they make of many: behind `rag-bot rails`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ingest.build import make_inspector
from ingest.embedder import light_embedder
from ingest.inspect import Finding
from ingest.inspect.hidden import SURE
from ingest.parsers import parse
from rag_bot.budget import Budget
from rag_bot.build import make_rails
from rag_bot.errors import BadQuestion
from rag_bot.llm.load import load_llms
from rag_bot.types import Citation, Claim, RailVerdict

if TYPE_CHECKING:
    from rag_bot.settings import Settings

Kind = Literal["question", "document", "sentence"]
CASES = Path(__file__).parent / "rails" / "cases.jsonl"


@dataclass(frozen=True, slots=True)
class Explained:
    """What was said of a text. `text` is what goes on in its place, None where that is the text itself; `findings` are
    those in a document."""

    allowed: bool
    summary: str
    verdicts: tuple[RailVerdict, ...] = ()
    findings: tuple[Finding, ...] = ()
    text: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, details included."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Case:
    """A text, what it is, whether it is expected to pass, and what it is an example of."""

    text: str
    as_: Kind
    passes: bool
    kind: str
    sources: tuple[str, ...] = ()


class Explainer:
    """The rails of the settings, without an index: vectors come from the embedder that the settings name."""

    def __init__(self, settings: Settings) -> None:
        llms = load_llms(settings.rails_llm or settings.llm, settings) if settings.rails_self_check else ()
        self._embedder = light_embedder(settings.embedder, settings.precision, settings.exports)
        self._rails = make_rails(settings, llms, self._embedder.fingerprint)
        self._inspect = make_inspector(settings)

    async def explain(self, text: str, kind: Kind, sources: Sequence[str] = ()) -> Explained:
        """What each rail says of it. Raises DocumentError for a document that holds no text."""
        if kind == "document":
            inspected = self._inspect(parse(text.encode(), "text.txt"))
            ordered = any(finding.group == "order" and finding.score >= SURE for finding in inspected.findings)
            changed = inspected.text if inspected.text != text else None
            summary = _DOCUMENT[inspected.action]
            if ordered and inspected.action != "quarantine":
                summary += " Passages that give orders to a model are set aside when questions are answered."
            return Explained(inspected.action == "keep" and not ordered, summary, findings=inspected.findings, text=changed)
        budget = Budget()
        if kind == "question":
            [vector] = self._embedder.embed_queries([text])
            checked = await self._rails.check_question(text, vector, budget)
        else:
            cited = tuple(Citation(n, "", "", "", None, (), 0, len(quote), quote) for n, quote in enumerate(sources, 1))
            checked = await self._rails.check_sentence(Claim(text, cited, written=True), "", "", budget)
        verdict = checked.verdict
        summary = "It passes." if verdict.allowed else f"Refused by {verdict.rail} ({verdict.reason}): {verdict.message}"
        return Explained(verdict.allowed, summary, checked.verdicts, text=checked.text if checked.text != text else None)

    async def score(self, cases: Iterable[Case]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """A row for each kind of case, with the share that ended as expected; and the cases that did not."""
        rows: dict[tuple[str, bool], list[bool]] = {}
        wrong: list[dict[str, Any]] = []
        for case in cases:
            right = (await self.explain(case.text, case.as_, case.sources)).allowed is case.passes
            rows.setdefault((case.kind, case.passes), []).append(right)
            if not right:
                wrong.append({"kind": case.kind, "as": case.as_, "expect": _EXPECT[case.passes], "text": case.text})
        return [
            {"kind": kind, "expect": _EXPECT[passes], "texts": len(ends), "right": sum(ends), "share": sum(ends) / len(ends)}
            for (kind, passes), ends in rows.items()
        ], wrong


_EXPECT = {True: "pass", False: "refuse"}
_DOCUMENT = {
    "keep": "It is taken in as it is.",
    "mask": "It is taken in with what was found masked.",
    "quarantine": "It is put in quarantine.",
}


def read_cases(path: Path | None = None) -> list[Case]:
    """The cases of a file of JSON Lines, or those that come with the program. Raises BadQuestion, with the line's number."""
    path = path or CASES
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise BadQuestion(f"{path} can't be read: {error}.", "Give a file of JSON Lines.") from error
    cases = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            as_, expect = row.get("as", "question"), row["expect"]
            if as_ not in ("question", "document", "sentence") or expect not in ("pass", "refuse"):
                raise ValueError(f"as is {as_!r} and expect {expect!r}")
            sources = tuple(map(str, row.get("sources", ())))
            cases.append(Case(str(row["text"]), as_, expect == "pass", str(row.get("kind", as_)), sources))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise BadQuestion(
                f"Line {number} of {path} is no case: {error}.", 'Write {"text": …, "as": …, "expect": "pass" or "refuse"}.'
            ) from error
    return cases
