"""Some hundred requests of one tenant for what is another's; `python -m benchmarks probes` makes and times ten thousand."""

from __future__ import annotations

from pathlib import Path

from benchmarks.probes import probe, scored, services


def test_nothing_of_another_tenant_shows_on_any_route(tmp_path: Path) -> None:
    with services(tmp_path, copies=1, fill=20) as (whole, bare, words):
        found = probe(whole, bare, words, 300)
        assert found.shown == []
        assert found.differ == []
        assert found.compared > 250
        assert found.owner_sees == sum(bool(one.shown) for one in whole.foreign) == 12
        # A word that others' documents hold counts as one that stands nowhere.
        scores = scored(whole, words)
        assert all(each.low <= 0.5 <= each.high for name, each in scores.items() if name.startswith("keyword search")), scores
        assert not (whole.log.read_text() + bare.log.read_text()).count("Traceback")
