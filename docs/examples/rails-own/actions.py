"""One rail of our own: what one person earns is not for the bot to say."""

import re

from nemoguardrails.actions import action
from nemoguardrails.actions.rail_outcome import RailOutcome

ASKED = re.compile(r"\b(salary|salaries|earns?|paid)\b.*\b(of|by|does|is)\b|\bhow much does\b", re.IGNORECASE)


@action()
async def salaries(context: dict | None = None) -> RailOutcome:
    """Refuse a question for somebody's pay; `reason` is what programs see."""
    question = (context or {}).get("user_message") or ""
    return RailOutcome.block(reason="salaries") if ASKED.search(question) else RailOutcome.allow()
