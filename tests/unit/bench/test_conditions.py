"""Conditions of a run: the command of a page names no folder."""

from __future__ import annotations

import pytest

from bench.conditions import command


@pytest.mark.parametrize("output", [["--output", "somewhere"], ["--output=somewhere"], []])
def test_a_page_leaves_the_folder_of_its_output_out(output: list[str]) -> None:
    assert (
        command("bench.ticks", ["--long", *output, "--trades", "1000"]) == "python -m bench.ticks --long --trades 1000"
    )
