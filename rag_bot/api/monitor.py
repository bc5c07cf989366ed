"""How it goes in use, for `/metrics`: looked up in the background, so that nobody who asks for numbers waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from rag_bot.bot import Bot
    from rag_bot.eval.gaps import Gap
    from rag_bot.eval.monitor import Report

_log = logging.getLogger(__name__)
_SECONDS = 3600.0  # between two looks
_DAYS = 30
_MOST = 2_000  # questions; each is embedded at every look
_TOPICS = 10  # each is a label, and these must stay few
_NAME = 60  # characters


class Monitor(Collector):
    """Gauges of the last 30 days. `look` begins a look where the last one is an hour old; until it is done, the last holds.

    Without accounts anybody may read them who reaches the service. So subjects are those of the service's own conversations
    alone, which it shows as well: on a chat platform something may have been asked in private. With accounts every
    conversation is somebody's own, and there are no subjects.
    """

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._subjects = bot.settings.auth == "off"
        self._report: Report | None = None
        self._gaps: Sequence[Gap] = ()
        self._begun = -_SECONDS
        self._lock = threading.Lock()

    def look(self) -> threading.Thread | None:
        """Begin to look, in a thread; None where that is not due."""
        with self._lock:
            if time.monotonic() - self._begun < _SECONDS:
                return None
            self._begun = time.monotonic()
        thread = threading.Thread(target=self._look, name="monitor", daemon=True)
        thread.start()
        return thread

    def _look(self) -> None:
        from rag_bot.chat_state import history
        from rag_bot.eval.monitor import gaps_of, look

        try:
            since, memory = datetime.now(UTC) - timedelta(days=_DAYS), self._bot.memory
            if self._subjects:
                self._gaps = gaps_of(self._bot.index, memory.history(since, _MOST))
            self._report = look(self._bot.index, history(memory, since, _MOST))
        except Exception as error:  # the database may be away: the next look may do better
            if self._bot.ready() is None:  # (else the service is closing)
                _log.warning("What people ask could not be looked at: %s", error)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        report = self._report
        if report is None:
            return
        topics = GaugeMetricFamily(
            "rag_bot_gap_questions", "Questions of 30 days that no document answers, by subject.", labels=["topic"]
        )
        counts: dict[str, int] = {}
        for gap in [gap for gap in self._gaps if gap.count > 1][:_TOPICS]:
            counts[gap.name[:_NAME]] = counts.get(gap.name[:_NAME], 0) + gap.count
        for name, count in counts.items():
            topics.add_metric([name], count)
        yield topics
        yield GaugeMetricFamily(
            "rag_bot_unanswered_questions", "Questions of 30 days that could not be answered.", value=report.refused
        )
        thumbs = GaugeMetricFamily("rag_bot_thumbs", "Thumbs on answers of 30 days.", labels=["thumb"])
        thumbs.add_metric(["up"], report.up)
        thumbs.add_metric(["down"], report.down)
        yield thumbs
        stale = GaugeMetricFamily("rag_bot_stale_documents", "Documents that may mislead, by reason.", labels=["reason"])
        for kind in ("gone", "changed", "old", "disliked"):
            stale.add_metric([kind], sum(one.kind == kind for one in report.stale))
        yield stale
        if report.drift:
            near = GaugeMetricFamily(
                "rag_bot_question_nearness", "Mean best cosine of questions to the documents.", labels=["when"]
            )
            near.add_metric(["before"], report.drift.before)
            near.add_metric(["last_7_days"], report.drift.recent)
            yield near
