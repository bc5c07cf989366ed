"""The rails that need no LLM: each looks at a question or a sentence, and says whether it may pass."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from ingest.inspect import Finding, masked
from ingest.inspect.classifier import Judgement, classifier
from ingest.inspect.orders import judge_question
from ingest.inspect.personal import find_personal
from ingest.inspect.secrets import find_secrets
from rag_bot.budget import Budget
from rag_bot.errors import BadSetting
from rag_bot.rails.exits import ExitControl
from rag_bot.rails.harm import CATEGORIES, judge_harm
from rag_bot.rails.leaks import Leaks
from rag_bot.rails.masking import to_mask
from rag_bot.types import RailVerdict, Verdict

if TYPE_CHECKING:
    from ingest.embedder import Vectors

PersonalPolicy = Literal["allow", "mask", "refuse"]

# Prose packs to a third or more of its size; what packs to a fifteenth says the same over and over.
_LONG, _PACKED = 1_500, 1 / 15
_RUN = re.compile(r"(.)\1{399}", re.DOTALL)  # the same character in a row


@dataclass(slots=True)
class Subject:
    """A question or a sentence under check, what belongs to it, and what the rails have said of it so far.

    `vector` is the text's, if it is there. For a sentence, `question` is what it answers, `before` the answer's text so far,
    and `sources` are the quotes that it cites. A rail that masks leaves the masked text in `masked`. `messages` and
    `details` are by rail: words for the user, and for the operator.
    """

    on: Literal["question", "sentence"]
    text: str
    budget: Budget
    vector: Vectors | None = None
    question: str = ""
    before: str = ""
    sources: Sequence[str] = ()
    masked: str | None = None
    verdicts: list[RailVerdict] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)


LocalRail: TypeAlias = Callable[[Subject], Verdict]
RAILS: Mapping[str, Sequence[str]] = {
    "question": ("size", "injection", "harm", "personal data"),
    "sentence": ("links", "leaks", "harm", "personal data"),
}
"""The rails that look at each."""
PASS = Verdict(True)


def local_rails(
    *,
    question_personal: PersonalPolicy = "allow",
    answer_personal: PersonalPolicy = "allow",
    allowed_harm: Collection[str] = (),
    allowed_links: Collection[str] = (),
    prompts: Sequence[str] = (),
    canary: str = "",
    embedder: str = "",
) -> Mapping[str, LocalRail]:
    """The rails by name. `prompts` and the `canary` in them are what no answer may give away; `embedder` is the fingerprint of
    the one that makes the questions' vectors. Raises BadSetting for a category of harm that is not there."""
    for unknown in sorted(set(allowed_harm) - set(CATEGORIES)):
        raise BadSetting(f"There is no category of harm {unknown!r}.", f"There are: {', '.join(sorted(CATEGORIES))}.")
    leaks, fits = Leaks(prompts, canary), classifier().fits(embedder)  # another's vectors mean nothing to the classifier
    return {
        "size": _size,
        "injection": partial(_injection, leaks=leaks, fits=fits),
        "harm": partial(_harm, allowed=frozenset(allowed_harm), fits=fits),
        "personal data": partial(_personal_data, policies={"question": question_personal, "sentence": answer_personal}),
        "links": partial(_links, exits=ExitControl(allowed_links)),
        "leaks": partial(_leaks, leaks=leaks),
    }


def _size(subject: Subject) -> Verdict:
    data = subject.text.encode("utf-8", "replace")
    if (len(subject.text) >= _LONG and len(zlib.compress(data, 1)) < _PACKED * len(data)) or _RUN.search(subject.text):
        return _refused("size", "repetition", "This message repeats itself too often to be a question. Ask it shortly.")
    return PASS


def _injection(subject: Subject, leaks: Leaks, fits: bool) -> Verdict:
    judgement = judge_question(subject.text, subject.vector if fits else None)
    subject.details["injection"] = _detail(judgement)
    # What an LLM has rewritten is a question, too: it must not carry our prompts into it.
    if judgement.allowed and not leaks(subject.text, "", ()):
        return PASS
    message = "This message tries to change how I answer. Ask what you want to know from the documents."
    return _refused("injection", "prompt-injection", message)


def _harm(subject: Subject, allowed: Collection[str], fits: bool) -> Verdict:
    judgement = judge_harm(subject.text, subject.vector if fits else None, sentence=subject.on == "sentence")
    subject.details["harm"] = _detail(judgement)
    if judgement.allowed or judgement.category in allowed:
        return PASS
    about = CATEGORIES[judgement.category]
    message = f"I can't help with {about}. If you want to know what the documents say of it, ask for just that."
    return _refused("harm", f"harm/{judgement.category}", message)


def _personal_data(subject: Subject, policies: Mapping[str, PersonalPolicy]) -> Verdict:
    policy = policies[subject.on]
    if policy == "allow":
        return PASS
    found: list[Finding] = [*filter(to_mask, find_personal(subject.text)), *find_secrets(subject.text)]
    if not found:
        return PASS
    kinds = ",".join(sorted({finding.kind for finding in found}))
    subject.masked = masked(subject.text, found)
    subject.details["personal data"] = kinds
    if policy == "mask":
        return PASS
    message = "This holds personal data, which may not pass here. Leave it out and ask again."
    return _refused("personal data", f"personal-data/{kinds}", message)


def _links(subject: Subject, exits: ExitControl) -> Verdict:
    found = exits(subject.text, subject.before, subject.sources)
    if found is None:
        return PASS
    subject.details["links"] = found.reason
    return _refused("links", f"links/{found.kind}", "The answer held a link or markup that its sources don't have.")


def _leaks(subject: Subject, leaks: Leaks) -> Verdict:
    if leaks(subject.text, subject.before, subject.sources):
        return _refused("leaks", "instructions", "The answer gave away this service's own instructions.")
    if find_secrets(subject.text):
        return _refused("leaks", "secret", "The answer held a key or a password.")
    return PASS


def _detail(judgement: Judgement) -> str:
    return f"{judgement.score:.2f}" + (f" {judgement.reason}" if judgement.reason else "")


def _refused(rail: str, reason: str, message: str) -> Verdict:
    return Verdict(False, rail, reason, message)
