"""The bench of the tick worker runs to its end on servers of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.ticks.place import ROOT

pytestmark = [pytest.mark.apache, pytest.mark.long]
LIMIT_S = 220


def test_a_tiny_run_measures_everything_and_writes_its_page(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bench.ticks", "--smoke", "--output", str(tmp_path)]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert answer.returncode == 0, answer.stderr
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
        assert any(line.startswith(f"| {row} |") for line in lines), row
        assert f">{row}, " in plot or row.startswith("bare"), row
