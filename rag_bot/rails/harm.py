"""Requests for harm, and sentences that give it, by policy category: rules for what is plain, then the classifier."""

from __future__ import annotations

import re

from ingest.inspect.classifier import Classifier, Floats, Judgement, classifier
from ingest.inspect.normalise import views

CATEGORIES = {
    "child-safety": "harm to children",
    "crime": "a crime or fraud",
    "cyber-crime": "breaking into or damaging computers",
    "dangerous-acts": "a dangerous act",
    "drugs": "making, dealing or abusing drugs",
    "harassment": "harassment",
    "hate": "hatred of a group of people",
    "misinformation": "spreading falsehoods",
    "privacy": "spying on somebody",
    "self-harm": "suicide or self-harm",
    "sexual": "sexual content or abuse",
    "violence": "violence",
    "weapons": "weapons or explosives",
}
"""The policy's categories, and how a refusal names each."""

RELEASE = 0.995
"""The probability from which on a sentence is held back: what documents say of crimes and drugs reads like a request for them,
so a sentence has to look worse than a question."""

_TO = (
    r"(?:how (?:to|do i|can i|could i|would i|do you|would one)|ways? to|steps? to|instructions? (?:to|for)|teach|help me|"
    r"show me|guide|recipe|tutorial|want to|need to|plan to)\b[^.?!\n]{0,60}?\b"
)
_SOMEBODY = (
    r"(?:some(?:one|body)|a person|people|a (?:man|woman|child)|(?:my|his|her|your) (?:wife|husband|boss|neighbou?r|ex|"
    r"girlfriend|boyfriend|parents?|mother|father|colleague|teacher|roommate|partner|brother|sister))"
)
_RULES = tuple(
    (category, re.compile(pattern))
    for category, pattern in (
        (
            "weapons",
            _TO + r"(?:mak|build|assembl|construct|creat|prepar|produc|synthesi[sz])(?:e|ing)?\s(?:[\w'-]{1,30}\s){0,3}?"
            r"(?:(?<!bath )(?<!photo )bombs?\b(?! shelter)|explosive devices?|napalm|nerve gas|sarin|ricin|molotov)",
        ),
        (
            "drugs",
            _TO + r"(?:mak|cook|produc|synthesi[sz]|manufactur)(?:e|ing)?\s(?:[\w'-]{1,30}\s){0,2}?"
            r"(?:(?:crystal )?meth(?:amphetamine)?|fentanyl|heroin|crack cocaine|cocaine|mdma|lsd|ghb)\b",
        ),
        (
            "cyber-crime",
            r"\b(?:write|create|develop|build|code|program|make|design)\s(?:me\s)?(?:an?\s|some\s)?(?:[\w'-]{1,30}\s){0,2}?"
            r"(?:ransomware|keylogger|malware|computer virus|botnet|phishing (?:e-?mail|mail|message|page|site|website|scam))\b"
            r"(?! (?:scann|detect|remov|protect|aware|polic|train|report|test|filter|poster|guide|"
            r"for (?:a |our |the )?(?:train|aware|test|exercise)))",
        ),
        (
            "violence",
            _TO + r"(?:kill|murder|poison|strangle|stab|torture|kidnap|assassinate)(?:ing)?\s" + _SOMEBODY,
        ),
        (
            "self-harm",
            r"\b(?:kill(?:ing)? myself|hang(?:ing)? myself|end(?:ing)? my (?:own )?life|commit(?:ting)? suicide|"
            r"suicide methods?|(?:least painful|painless|easiest|quickest) way to die)\b",
        ),
        (
            "child-safety",
            r"\b(?:child porn\w*|sex(?:ual)? (?:with|content with|story about|pictures of|images of) (?:a |an )?"
            r"(?:child|children|minors?|(?:\w{1,20}-)?year-old|little girls?|little boys?|underage))",
        ),
    )
)


def judge_harm(text: str, vector: Floats | None = None, by: Classifier | None = None, *, sentence: bool = False) -> Judgement:
    """Whether a question asks for harm, or a `sentence` to be released gives it; the category is one of `CATEGORIES`.

    `vector` and `by` as in `judge_question`.
    """
    by = by or classifier()
    worst = 0.0
    for view in views(text):
        for category, pattern in _RULES if not sentence else ():
            if pattern.search(view.text.lower()):
                return Judgement(False, 0.95, category, _reason(category, view.how))
        scored = by.probability("harm", view.text, vector if view.how == "plain" else None)
        if scored.refused and (not sentence or scored.probability >= RELEASE):
            category = by.category(view.text)
            return Judgement(False, scored.probability, category, _reason(category, view.how))
        worst = max(worst, scored.probability)
    return Judgement(True, worst)


def _reason(category: str, how: str) -> str:
    about = f"is about {CATEGORIES[category]}"
    return about if how == "plain" else f"{about} (hidden as {how})"
