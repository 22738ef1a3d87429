"""TARGET: take the profit at a price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.brick_plan import BrickFields, confirmed
from shared.exit_rules.fixed_level import FixedLevel
from shared.exit_rules.levels import above
from shared.exit_rules.prices import Price
from shared.exit_rules.rule import ExitRule, PlanOption, Position, RuleState, on_profit_side
from shared.money import to_units


class TargetFields(BrickFields):
    """Where the profit is taken."""

    target: Price | None = None


class Target(ExitRule[TargetFields]):
    """Exit at or beyond the target."""

    reason = ExitReason.TARGET
    toward = 1
    options = (PlanOption("target", ("target",), "Exit in profit at this price."),)

    def start(self, plan: TargetFields, position: Position) -> Mapping[int | None, RuleState]:
        """Return one state for the whole remainder."""
        if plan.target is None:
            return {}
        state = FixedLevel(above(position.profit_price(to_units(plan.target))))
        return {None: confirmed(state, plan, position, toward=self.toward)}

    def prices(self, plan: TargetFields) -> Mapping[str, Decimal]:
        """Return the target."""
        return {} if plan.target is None else {"target": plan.target}

    def contradictions(self, plan: TargetFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject a target on the loss side."""
        if plan.target is None or on_profit_side(plan.target, direction, entry_price):
            return []
        return [f"target {plan.target} is not on the profit side of a {direction} entry at {entry_price}"]
