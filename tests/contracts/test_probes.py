"""Some hundred looks at another tenant's documents; `python -m benchmarks probes` takes ten thousand, and times them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.probes import probe, same_words, world


def test_nothing_of_another_tenants_is_told(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        found, counts = probe(made, 300)
        assert found == []
        assert len(counts) >= 16
        assert same_words(made) == []
