"""Contradictory plans, over all pairs of rules and both directions."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import rule_of, start_rules
from shared.exit_rules.rule import Position
from shared.money import from_units

ENTRY = Decimal(1000)
LONG, SHORT = Direction.LONG, Direction.SHORT
REASONS = [reason for reason in ExitReason if rule_of(reason).planned]


def rupees(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


RULES: dict[ExitReason, st.SearchStrategy[dict[str, Any]]] = {
    ExitReason.STOP_LOSS: rupees(980, 1020).map(lambda stop: {"stop_loss": stop}),
    ExitReason.TRAILING_STOP: rupees(1, 20).map(lambda amount: {"trailing_stop": {"amount": amount}}),
    ExitReason.BREAK_EVEN: st.integers(1, 20).flatmap(
        lambda arm: rupees(0, arm - 1).map(lambda offset: {"break_even": {"arm": str(arm), "offset": offset}})
    ),
    ExitReason.TARGET: rupees(980, 1020).map(lambda target: {"target": target}),
    ExitReason.BRICK_REVERSAL: st.just({"bricks": {"size": "4", "reversal": 2}}),
    ExitReason.TIME: st.just({"max_hold_s": 60}),
}


def test_every_rule_of_a_plan_takes_part() -> None:
    assert list(RULES) == REASONS


@pytest.mark.parametrize(("one", "other"), list(combinations(REASONS, 2)), ids=lambda reason: reason.value)
@given(data=st.data(), direction=st.sampled_from(Direction))
def test_two_rules_are_refused_exactly_if_every_price_exits(
    one: ExitReason, other: ExitReason, data: st.DataObject, direction: Direction
) -> None:
    plan = ExitPlan.model_validate(data.draw(RULES[one]) | data.draw(RULES[other]))
    found = plan.change_contradictions(plan, direction, ENTRY)
    assert bool(found) is not any(stays_open(plan, direction, price) for price in range(970_0000, 1030_0000, 5000))
    assert all(reason in found[0] for reason in (one, other) if found)


def stays_open(plan: ExitPlan, direction: Direction, price: int) -> bool:
    """Return whether no rule exits at a price, a break-even once it is armed."""
    up = direction.sign
    entry = 1000_0000
    if plan.stop_loss is not None and (price - plan.stop_loss * 10_000) * up <= 0:
        return False
    if plan.target is not None and (price - plan.target * 10_000) * up >= 0:
        return False
    if plan.trailing_stop is not None and plan.trailing_stop.amount is not None:
        return (price - entry) * up > -plan.trailing_stop.amount * 10_000 and _after_break_even(plan, up, price)
    return _after_break_even(plan, up, price)


def _after_break_even(plan: ExitPlan, up: int, price: int) -> bool:
    return plan.break_even is None or (price - 1000_0000) * up > plan.break_even.offset * 10_000


@pytest.mark.parametrize("plan", [{"square_off": False}, {"bricks": {"size": "4", "confirm": 2}}])
def test_a_plan_that_can_never_exit_is_refused(plan: dict[str, Any]) -> None:
    assert "no rule" in ExitPlan.model_validate(plan).contradictions(LONG, ENTRY)[0]


@pytest.mark.parametrize(("arm", "is_refused"), [("999.95", False), ("1000", True), ("1500", True)])
def test_a_short_break_even_has_a_price_to_arm_it(arm: str, *, is_refused: bool) -> None:
    plan = ExitPlan.model_validate({"break_even": {"arm": arm}})
    assert bool(plan.contradictions(SHORT, ENTRY)) is is_refused
    assert plan.contradictions(LONG, ENTRY) == []


@given(data=st.data(), direction=st.sampled_from(Direction), price=st.integers(970, 1030))
def test_a_price_meets_what_the_engine_would_exit_at_it(data: st.DataObject, direction: Direction, price: int) -> None:
    drawn = [data.draw(rule) for rule in RULES.values() if data.draw(st.booleans())]
    plan = ExitPlan.model_validate({"max_hold_s": 60} | {name: each for part in drawn for name, each in part.items()})
    states = start_rules(plan, Position(direction, 1000_0000 * direction.sign, 0))
    exits = [key for key, state in states.items() if state.holds(price * 10_000 * direction.sign)]
    met = plan.met_by(from_units(price * 10_000), direction, ENTRY)
    assert [found.split(" at ")[0] for found in met] == [reason for reason, _ in exits]
