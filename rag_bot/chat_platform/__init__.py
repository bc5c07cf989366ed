"""What every chat platform needs of the bot: questions taken once, threads in order, answers in pieces, feedback.

`Desk` works questions off. A platform brings a `Platform`: who sees an answer, and a `Reply` that shows one.
"""

from rag_bot.chat_platform.desk import Desk
from rag_bot.chat_platform.types import Platform, Question, Reply, Shown, Unreachable

__all__ = ["Desk", "Platform", "Question", "Reply", "Shown", "Unreachable"]
