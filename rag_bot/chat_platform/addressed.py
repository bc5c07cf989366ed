"""Whether a message in a thread is meant for the bot, though it does not name it: people also talk to each other."""

from __future__ import annotations

import re

from rag_bot.chat_state import Thread
from rag_bot.courtesy import courtesy
from rag_bot.rewrite import leans

BOT = "bot"
"""The speaker under which a thread remembers the bot."""
_ASKS = re.compile(
    r"(?:and|but|so|then|ok(?:ay)?|also|please)?[ ,]*"
    r"(?:who|whom|whose|what|when|where|which|why|how|is|are|was|were|do|does|did|can|could|may|must|should|would|will|"
    r"tell me|show me|give me|list|explain|find|compare|summari[sz]e)\b",
    re.IGNORECASE,
)
_MARKS = ("?", "？", "؟", "⸮")
_ENDINGS = ("か", "か。")
_LONGEST = 100  # characters of a follow-up that needs no question mark ("and for contractors")


def asks(text: str) -> bool:
    """Whether words look like a question, or go on with one."""
    text = " ".join(text.split())
    if not text or courtesy(text):
        return False
    if any(mark in text for mark in _MARKS) or text.endswith(_ENDINGS):
        return True
    return bool(_ASKS.match(text)) or (
        len(text) <= _LONGEST and text.lower().startswith(("and ", "what about")) and leans(text)
    )


def for_bot(thread: Thread, ts: str, speaker: str, text: str, *, names_others: bool) -> bool:
    """Whether the bot is meant by a message that does not name it, in a thread that it takes part in.

    It is when the words ask something, name nobody else, and follow on what the bot said, or on what the same person
    asked it. Between two people the bot is silent, and so it is to what was said before it was called in. `names_others`:
    somebody else is mentioned.
    """
    if names_others or ts < thread.since or not asks(text):
        return False
    if not thread.last_ts or thread.last_speaker == BOT or thread.last_ts >= ts:
        return True
    return thread.last_speaker == speaker and thread.last_to_bot
