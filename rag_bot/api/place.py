"""Whether the service can answer, and the disk that its index stands on, for `/metrics`: read when they are asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class Place(Collector):
    """`missing` says what stands in the way of an answer, or None. A disk that can't be looked at has no gauges."""

    def __init__(self, missing: Callable[[], str | None], folder: Path) -> None:
        self._missing, self._folder = missing, folder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        ready = self._missing() is None
        yield GaugeMetricFamily("rag_bot_ready", "1 when questions can be answered, else 0.", value=int(ready))
        try:
            disk = shutil.disk_usage(self._folder)
        except OSError:
            return
        yield GaugeMetricFamily("rag_bot_disk_bytes", "Size of the index folder's file system.", value=disk.total)
        yield GaugeMetricFamily("rag_bot_disk_free_bytes", "Bytes of it that are free to this user.", value=disk.free)
