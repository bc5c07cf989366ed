"""Personal data found in texts that have it labelled, by kind; what ordinary text sets off; and what a look costs."""

from __future__ import annotations

import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers
from stdnum import iban, luhn
from stdnum.us import ssn

from benchmarks import data
from benchmarks.judged import judged_by_hand
from benchmarks.metrics import percentile
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.errors import DependencyMissing
from ingest.inspect import Finding
from ingest.inspect.names import find_names
from ingest.inspect.personal import find_personal
from ingest.inspect.secrets import find_secrets
from ingest.sentences import split

BY_FORM = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "national_id",
    "IP_ADDRESS": "ip",
    "US_DRIVER_LICENSE": "driver_licence",
}
"""The data's labels that a form, a checksum or a word nearby can tell, and our kinds."""

BY_MODEL = {"PERSON": "person", "STREET_ADDRESS": "address", "GPE": "place"}
"""The labels that take a model (the extra `names`). The other labels (organisation, date, title, age, postal code, domain,
nationality) are no kind of ours."""

_SAMPLE = 50
_SECRETS = 30
_CHUNK = 1000  # characters


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, and its labels: (label, start, end)."""

    text: str
    labels: Sequence[tuple[str, int, int]]


def run(options: Options) -> dict[str, Any]:
    """Precision and recall by kind, false alarms on passages, milliseconds."""
    texts = labelled()
    passages = ordinary()
    if options.quick:
        texts, passages = texts[::5], passages[::20]
    find_personal(texts[0].text)  # loads the libraries
    by_form = [(one, find_personal(one.text)) for one in texts]
    by_model = _with_names(by_form)
    figures: dict[str, Any] = {
        "texts": len(texts),
        "by_form": _kinds(by_form, BY_FORM),
        "all_labels": _kinds(by_model or by_form, {**BY_FORM, **BY_MODEL}),
        "names_installed": by_model is not None,
        "unlabelled": dict(
            Counter(label for one in texts for label, _, _ in one.labels if label not in {**BY_FORM, **BY_MODEL})
        ),
        "other_findings": _others(by_form),
    }
    found = [(passage, one) for passage in passages for one in (*find_personal(passage.text), *find_secrets(passage.text))]
    alarms = Counter((one.group, one.kind) for _, one in found)
    figures["passages"] = len(passages)
    figures["per_1000_passages"] = {f"{g}: {k}": 1000 * n / len(passages) for (g, k), n in sorted(alarms.items())}
    figures["ms"] = _costs(passages[:: max(1, len(passages) // 2000)], texts)
    samples = {
        group: judged_by_hand(options.out / f"personal_data_{group}.json", _sample(found, group, count))
        for group, count in (("personal", _SAMPLE), ("secret", _SECRETS))
    }
    return _result(figures, samples).as_dict()


def labelled() -> list[Labelled]:
    """The data set `pii`."""
    rows = json.loads((data.folder() / "pii" / "presidio_synth_500.json").read_text(encoding="utf-8"))
    spans = (("entity_type", "start_position", "end_position"), "spans")
    return [Labelled(row["full_text"], [tuple(span[key] for key in spans[0]) for span in row[spans[1]]]) for row in rows]


def ordinary() -> list[data.Passage]:
    """Passages that nobody wrote to test a detector: Wikipedia (clapnq, xquad) and a cloud's manual (cloud)."""
    return [*data.mtrag("clapnq", "lastturn")[0], *data.mtrag("cloud", "lastturn")[0], *data.xquad()[0]]


Found = Sequence[tuple[Labelled, Sequence[Finding]]]


def _with_names(found: Found) -> Found | None:
    """The findings with names and addresses among them; None without the extra."""
    try:
        return [(one, [*findings, *find_names(one.text)]) for one, findings in found]
    except DependencyMissing:
        return None


