"""The bench of the tick worker runs to its end on servers of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.tiny_runs import has_row, tiny_run

pytestmark = [pytest.mark.apache, pytest.mark.long]
LIMIT_S = 220


def test_a_tiny_run_measures_everything_and_writes_its_page(tmp_path: Path) -> None:
    tiny_run("ticks", tmp_path, LIMIT_S)
    lines, plot = (tmp_path / "ticks.md").read_text().splitlines(), (tmp_path / "ticks.svg").read_text()
    for row in (
        "evaluation alone, volatile",
        "naive loop, volatile",
        "bare consume loop, volatile",
        "worker, volatile",
        "burst 1",
        "echo, no database",
        "tick to readable intent",
    ):
        assert has_row(lines, row), row
        assert f">{row}, " in plot or row.startswith("bare"), row
