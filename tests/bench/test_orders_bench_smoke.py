"""The bench of exits and orders runs to its end on a stack of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.tiny_runs import has_row, tiny_run

pytestmark = [pytest.mark.apache, pytest.mark.long]
LIMIT_S = 240


def test_a_tiny_run_measures_every_part(tmp_path: Path) -> None:
    tiny_run("orders", tmp_path, LIMIT_S)
    lines = (tmp_path / "orders.md").read_text().splitlines()
    for row in (
        "POST /trades, 16 connections",
        "steady exits, 20/s",
        "means of their calls to the broker",
        "a bare chain of its steps, 20/s",
        "10 exits of one tick, 2 accounts",
        "steady exits, after the others ended, 20/s",
        "trade-fills",
        "idle, two minutes later",
    ):
        assert has_row(lines, row), row
    assert not any("not measured" in line for line in lines)
