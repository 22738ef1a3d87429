"""The bench of relays runs to its end on servers of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.relay.results import load
from tests.bench.tiny_runs import tiny_run

pytestmark = [pytest.mark.apache, pytest.mark.long]
LIMIT_S = 200


def test_a_tiny_run_measures_everything_and_writes_its_page(tmp_path: Path) -> None:
    only = ["ceiling-before", "exitflow"]
    tiny_run("relay", tmp_path, LIMIT_S, "--only", ",".join(only))

    measured = load(tmp_path / "relay.json").measured
    assert list(measured) == only
    for one in measured.values():
        assert one.errors == []
        assert [(drain.lost, drain.duplicates, drain.foreign) for drain in one.drain] == [(0, 0, 0)]
    ours = measured["exitflow"]
    assert [drain.disorder for drain in [*ours.drain, *ours.held]] == [0, 0]
    assert [latency.missing for latency in [*ours.steady_latency, *ours.half_latency]] == [0, 0]
    assert "exitflow" in (tmp_path / "relay.md").read_text()
    assert (tmp_path / "relay.svg").read_text().startswith("<svg")
