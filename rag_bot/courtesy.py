"""Greetings, thanks and goodbyes: what is said only to be polite is answered politely, without documents or proof."""

from __future__ import annotations

import re

_WHOM = r"(?:\s+(?:there|all|everyone|team|bot|assistant|again))?"
_REPLIES = (
    (
        re.compile(rf"(?:hi|hello|hey|howdy|greetings|good (?:morning|day|afternoon|evening)){_WHOM}", re.IGNORECASE),
        "Hello. Ask me something about the documents.",
    ),
    (
        re.compile(
            r"(?:(?:ok(?:ay)?|great|perfect|good|nice),?\s+)?(?:many thanks|thanks|thank you|thx|cheers)"
            rf"(?:\s+(?:a lot|so much|very much|for (?:your|the) help)){{0,2}}{_WHOM}",
            re.IGNORECASE,
        ),
        "You're welcome.",
    ),
    (re.compile(rf"(?:bye|goodbye|bye[ -]bye|see you(?: later| soon)?|good night){_WHOM}", re.IGNORECASE), "Goodbye."),
)
_LONGEST = 60  # characters; what says more than a courtesy is longer


def courtesy(said: str) -> str | None:
    """The reply to words that are nothing but a courtesy, else None."""
    words = " ".join(said.split()).strip(" .,!?;:-–…")
    if len(words) > _LONGEST:
        return None
    return next((reply for pattern, reply in _REPLIES if pattern.fullmatch(words)), None)
