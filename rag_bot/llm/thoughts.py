"""What a reasoning model thinks aloud (`<think>…</think>` before its answer) is taken out of the stream."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


class Thoughts:
    """Fed with the pieces of a reply, gives back those of the answer; a tag may be torn over pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._begun = False  # the answer has begun: a tag in it is text

    def feed(self, piece: str) -> str:
        """The part of the answer that is certain now."""
        if self._begun:
            return piece
        self._held += piece
        if not self._thinking:
            start = self._held.lstrip()
            if not start or (_OPEN.startswith(start) and start != _OPEN):
                return ""
            if not start.startswith(_OPEN):
                return self._answer(self._held)
            self._thinking = True
        _, closed, rest = self._held.partition(_CLOSE)
        if not closed:
            self._held = self._held[-len(_CLOSE) :] if len(self._held) > 4 * len(_CLOSE) else self._held
            return ""
        self._thinking, self._held = False, rest
        return self.feed("")

    def end(self) -> str:
        """What was held back in vain: the beginning of a tag that never came. Thoughts that never ended stay unsaid."""
        return "" if self._thinking or self._begun else self._answer(self._held)

    def _answer(self, text: str) -> str:
        self._begun, self._held = True, ""
        return text
