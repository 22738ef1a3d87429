"""The bench of exits and orders runs to its end on a stack of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.ticks.place import ROOT

pytestmark = [pytest.mark.apache, pytest.mark.long]
LIMIT_S = 240


def test_a_tiny_run_measures_every_part(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bench.orders", "--smoke", "--output", str(tmp_path)]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert answer.returncode == 0, answer.stderr
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
        assert any(line.startswith(f"| {row} |") for line in lines), row
    assert not any("not measured" in line for line in lines)
