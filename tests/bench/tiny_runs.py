"""The tiny run of a bench, as its command makes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.relay.candidate import ROOT


def tiny_run(bench: str, output: Path, limit_s: float, *options: str) -> None:
    """`python -m bench.NAME --smoke` into a folder; it must end well."""
    argv = [sys.executable, "-m", f"bench.{bench}", "--smoke", *options, "--output", str(output)]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False)
    assert answer.returncode == 0, answer.stderr


def has_row(page: Sequence[str], name: str) -> bool:
    """Whether a table of the page has a row of this name."""
    return any(line.startswith(f"| {name} |") for line in page)
