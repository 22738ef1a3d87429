"""Completion in a shell, through commands imported at their use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.product_process import ProductProcess, run


@pytest.mark.parametrize(
    ("words", "position", "expected"),
    [
        ("exitflow tra", 1, {"trades"}),
        ("exitflow trades o", 2, {"open"}),
        ("exitflow trades open --stop-l", 3, {"--stop-loss"}),
    ],
)
def test_commands_and_options_are_completed(words: str, position: int, expected: set[str], tmp_path: Path) -> None:
    asked = {"_EXITFLOW_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    assert ProductProcess(run(), asked, tmp_path / "log").wait(60) == 0
    assert expected <= set((tmp_path / "log").read_text().split())
