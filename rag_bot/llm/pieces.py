"""The bytes of tokens, as they come, to text: nothing torn, and nothing past the text where a reply is to stop."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Text:
    """The bytes of tokens as text that may be shown: whole characters, and nothing that may begin a stop text."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = stop
        self._held = ""
        self.stopped = False

    def feed(self, piece: bytes) -> str:
        """The text that is certain now."""
        self._held += self._decoder.decode(piece)
        ends = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if ends:
            self.stopped = True
            return self._take(min(ends))
        begun = (n for stop in self._stop for n in range(1, len(stop)) if self._held.endswith(stop[:n]))
        return self._take(len(self._held) - max(begun, default=0))

    def end(self) -> str:
        """What was held back in vain. Nothing follows a stop text, and half a character at the end stays unsaid."""
        return "" if self.stopped else self._held

    def _take(self, length: int) -> str:
        ready, self._held = self._held[:length], self._held[length:]
        return ready
