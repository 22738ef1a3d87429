"""ExitPlan: the wire shape of when a trade exits, put together from the fields of every rule."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Self

from pydantic import ValidationError, model_validator

from shared.contracts.vocabulary import Direction, ExitReason
from shared.errors import InvalidInput
from shared.exit_rules import protective_stop
from shared.exit_rules.break_even import BreakEvenFields
from shared.exit_rules.consistency import contradictory_pairs, met_by
from shared.exit_rules.registry import RULES, leg_quantities, start_rules
from shared.exit_rules.rule import Position, RuleState, on_profit_side
from shared.exit_rules.scale import PlanScale
from shared.exit_rules.stop_loss import StopLossFields
from shared.exit_rules.target import TargetFields
from shared.exit_rules.time_exit import TimeFields
from shared.exit_rules.trailing_stop import TrailingStopFields
from shared.money import money_text, to_units


class PlanFields(TargetFields, StopLossFields, TrailingStopFields, BreakEvenFields, TimeFields):
    """The fields of every rule, each optional."""


class ExitPlan(PlanFields):
    """When a trade exits. Prices in rupees; at least one rule."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if all(getattr(self, name) is None for name in PlanFields.model_fields):
            raise ValueError("an exit plan needs at least one rule, e.g. a target or a stop_loss")
        return self

    def changed(self, change: PlanFields) -> ExitPlan:
        """Return the plan with the given fields replaced whole; a field given as null is removed.

        Raises
        ------
        InvalidInput
            No rule would be left.
        """
        given = {name: getattr(change, name) for name in change.model_fields_set & PlanFields.model_fields.keys()}
        kept = {name: getattr(self, name) for name in PlanFields.model_fields}
        try:
            return ExitPlan(**(kept | given))
        except ValidationError as error:
            raise InvalidInput("; ".join(item["msg"] for item in error.errors())) from error

    def contradictions(self, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the plan's contradictions for a trade of this direction and entry; empty if none."""
        own = [found for rule in RULES for found in rule.contradictions(self, direction, entry_price)]
        return own + self._inconsistencies(direction, entry_price)

    def sized(self, quantity: int, lot: int = 1) -> ExitPlan:
        """Return the plan for a trade of this quantity: percentages of legs are quantities in whole lots."""
        fields: dict[str, object] = {}
        for rule in RULES:
            fields |= rule.sized(self, quantity, lot)
        return self.model_copy(update=fields) if fields else self

    def scaled(self, scale: PlanScale, direction: Direction, entry_price: Decimal) -> ExitPlan:
        """Return the plan after a corporate action; `entry_price` is the new one.

        Raises
        ------
        InvalidInput
            Rounded to the tick size, a price is zero or rules contradict each other.
        """
        fields = {name: getattr(self, name) for name in PlanFields.model_fields}
        try:
            for rule in RULES:
                fields |= rule.scaled(self, scale)
            plan = ExitPlan(**fields)
        except ValidationError as error:
            raise InvalidInput("; ".join(item["msg"] for item in error.errors())) from error
        contradictions = plan._inconsistencies(direction, entry_price)
        if contradictions:
            raise InvalidInput("; ".join(contradictions))
        return plan

    def size_contradictions(self, quantity: int, lot: int = 1) -> list[str]:
        """Return contradictions with the trade's quantity or lot size in a sized plan; empty if none."""
        return [found for rule in RULES for found in rule.size_contradictions(self, quantity, lot)]

    def filled_leg_contradictions(self, before: ExitPlan, filled: Mapping[int, int]) -> list[str]:
        """Return why legs with fills, here with their quantity, cannot change from the plan `before`."""
        return [found for rule in RULES for found in rule.filled_leg_contradictions(before, self, filled)]

    def leg_quantity(self, leg: int, quantity: int) -> int | None:
        """Return the quantity of a leg of a trade of this quantity; None without such a leg."""
        return {number: part for (_, number), part in leg_quantities(self, quantity).items()}.get(leg)

    def after_leg_filled(self, leg: int, direction: Direction, entry_price: Decimal) -> ExitPlan:
        """Return the plan once a leg is filled: its stop moves as `after_leg` says, and never away from profit."""
        stops = [stop for rule in RULES if (stop := rule.stop_after(self, leg, entry_price)) is not None]
        if not stops or (self.stop_loss is not None and not on_profit_side(stops[0], direction, self.stop_loss)):
            return self
        return self.model_copy(update={"stop_loss": stops[0]})

    def change_contradictions(self, before: ExitPlan, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return why an open trade with the plan `before` cannot take this plan; empty if it can.

        A stop may be on the profit side of the entry then, and a target on its loss side.
        """
        own = [found for rule in RULES for found in rule.change_contradictions(before, self)]
        return own + self._inconsistencies(direction, entry_price)

    def met_by(self, price: Decimal, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the rules met by a market price in rupees; empty if the plan does not exit at once."""
        return met_by(self._states(direction, entry_price), direction, to_units(price))

    def off_tick(self, tick_size: Decimal) -> list[str]:
        """Return the prices off the grid of a tick size; a market never trades there."""
        prices = [each for rule in RULES for each in rule.prices(self).items()]
        return [
            f"{name} {money_text(price)} is not a multiple of the tick size {money_text(tick_size)}"
            for name, price in prices
            if price % tick_size
        ]

    def _inconsistencies(self, direction: Direction, entry_price: Decimal) -> list[str]:
        states = self._states(direction, entry_price)
        if not states:
            return ["no rule of the plan can exit the trade; add e.g. a target or a stop_loss"]
        own = [found for rule in RULES for found in rule.inconsistencies(self, direction, entry_price)]
        return own + protective_stop.inconsistencies(self, direction) + contradictory_pairs(states, direction)

    def _states(self, direction: Direction, entry_price: Decimal) -> dict[tuple[ExitReason, int | None], RuleState]:
        entry = to_units(entry_price) * direction.sign
        return start_rules(self, Position(direction, entry, entered_at_ms=0, square_off_at_ms=0))