def _kinds(found: Found, kinds: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """By label: how many, what share was found (some of it, exactly, under any kind), and precision of our kind."""
    rows: dict[str, dict[str, object]] = {}
    for label, kind in kinds.items():
        labels = [(one, findings, start, end) for one, findings in found for name, start, end in one.labels if name == label]
        ours = [(one, f) for one, findings in found for f in findings if f.kind == kind]
        right = sum(
            any(name == label and start < f.end and f.start < end for name, start, end in one.labels) for one, f in ours
        )
        same = [[f for f in findings if f.kind == kind] for _, findings, _, _ in labels]
        spans = [(start, end) for _, _, start, end in labels]
        some = [any(f.start < e and s < f.end for f in mine) for mine, (s, e) in zip(same, spans, strict=True)]
        exact = [any((f.start, f.end) == span for f in mine) for mine, span in zip(same, spans, strict=True)]
        under_any = [any(f.start < e and s < f.end for f in findings) for _, findings, s, e in labels]
        holds = [_holds(label, one.text[start:end]) for one, _, start, end in labels]
        rows[label] = {
            "kind": kind,
            "labelled": len(labels),
            "found": len(ours),
            "precision": _share(right, len(ours)),
            "recall": _share(sum(some), len(labels)),
            "recall_exact": _share(sum(exact), len(labels)),
            "recall_any_kind": _share(sum(under_any), len(labels)),
            "holding": None if None in holds else sum(map(bool, holds)),
            "recall_holding": _share(sum(s for s, h in zip(some, holds, strict=True) if h), sum(map(bool, holds))),
        }
    return rows


def _holds(label: str, value: str) -> bool | None:
    """Whether a value is one that can be: its checksum holds, or a country gives the number out. None: there is no telling."""
    if label == "CREDIT_CARD":
        return bool(luhn.is_valid(value))
    if label == "IBAN_CODE":
        return bool(iban.is_valid(value))
    if label == "US_SSN":
        return bool(ssn.is_valid(value))
    if label == "PHONE_NUMBER":
        return any(map(_given_out(value), phonenumbers.SUPPORTED_REGIONS))
    return None


def _given_out(value: str) -> Callable[[str], bool]:
    def there(region: str) -> bool:
        try:
            return bool(phonenumbers.is_valid_number(phonenumbers.parse(value, region)))
        except phonenumbers.NumberParseException:
            return False

    return there


def _others(found: Found) -> dict[str, int]:
    """Findings by form that overlap no label of their kind, by kind and by the label that they do overlap."""
    mapped = {kind: label for label, kind in BY_FORM.items()}
    counts: Counter[str] = Counter()
    for one, findings in found:
        for f in findings:
            over = [label for label, start, end in one.labels if start < f.end and f.start < end]
            if mapped.get(f.kind) not in over:
                counts[f"{f.kind} on {over[0] if over else 'nothing labelled'}"] += 1
    return dict(counts)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _costs(passages: Sequence[data.Passage], texts: Sequence[Labelled]) -> dict[str, dict[str, float]]:
    """Milliseconds of processor time of both detectors together, by what is looked at."""
    chunks = [(passage.text * 9)[:_CHUNK] for passage in passages if len(passage.text) > _CHUNK // 9]
    sentences = [passage.text[start:end] for passage in passages for start, end in split(passage.text)]
    figures = {}
    for name, looked in (
        ("a sentence", sentences),
        (f"a chunk of {_CHUNK:,} characters", chunks),
        ("a text with labelled data", [one.text for one in texts]),
    ):
        times = list(_times(looked))
        figures[name] = {
            "n": len(times),
            "mean": sum(times) / max(1, len(times)),
            "p50": percentile(times, 50),
            "p99": percentile(times, 99),
        }
    return figures


def _times(texts: Sequence[str]) -> Iterator[float]:
    for text in texts:
        began = time.thread_time_ns()
        find_personal(text)
        find_secrets(text)
        yield (time.thread_time_ns() - began) / 1e6


def _sample(found: Sequence[tuple[data.Passage, Finding]], group: str, count: int) -> list[dict[str, object]]:
    """Findings drawn by chance, and the same again; of what was found only the shape is kept."""
    some = [(passage, one) for passage, one in found if one.group == group]
    some.sort(key=lambda each: zlib.crc32(f"{each[0].id} {each[1].start}".encode()))
    return [
        {"passage": p.id, "start": f.start, "kind": f.kind, "score": f.score, "shape": _shape(p.text[f.start : f.end])}
        for p, f in some[:count]
    ]


def _shape(value: str) -> str:
    return "".join("0" if c.isdigit() else "a" if c.isalpha() else c for c in value[:60])


def _result(figures: dict[str, Any], samples: Mapping[str, Sequence[dict[str, Any]]]) -> Result:
    columns = (
        "label",
        "kind",
        "labelled",
        "found",
        "precision",
        "recall",
        "recall, exact",
        "recall, any kind",
        "hold",
        "recall of these",
    )
    tables = [
        Table("What forms, checksums and words nearby can know", columns, _rows(figures["by_form"]), _FORM_NOTE),
        Table("All labels that have a kind", columns, _rows(figures["all_labels"]), _names_note(figures)),
        Table(
            "Findings on ordinary passages",
            ("kind", "per 1,000 passages"),
            list(figures["per_1000_passages"].items()),
            f"{figures['passages']:,} passages: Wikipedia (clapnq, xquad) and a cloud's manual, which shows made-up addresses, "
            "numbers and passwords. Most findings are such examples.",
        ),
        Table(
            "Milliseconds of processor time, personal data and secrets together",
            ("of", "n", "mean", "p50", "p99"),
            [[name, *ms.values()] for name, ms in figures["ms"].items()],
        ),
    ]
    judged = {}
    for group, rows in samples.items():
        known = [row for row in rows if row["judged"]]
        right = sum(str(row["judged"]).startswith("right") for row in known)
        judged[group] = {"judged": len(known), "right": right}
        tables.append(
            Table(
                f"A sample of the findings on ordinary passages: {group}",
                ("passage", "at", "kind", "shape", "judged by hand"),
                [[row["passage"], row["start"], row["kind"], row["shape"], row["judged"]] for row in rows],
                f"{right} of {len(known)} are what their kind says. Of what was found, its shape alone is shown.",
            )
        )
    costs = list(figures["ms"].values())
    asked = [
        Asked("milliseconds a sentence, mean", costs[0]["mean"], at_most=1),
        Asked("milliseconds a chunk of 1,000 characters, mean", costs[1]["mean"], at_most=5),
    ]
    return Result({**figures, "samples": judged}, tables, asked)


_FORM_NOTE = (
    "Recall: some of the labelled span is found under our kind; exact: that span and no other; any kind: under whichever. "
    "“Hold” counts labelled values whose checksum holds, or that some country gives out as a phone number. The data is made "
    "from templates that were read while the words beside a number were chosen: on other texts recall of phone numbers without "
    "a country code will be lower."
)


def _names_note(figures: Mapping[str, Any]) -> str:
    other = ", ".join(f"{label} ({count})" for label, count in sorted(figures["unlabelled"].items()))
    names = "Names by the extra `names`." if figures["names_installed"] else "The extra `names` was not installed."
    return f"{names} Labels without a kind: {other}. Findings by form off their label: {figures['other_findings']}."


def _rows(kinds: Mapping[str, Mapping[str, object]]) -> list[list[object]]:
    return [[label, *("" if value is None else value for value in row.values())] for label, row in kinds.items()]
