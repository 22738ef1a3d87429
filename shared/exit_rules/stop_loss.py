"""STOP_LOSS: a hard stop; it never waits for confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.fixed_level import fixed_below
from shared.exit_rules.prices import Price
from shared.exit_rules.rule import ExitRule, PlanOption, PlanPart, Position, RuleState, on_profit_side
from shared.exit_rules.scale import PlanScale
from shared.money import Money, to_units


class ProtectiveStopTerms(PlanPart):
    """Stop order held at the broker, `offset` rupees beyond `stop_loss`, for when this system cannot exit."""

    kind: Literal["SL-M"] = "SL-M"
    offset: Annotated[Money, Field(ge=Decimal(0))] = Decimal(0)


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
    )

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
        fields: dict[str, object] = {} if plan.stop_loss is None else {"stop_loss": scale.level(plan.stop_loss)}
        if plan.protective_stop is not None:
            offset = scale.distance(plan.protective_stop.offset)
            fields["protective_stop"] = plan.protective_stop.model_copy(update={"offset": offset})
        return fields

    def inconsistencies(self, plan: StopLossFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject a protective stop without a stop, or at a price that is not above zero."""
        if plan.protective_stop is None:
            return []
        trigger = protective_trigger(plan, direction)
        if trigger is None:
            return ["protective_stop needs a stop_loss: its trigger is that price and the offset"]
        return [] if trigger > 0 else [f"the trigger {trigger} of protective_stop is not above zero"]

    def contradictions(self, plan: StopLossFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject a stop on the profit side."""
        if plan.stop_loss is None or on_profit_side(entry_price, direction, plan.stop_loss):
            return []
        return [f"stop_loss {plan.stop_loss} is not on the loss side of a {direction} entry at {entry_price}"]


def protective_trigger(plan: StopLossFields, direction: Direction) -> Decimal | None:
    """Return the trigger in rupees of the plan's protective stop; None if the plan has none."""
    if plan.protective_stop is None or plan.stop_loss is None:
        return None
    return plan.stop_loss - direction.sign * plan.protective_stop.offset
