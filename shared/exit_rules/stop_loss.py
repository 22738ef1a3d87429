"""STOP_LOSS: a hard stop; it never waits for confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.fixed_level import fixed_below
from shared.exit_rules.prices import Price
from shared.exit_rules.rule import ExitRule, PlanOption, PlanPart, Position, RuleState, on_profit_side
from shared.exit_rules.scale import PlanScale
from shared.money import to_units


class StopLossFields(PlanPart):
    """Where the loss is cut."""

    stop_loss: Price | None = None


class StopLoss(ExitRule[StopLossFields]):
    """Exit at or beyond the stop; a touched stop exits even if the price recovers."""

    reason = ExitReason.STOP_LOSS
    expires = False
    resumes = True
    toward = -1
    options = (PlanOption("stop-loss", ("stop_loss",), "Exit in loss at this price."),)

    def start(self, plan: StopLossFields, position: Position) -> Mapping[int | None, RuleState]:
        """Return one state for the whole remainder."""
        if plan.stop_loss is None:
            return {}
        return {None: fixed_below(position.profit_price(to_units(plan.stop_loss)))}

    def prices(self, plan: StopLossFields) -> Mapping[str, Decimal]:
        """Return the stop."""
        return {} if plan.stop_loss is None else {"stop_loss": plan.stop_loss}

    def scaled(self, plan: StopLossFields, scale: PlanScale) -> Mapping[str, object]:
        """Return the stop at its new price."""
        return {} if plan.stop_loss is None else {"stop_loss": scale.level(plan.stop_loss)}

    def contradictions(self, plan: StopLossFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject a stop on the profit side."""
        if plan.stop_loss is None or on_profit_side(entry_price, direction, plan.stop_loss):
            return []
        return [f"stop_loss {plan.stop_loss} is not on the loss side of a {direction} entry at {entry_price}"]
