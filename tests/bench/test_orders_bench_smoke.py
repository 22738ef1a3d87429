"""The bench of exits and orders runs to its end on a stack of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.relay.candidate import ROOT

pytestmark = pytest.mark.apache
LIMIT_S = 230


def test_a_tiny_run_measures_an_exit_from_its_tick_to_its_closure(tmp_path: Path) -> None:
    table = tmp_path / "orders.md"
    argv = [sys.executable, "-m", "bench.orders", "--smoke", "--only", "openings,burst,closes", "--output", str(table)]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert answer.returncode == 0, answer.stderr
    rows = table.read_text().splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        "POST /trades, 8 connections",
        "POST /trades, 16 connections",
        "10 exits of one tick, 2 accounts",
        "trade-fills",
    ]
