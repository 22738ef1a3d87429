"""A rule is one file: no constraint of the databases has to learn its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.contracts.vocabulary import ExitReason

SCHEMAS = Path(__file__).parents[2] / "docs" / "sql"
FEW = 3
"""A constraint about some reasons names fewer; a list of all must grow with each rule."""


@pytest.mark.parametrize("schema", ["exit_qualification", "trade_management"])
def test_no_constraint_lists_the_exit_reasons(schema: str) -> None:
    lines = (SCHEMAS / f"{schema}_current.sql").read_text().splitlines()
    assert [line for line in lines if sum(f"'{reason}'" in line for reason in ExitReason) > FEW] == []
