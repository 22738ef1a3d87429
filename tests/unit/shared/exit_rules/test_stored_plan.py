"""A stored plan gives the rules of the original plan."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.vocabulary import Direction
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import leg_quantities, start_rules
from shared.exit_rules.rule import Position
from shared.exit_rules.stored_plan import read_stored
from tests.unit.exit_qualification.test_engine_agrees_with_oracle import plans

AFTER = {"1": {"stop": "break_even"}, "2": {"stop": "1010.05"}}


@settings(max_examples=200, deadline=None)
@given(plans(), st.sampled_from(Direction), st.booleans(), st.booleans(), st.integers(0, 2))
def test_stored_plan_keeps_rules_and_legs(
    plan: ExitPlan, direction: Direction, square_off: bool, changes: bool, spaces: int
) -> None:
    given = plan.model_dump(mode="json", exclude_none=True)
    given |= {"square_off": True} if square_off else {}
    given |= {"after_leg": AFTER} if changes else {}
    stored = json.dumps(given, indent=spaces or None)
    position = Position(direction, 12 * direction.sign, 1_000, 9_000)
    told, read = ExitPlan.model_validate(given), read_stored(stored)
    assert start_rules(read, position) == start_rules(told, position)
    assert leg_quantities(read, 7) == leg_quantities(told, 7)
    assert read.square_off == told.square_off
