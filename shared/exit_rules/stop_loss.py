"""STOP_LOSS: a hard stop; it never waits for confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules import protective_stop
from shared.exit_rules.fixed_level import fixed_below
from shared.exit_rules.prices import Price
from shared.exit_rules.protective_stop import ProtectiveStopTerms
from shared.exit_rules.rule import ExitRule, PlanOption, PlanPart, Position, RuleState, on_profit_side
from shared.exit_rules.scale import PlanScale
from shared.money import money_text, to_units


class StopLossFields(PlanPart):
    """Where the loss is cut."""

    stop_loss: Price | None = None
    protective_stop: ProtectiveStopTerms | None = None


class StopLoss(ExitRule[StopLossFields]):
    """Exit at or beyond the stop; a touched stop exits even if the price recovers."""

    reason = ExitReason.STOP_LOSS
    expires = False
    resumes = True
    toward = -1
    options = (
        PlanOption("stop-loss", ("stop_loss",), "Exit in loss at this price."),
        PlanOption(
            "protective-stop",
            ("protective_stop", "offset"),
            "Hold a stop order at the broker too, this many rupees beyond the stop.",
        ),
        PlanOption("protective-price", ("protective_stop", "price"), "Hold the protective stop at this price instead."),
        PlanOption(
            "protective-trail-step",
            ("protective_stop", "trail_step"),
            "Let the protective stop follow the trailing stop in multiples of this many rupees.",
        ),
    )

    def start(self, plan: StopLossFields, position: Position) -> Mapping[int | None, RuleState]:
        """Return one state for the whole remainder."""
        if plan.stop_loss is None:
            return {}
        return {None: fixed_below(position.profit_price(to_units(plan.stop_loss)))}

    def prices(self, plan: StopLossFields) -> Mapping[str, Decimal]:
        """Return the stop, and the price of the protective stop."""
        held = plan.protective_stop
        named = {"stop_loss": plan.stop_loss, "protective_stop.price": None if held is None else held.price}
        return {name: price for name, price in named.items() if price is not None}

    def scaled(self, plan: StopLossFields, scale: PlanScale) -> Mapping[str, object]:
        """Return the stop at its new price."""
        fields: dict[str, object] = {} if plan.stop_loss is None else {"stop_loss": scale.level(plan.stop_loss)}
        if plan.protective_stop is not None:
            fields["protective_stop"] = plan.protective_stop.scaled(scale)
        return fields

    def contradictions(self, plan: StopLossFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject a stop, or a protective stop, on the profit side."""
        held = protective_stop.contradictions(plan.protective_stop, direction, entry_price)
        if plan.stop_loss is None or on_profit_side(entry_price, direction, plan.stop_loss):
            return held
        stop, entry = money_text(plan.stop_loss), money_text(entry_price)
        return [*held, f"stop_loss {stop} is not on the loss side of a {direction} entry at {entry}"]
